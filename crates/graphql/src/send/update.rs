//! `updateSends`.

use async_graphql::{Context, ID, InputObject, Object};
use campaigns_delivery::{MAX_ROWS, Report, ReportError, UpdateOutcome};
use campaigns_entity::send;
use campaigns_operation::object::Objects;
use campaigns_providers::bounds::MAX_MESSAGE_ID;
use chrono::{DateTime as ChronoDateTime, Utc};
use uuid::Uuid;

use super::object::{Send, SendStatus};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
    scalars::DateTime,
};

/// A delivery report for `updateSends`.
#[derive(InputObject)]
pub(crate) struct UpdateSendInput {
    /// The ID of the send.
    id: ID,
    /// The delivery status.
    status: SendStatus,
    /// When the send reached this status. The default is now. Stored as `sentAt` for SENT, and as
    /// `deliveredAt` for DELIVERED.
    at: Option<DateTime>,
    /// Why the message bounced or failed. Stored for BOUNCED and FAILED only.
    error: Option<String>,
    /// The provider's ID of the message, up to 512 bytes, by which a webhook finds the send. Stored whatever the status.
    message_id: Option<String>,
}

impl UpdateSendInput {
    fn into_report(self, now: ChronoDateTime<Utc>, path: Path<'_>) -> Result<Report, Error> {
        Ok(Report {
            id: input::id(&self.id, path.field("id"))?,
            status: self.status.into(),
            at: match self.at {
                None => now,
                Some(time) => input::time(&time, path.field("at"))?,
            },
            error: self.error.map(|error| input::text(error, path.field("error"))).transpose()?,
            message_id: self
                .message_id
                .map(|id| message_id(id, path.field("messageId")))
                .transpose()?,
        })
    }
}

/// A provider's ID of a message.
fn message_id(value: String, path: Path<'_>) -> Result<String, Error> {
    let value = input::text(value, path)?.trim().to_owned();
    match campaigns_providers::message_id(&value) {
        Some(_) => Ok(value),
        None if value.len() > MAX_MESSAGE_ID => {
            let message = format!("This can have at most {MAX_MESSAGE_ID} bytes in UTF-8.");
            Err(Error::bad_input(path, message))
        }
        None => Err(Error::bad_input(path, "This must not be blank.")),
    }
}

/// The result of `updateSends`.
pub(crate) struct UpdateSendsPayload {
    outcome: UpdateOutcome,
    ids: Vec<Uuid>,
}

/// The result of `updateSends`.
#[Object]
impl UpdateSendsPayload {
    /// The number of reports that changed their send.
    async fn updated(&self) -> usize {
        self.outcome.updated
    }

    /// The number of reports that changed nothing because they were late or repeated.
    async fn unchanged(&self) -> usize {
        self.outcome.unchanged
    }

    /// The send of each report after the change, in the order of the input.
    async fn sends(&self, ctx: &Context<'_>) -> Result<Objects<Send>, Error> {
        let found = ctx.scope().by_ids::<send::Entity>(self.ids.iter().copied()).await?;
        let found = rows::by_id(rows::from_models::<send::Entity>(found));
        // skip rows that were deleted in the meantime
        let sends = self.ids.iter().filter_map(|id| found.get(id).cloned()).map(Send);
        Ok(Objects(sends.collect()))
    }
}

pub(super) async fn update(
    ctx: &Context<'_>,
    input: Vec<UpdateSendInput>,
) -> Result<UpdateSendsPayload, Error> {
    let path = Path::argument("input");
    if input.len() > MAX_ROWS {
        return Err(Error::limit(path, format!("This can have at most {MAX_ROWS} elements.")));
    }
    let now = ctx.now();
    let reports = input
        .into_iter()
        .enumerate()
        .map(|(index, input)| input.into_report(now, path.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = reports.iter().map(|report| report.id).collect();
    let outcome = ctx.change_once(ctx.live().intake.update_sends(ctx.scope(), reports)).await;
    ctx.live().feed.wake();
    let outcome = outcome.map_err(|error| match error {
        ReportError::SendNotFound { index } => {
            Error::not_found("send", path.index(index).field("id"))
        }
        ReportError::Scope(error) => error.into(),
    })?;
    Ok(UpdateSendsPayload { outcome, ids })
}
