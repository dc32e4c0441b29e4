//! Takes a viewer's operation through the engine, within the viewer's scope, permits and time.

mod follow;
mod rate;
mod subscriber;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{Context, Data, Response};
use campaigns_delivery::Intake;
use campaigns_encryption::Keyring;
use campaigns_feed::Feed;
use campaigns_operation::{
    Documents, Operation, Prepared, run_at_low_priority, text, was_executed,
};
use campaigns_scope::{Budget, Place, Scope, Viewer};
use chrono::{DateTime, Utc};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    context::{Now, RequestContext},
    error::{self, Code, Error},
    json_columns,
    limits::{self, Limits},
    live::Live,
    outcome::Outcomes,
    rows::FieldKeys,
    schema::Engine,
    subscriptions::Groups,
};
pub(crate) use rate::Rates;
use subscriber::Subscriber;

pub use follow::Subscription;

/// The context of an operation.
pub struct OperationContext {
    /// The scope that gives access to the organization's rows.
    pub scope: Scope,
    /// The budget that its input was drawn from, if any.
    pub budget: Option<Arc<Budget>>,
    /// The viewer.
    pub viewer: Viewer,
    /// The time.
    pub now: DateTime<Utc>,
    /// The ID of the request in the log.
    pub request_id: Uuid,
    /// The place in the feed to continue after, instead of the one in the operation's arguments.
    pub after: Option<Place>,
}

/// The response to an operation that was executed.
pub struct Executed {
    /// The response as JSON, its fields in the order of the document.
    pub text: String,
    /// The code of its first error, if a part of it failed.
    pub code: Option<Code>,
}

/// The schema, ready to execute operations.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    limits: Limits,
    live: Live,
    groups: Groups,
    rates: Rates,
    documents: Documents,
}

impl Api {
    /// The schema. It answers introspection queries only if `introspection` is on, executes
    /// operations within the limits, and knows these documents. Subscriptions follow this feed, and
    /// mutations write through this intake, which other parts of the process can share. The keys
    /// encrypt the secrets that mutations store.
    #[must_use]
    pub fn new(
        introspection: bool,
        limits: Limits,
        documents: Documents,
        feed: Feed,
        intake: Intake,
        keyring: Keyring,
    ) -> Self {
        let draw = |ctx: &Context<'_>, bytes| Ok(json_columns::draw_from(ctx.scope(), bytes)?);
        let engine =
            Engine::new(introspection, limits.operation, limits::price, limits::max_text, draw);
        let (live, rates) = (Live::new(feed, intake, keyring), Rates::new(limits.rate));
        Self { engine, limits, live, groups: Groups::default(), rates, documents }
    }

    /// The schema in SDL.
    #[must_use]
    pub fn sdl() -> String {
        Engine::sdl()
    }

    /// Parses and checks an operation of the scope's organization. If that takes long, it waits for
    /// a permit, at most until the deadline, and runs on a low-priority thread.
    ///
    /// # Errors
    /// The errors of the document or its variables, and the errors of [`Scope::background_permit`].
    pub async fn prepare(
        &self,
        scope: &Scope,
        mut operation: Operation,
        deadline: Instant,
    ) -> Result<Prepared, Error> {
        self.documents.find(&mut operation)?;
        let operation = self.engine.look_up(operation);
        if !operation.takes_long() {
            return Ok(self.engine.prepare(operation)?);
        }
        let permit = scope.background_permit(deadline).await?;
        let engine = self.engine.clone();
        let work = async move {
            // until the thread ends, even if the client is gone by then
            let _permit = permit;
            engine.prepare(operation)
        };
        Ok(run_at_low_priority(work).await?)
    }

    /// Notifies watchers that the process has changed data of an organization.
    pub fn notify_changed(&self, organization: Uuid) {
        self.live.notify_changed(organization);
    }

