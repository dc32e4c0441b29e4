//! `addContactsToList`, `addSegmentToList` and `removeContactsFromList`.

use async_graphql::{Context, ID};
use campaigns_delivery::{ListError, MAX_ROWS};
use uuid::Uuid;

use super::ListPayload;
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    segment,
};

const CAMPAIGN: Path<'_> = Path::argument("campaignId");
const SEGMENT: Path<'_> = Path::argument("segmentId");
const CONTACTS: Path<'_> = Path::argument("contactIds");

pub(super) async fn add(
    ctx: &Context<'_>,
    campaign: &ID,
    contacts: &[ID],
) -> Result<ListPayload, Error> {
    let (campaign, contacts) = ids(campaign, contacts)?;
    let add = || campaigns_delivery::add_contacts(ctx.scope(), campaign, &contacts);
    Ok(ctx.change(add).await.map_err(to_error)?.into())
}

pub(super) async fn add_segment(
    ctx: &Context<'_>,
    campaign: &ID,
    segment: &ID,
) -> Result<ListPayload, Error> {
    let campaign = input::id(campaign, CAMPAIGN)?;
    let segment = input::id(segment, SEGMENT)?;
    let add = || campaigns_delivery::add_segment(ctx.scope(), campaign, segment, ctx.now());
    Ok(ctx.change(add).await.map_err(to_error)?.into())
}

pub(super) async fn remove(
    ctx: &Context<'_>,
    campaign: &ID,
    contacts: &[ID],
) -> Result<ListPayload, Error> {
    let admin = ctx.admin()?;
    let (campaign, contacts) = ids(campaign, contacts)?;
    let remove = || campaigns_delivery::remove_contacts(&admin, campaign, &contacts);
    Ok(ctx.change(remove).await.map_err(to_error)?.into())
}

fn ids(campaign: &ID, contacts: &[ID]) -> Result<(Uuid, Vec<Uuid>), Error> {
    let campaign = input::id(campaign, CAMPAIGN)?;
    if contacts.len() > MAX_ROWS {
        return Err(Error::limit(CONTACTS, format!("This can have at most {MAX_ROWS} elements.")));
    }
    let contact = |(index, id)| input::id(id, CONTACTS.index(index));
    let contacts = contacts.iter().enumerate().map(contact).collect::<Result<_, _>>()?;
    Ok((campaign, contacts))
}

fn to_error(error: ListError) -> Error {
    match error {
        ListError::CampaignNotFound => Error::not_found("campaign", CAMPAIGN),
        ListError::ContactNotFound { index } => Error::not_found("contact", CONTACTS.index(index)),
        ListError::SegmentNotFound => Error::not_found("segment", SEGMENT),
        ListError::Rules(error) => segment::unusable_rules(&error),
        ListError::Scope(error) => error.into(),
    }
}
