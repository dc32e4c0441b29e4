//! How long a socket or a stream lasts: until its token expires, its caller is no longer allowed, or
//! the service stops.
//!
//! **Invariant.** From its admission until it is dropped, a socket or a stream is counted, its bytes are
//! drawn from the budget of its organization, and its caller's authorization is re-checked.

use std::time::Duration;

use campaigns_scope::{Exhausted, Reservation, Scope};
use campaigns_tasks::Task;
use rand::RngExt;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{sockets::CountedSocket, threads::lasting};
use crate::{
    App,
    caller::{Caller, Refusal},
};

/// The bytes of a socket or a stream with its tasks and buffers, without its operations and queued
/// messages.
const HELD: usize = 16 * 1024;

/// The maximum time that a socket or a stream lasts: the range of a timer is limited.
const MAX_TIME: Duration = Duration::from_hours(24 * 365);

/// Guards a socket or a stream.
pub(crate) struct Guard {
    app: App,
    term: watch::Sender<Term>,
    admission: Option<Admission>,
}

/// What an admitted socket or stream holds.
struct Admission {
    _counted: CountedSocket,
    _held: Reservation,
    /// Checks whether the caller is still allowed.
    _check: JoinSet<()>,
}

/// How long a socket or a stream can last.
struct Term {
    deadline: Instant,
    is_admitted: bool,
    /// Why the caller is no longer allowed.
    forbidden: Option<String>,
}

/// Why a socket or a stream is not admitted.
pub(crate) enum NotAdmitted {
    /// The service is overloaded.
    Busy,
    /// The organization has the maximum number of sockets and streams.
    TooMany,
    /// There is no memory for it.
    Exhausted(Exhausted),
}

/// Why a socket or a stream has to end.
pub(crate) enum Ended {
    /// The service stops.
    Stopping,
    /// It was not admitted in time.
    NotAdmitted,
    /// The token has expired.
    Expired,
    /// The caller is no longer allowed, with the reason.
    Forbidden(String),
}

/// The end of a socket or a stream, to wait for. The service waits until it is dropped before it
/// stops.
pub(crate) struct Ending {
    stopping: watch::Receiver<bool>,
    term: watch::Receiver<Term>,
}

impl Guard {
    /// Guards a socket that has to be admitted within a time.
    pub(crate) fn pending(app: &App, time: Duration) -> (Self, Ending) {
        let deadline = Instant::now() + time;
        let (term, terms) = watch::channel(Term { deadline, is_admitted: false, forbidden: None });
        let ending = Ending { stopping: app.sockets.open(), term: terms };
        (Self { app: app.clone(), term, admission: None }, ending)
    }

    /// Guards a stream, whose caller is known from the start.
    pub(crate) fn admitted(
        app: &App,
        caller: Caller,
        scope: &Scope,
    ) -> Result<(Self, Ending), NotAdmitted> {
        let (mut guard, ending) = Self::pending(app, Duration::ZERO);
        guard.admit(caller, scope)?;
        Ok((guard, ending))
    }

    /// Admits a caller. From now on, the token sets the deadline.
    pub(crate) fn admit(&mut self, caller: Caller, scope: &Scope) -> Result<(), NotAdmitted> {
        let Self { app, term, admission } = self;
        if scope.is_overloaded() {
            return Err(NotAdmitted::Busy);
        }
        let organization = scope.organization();
        let counted = app.sockets.count(organization, app.settings.max_sockets);
        let counted = counted.ok_or(NotAdmitted::TooMany)?;
        let held = scope.budget().hold(HELD).map_err(NotAdmitted::Exhausted)?;
        let left = (caller.bearer.valid_until() - app.clock.now()).to_std().unwrap_or_default();
        term.send_modify(|term| {
            term.deadline = Instant::now() + left.min(MAX_TIME);
            term.is_admitted = true;
        });
        let mut check = JoinSet::new();
        let again = check_again(app.clone(), caller.staying_in(organization), term.clone());
        app.sockets.threads.spawn_in(&mut check, lasting(again));
        *admission = Some(Admission { _counted: counted, _held: held, _check: check });
        Ok(())
    }
}

impl Ending {
    /// Waits until the socket or the stream has to end.
    pub(crate) async fn wait(&mut self) -> Ended {
        let Self { stopping, term } = self;
        loop {
            let (deadline, is_admitted) = {
                let term = term.borrow_and_update();
                if let Some(why) = &term.forbidden {
                    return Ended::Forbidden(why.clone());
                }
                (term.deadline, term.is_admitted)
            };
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return Ended::Stopping,
                () = sleep_until(deadline) => {
                    return if is_admitted { Ended::Expired } else { Ended::NotAdmitted };
                }
                // once the guard is gone, nothing changes any more
                Ok(()) = term.changed() => {}
            }
        }
    }
}

/// Re-checks the caller's authorization periodically, and reports why it ended.
async fn check_again(app: App, caller: Caller, term: watch::Sender<Term>) {
    Task::new("membership check").run(|| check_until(&app, &caller, &term)).await;
}

async fn check_until(app: &App, caller: &Caller, term: &watch::Sender<Term>) {
    let every = app.settings.socket_check;
    // callers that arrived at the same time should not query at the same time
    let mut pause = every.mul_f64(rand::rng().random_range(0.5..1.0));
    loop {
        sleep(pause).await;
        pause = every;
        let why = match Box::pin(app.enter(caller)).await {
            Ok(_) | Err(Refusal::Failed(_)) => continue,
            Err(Refusal::Unauthenticated(why)) => why,
            Err(Refusal::Refused(..)) => "no longer an active member".to_owned(),
        };
        term.send_modify(|term| term.forbidden = Some(why));
        return;
    }
}