    /// The bytes of the cached operations.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.engine.kept_bytes()
    }

    /// Executes an operation within a scope. Returns the response as JSON, with its fields in the
    /// order of the document.
    ///
    /// The execution takes at most `time`. Then the running statement is canceled, and its field
    /// fails with `TIMEOUT`. A commit that has started is completed and awaited.
    ///
    /// # Errors
    /// A response with the reason why it was not executed.
    pub async fn execute(
        &self,
        prepared: Prepared,
        context: OperationContext,
        time: Duration,
    ) -> Result<Executed, Response> {
        if prepared.is_subscription() && prepared.is_valid() {
            let message = "Send a subscription over a websocket by graphql-transport-ws, or accept text/event-stream.";
            return Err(Error::bad_input("query", message).into_response());
        }
        let (is_mutation, is_expensive) = (prepared.is_mutation(), prepared.is_expensive());
        let OperationContext { scope, budget, viewer, now, request_id, .. } = context;
        let passed = self.rates.pass(scope.organization(), prepared.cost());
        passed.map_err(Error::into_response)?;
        let outcomes = Outcomes::default();
        let deadline = Instant::now() + time;
        let operation = Arc::new(scope.operation(deadline, budget));
        let budget = operation.drawn_from();
        budget.draw(prepared.input_bytes()).map_err(|full| Error::from(full).into_response())?;
        let mut data = Data::default();
        data.insert(operation);
        data.insert(viewer);
        data.insert(Now(now));
        data.insert(FieldKeys::default());
        data.insert(outcomes.clone());
        data.insert(self.limits);
        data.insert(self.rates.clone());
        data.insert(self.live.clone());
        let permit = scope.execution_permit(is_expensive, deadline).await;
        let permit = permit.map_err(|error| Error::from(error).into_response())?;
        let engine = self.engine.clone();
        let execution = async move {
            // until the work ends, which is on a thread of its own if it is expensive; the bytes are
            // given back first
            let _permit = permit;
            let budget = budget;
            let executed = engine.execute(prepared, data, request_id).await;
            let is_whole = executed.is_ok();
            let (Ok(mut response) | Err(mut response)) = executed;
            if is_mutation {
                outcomes.annotate(&mut response);
            }
            budget
                .draw(bytes_of_errors(&response))
                .map_err(|full| Error::from(full).into_response())?;
            if is_whole && was_executed(&response) {
                Ok(Executed { text: text(&response), code: Code::of(&response) })
            } else {
                Err(response)
            }
        };
        let execution = async {
            if is_expensive {
                run_at_low_priority(execution.in_current_span()).await
            } else {
                execution.await
            }
        };
        if is_mutation {
            // its statements respect the deadline; the outcome of a commit must not be lost
            return execution.await;
        }
        // from outside: an execution that does not wait cannot notice the deadline
        match tokio::time::timeout_at(deadline.into(), execution).await {
            Ok(executed) => executed,
            Err(_) => Err(error::timeout().into_response()),
        }
    }

    /// Opens a subscription within a scope. `timeout` applies to each of its responses. Opening it,
    /// with its first response, and each further response draw its cost from the organization's
    /// rate; responses wait for it.
    ///
    /// # Errors
    /// A response with the reason why it was not opened.
    pub async fn subscribe(
        &self,
        prepared: Prepared,
        context: OperationContext,
        timeout: Duration,
    ) -> Result<Subscription, Response> {
        let OperationContext { scope, viewer, now, after, .. } = context;
        let passed = self.rates.pass(scope.organization(), prepared.cost());
        passed.map_err(Error::into_response)?;
        let selection = self.engine.follow(prepared);
        let operation = Subscriber {
            selection,
            scope: Arc::new(scope),
            viewer,
            now,
            timeout,
            after,
            rates: self.rates.clone(),
            is_prepaid: true.into(),
        };
        Subscription::open(&self.live, &self.groups, operation).await
    }
}

/// The bytes of a response's errors, in memory and as text.
fn bytes_of_errors(response: &Response) -> usize {
    const ERROR: usize = 512;
    response.errors.iter().map(|error| ERROR + 2 * error.message.len()).sum()
}
