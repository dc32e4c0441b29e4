//! The steps of a campaign from one status to the next.

use campaigns_entity::{
    campaign::{self, CampaignStatus},
    send::{self, SendStatus},
};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EnumIter, Iterable};
use uuid::Uuid;

use crate::queue::{self, QueueOutcome};

/// A step of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Schedules it to start at a time.
    Schedule(DateTime<Utc>),
    /// Makes it a draft again, without a time.
    Unschedule,
    /// Starts sending, and queues sends for its list.
    Start,
    /// Pauses sending, or keeps a scheduled campaign from starting.
    Pause,
    /// Resumes sending.
    Resume,
    /// Cancels it. Queued sends stay queued.
    Cancel,
    /// Marks it as sent.
    Complete,
}

/// A [`Step`] without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
#[expect(missing_docs, reason = "they are the steps of the same names")]
pub enum StepKind {
    Schedule,
    Unschedule,
    Start,
    Pause,
    Resume,
    Cancel,
    Complete,
}

impl Step {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> StepKind {
        match self {
            Self::Schedule(_) => StepKind::Schedule,
            Self::Unschedule => StepKind::Unschedule,
            Self::Start => StepKind::Start,
            Self::Pause => StepKind::Pause,
            Self::Resume => StepKind::Resume,
            Self::Cancel => StepKind::Cancel,
            Self::Complete => StepKind::Complete,
        }
    }
}

impl StepKind {
    /// The steps that a campaign in this status can take.
    pub fn from(status: CampaignStatus) -> impl Iterator<Item = Self> {
        Self::iter().filter(move |step| step.leads_from(status))
    }

    /// The status that it leads to.
    #[must_use]
    pub fn to(self) -> CampaignStatus {
        match self {
            Self::Schedule => CampaignStatus::Scheduled,
            Self::Unschedule => CampaignStatus::Draft,
            Self::Start | Self::Resume => CampaignStatus::Sending,
            Self::Pause => CampaignStatus::Paused,
            Self::Cancel => CampaignStatus::Canceled,
            Self::Complete => CampaignStatus::Sent,
        }
    }

    /// Whether a campaign in this status can take this step.
    #[must_use]
    pub fn leads_from(self, status: CampaignStatus) -> bool {
        let resumes = self == Self::Resume;
        status.may_become(self.to()) && (!resumes || status == CampaignStatus::Paused)
    }
}

/// The reason why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The campaign does not exist in the organization.
    #[error("the campaign does not exist")]
    NotFound,
    /// A campaign in this status cannot take the step.
    #[error("this step does not take a campaign from {from:?} to {to:?}")]
    Refused {
        /// The campaign's status.
        from: CampaignStatus,
        /// The status that the step leads to.
        to: CampaignStatus,
    },
    /// The campaign still has queued sends.
    #[error("sends are still queued")]
    StillQueued,
    /// An error of the scope.
    #[error(transparent)]
    Scope(#[from] Error),
}

/// Takes a step, in one transaction. Of two concurrent steps, the second starts from the status after
/// the first.
///
/// # Errors
/// See [`StepError`]. Nothing is changed then.
pub async fn step(
    scope: &Scope,
    id: Uuid,
    step: Step,
    now: DateTime<Utc>,
) -> Result<campaign::Model, StepError> {
    scope
        .transaction(async |scope| {
            let before = scope.lock::<campaign::Entity>(id).await?.ok_or(StepError::NotFound)?;
            Ok(take(scope, &before, step, now).await?.0)
        })
        .await
}

/// Starts a campaign if it is still scheduled and due. Returns `None` if it is not, or if another worker
/// is starting it.
///
/// # Errors
/// See [`StepError`]. Nothing is changed then.
pub(crate) async fn start_if_due(
    scope: &Scope,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<QueueOutcome>, StepError> {
    scope
        .transaction(async |scope| {
            let found = scope.lock_if_free::<campaign::Entity>(id).await?;
            let is_due = |campaign: &campaign::Model| {
                campaign.status == CampaignStatus::Scheduled
                    && campaign.scheduled_at.as_ref().is_some_and(|at| *at <= now)
            };
            let Some(before) = found.filter(is_due) else { return Ok(None) };
            let (_, queued) = take(scope, &before, Step::Start, now).await?;
            Ok(Some(queued))
        })
        .await
}

/// Completes a campaign if it is still being sent and has at least one send, and all of its sends are
/// final. Returns whether it was completed.
///
/// # Errors
/// See [`StepError`]. Nothing is changed then.
pub(crate) async fn complete_if_done(
    scope: &Scope,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StepError> {
    scope
        .transaction(async |scope| {
            let found = scope.lock_if_free::<campaign::Entity>(id).await?;
            let is_sending =
                |campaign: &campaign::Model| campaign.status == CampaignStatus::Sending;
            let Some(before) = found.filter(is_sending) else { return Ok(false) };
            let under_way = [SendStatus::Queued, SendStatus::Sent];
            let over = [SendStatus::Delivered, SendStatus::Bounced, SendStatus::Failed];
            if has_sends(scope, id, &under_way).await? || !has_sends(scope, id, &over).await? {
                return Ok(false);
            }
            take(scope, &before, Step::Complete, now).await?;
            Ok(true)
        })
        .await
}

/// Takes a step of a locked campaign.
async fn take(
    scope: &Scope,
    before: &campaign::Model,
    step: Step,
    now: DateTime<Utc>,
) -> Result<(campaign::Model, QueueOutcome), StepError> {
    let to = step.kind().to();
    if !step.kind().leads_from(before.status) {
        return Err(StepError::Refused { from: before.status, to });
    }
    let mut changes = campaign::ActiveModel { status: Set(to), ..Default::default() };
    match step {
        Step::Schedule(at) => changes.scheduled_at = Set(Some(at.into())),
        Step::Unschedule => changes.scheduled_at = Set(None),
        Step::Complete => {
            if has_sends(scope, before.id, &[SendStatus::Queued]).await? {
                return Err(StepError::StillQueued);
            }
            changes.sent_at = Set(Some(now.into()));
        }
        Step::Start | Step::Pause | Step::Resume | Step::Cancel => {}
    }
    let after = scope.update::<campaign::Entity>(before.id, changes).await?;
    let after = after.ok_or(StepError::NotFound)?;
    let queued = match step {
        Step::Start => queue::insert(scope, after.id).await?,
        _ => QueueOutcome::default(),
    };
    Ok((after, queued))
}

/// Whether a campaign has a send in one of these statuses.
async fn has_sends(scope: &Scope, campaign: Uuid, statuses: &[SendStatus]) -> Result<bool, Error> {
    let sends = scope
        .find_by::<send::Entity>(send::Column::CampaignId, &[campaign])
        .filter(send::Column::Status.is_in(statuses.iter().copied()));
    Ok(scope.one(sends).await?.is_some())
}
