//! An operation from its preparation to its end, whether it came in a request, a batch, a stream or on
//! a socket.
//!
//! **Invariant.** Each operation that begins is observed: it is counted and logged once, however it
//! ends.

mod observed;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::Response;
use campaigns_graphql::{Code, Error, Executed, OperationContext, Payload, Subscription};
use campaigns_operation::{Operation, Prepared};
use campaigns_scope::{Budget, Place, Reservation, Scope, Viewer};
use http::HeaderMap;
use metrics::Counter;
use tracing::Instrument;
use uuid::Uuid;

use self::observed::ObservedOperation;
use crate::App;

/// A prepared operation.
pub(crate) struct RunningOperation {
    app: App,
    prepared: Prepared,
    observed: ObservedOperation,
}

/// An open subscription.
pub(crate) struct ResponseStream {
    subscription: Box<Subscription>,
    /// Observed until it is dropped.
    _observed: ObservedOperation,
    /// The bytes that it keeps for its life.
    _held: Reservation,
    sent: Counter,
    /// The responses since it last yielded to others.
    burst: u32,
}

/// The bytes of an open subscription, in addition to its input.
const SUBSCRIPTION: usize = 8 * 1024;

/// The number of responses of a subscription in a row.
const BURST: u32 = 8;

impl RunningOperation {
    /// Prepares an operation that came with these headers.
    ///
    /// # Errors
    /// The reason why it cannot be executed. The operation has ended with this error.
    pub(crate) async fn begin(
        app: &App,
        scope: &Scope,
        operation: Result<Operation, Error>,
        headers: Option<&HeaderMap>,
    ) -> Result<Self, Error> {
        let mut observed = ObservedOperation::begin(app, scope.organization(), Uuid::new_v4());
        let prepared = match operation {
            Ok(operation) => {
                let deadline = Instant::now() + app.settings.query_timeout;
                app.api.prepare(scope, operation, deadline).await
            }
            Err(error) => Err(error),
        };
        match prepared {
            Ok(prepared) => {
                observed.identify(prepared.about(), headers);
                Ok(Self { app: app.clone(), prepared, observed })
            }
            Err(error) => {
                observed.end(Some(error.code()));
                Err(error)
            }
        }
    }

    pub(crate) fn is_mutation(&self) -> bool {
        self.prepared.is_mutation()
    }

    pub(crate) fn is_subscription(&self) -> bool {
        self.prepared.is_subscription()
    }

    /// Ends it without executing it.
    pub(crate) fn refuse(self, code: Code) {
        self.observed.end(Some(code));
    }

    /// Executes a query or a mutation within a time. Returns the response as JSON.
    ///
    /// # Errors
    /// A response with the reason why it was not executed.
    pub(crate) async fn execute(
        self,
        viewer: Viewer,
        scope: Scope,
        budget: Option<Arc<Budget>>,
        time: Duration,
    ) -> Result<String, Response> {
        let Self { app, prepared, observed } = self;
        let (now, request_id) = (app.clock.now(), observed.request_id());
        let context = OperationContext { scope, budget, viewer, now, request_id, after: None };
        // boxed once, as it is large and would be copied into each future around it
        let execution = Box::pin(app.api.execute(prepared, context, time));
        match execution.instrument(observed.span()).await {
            Ok(Executed { text, code }) => {
                observed.end(code);
                Ok(text)
            }
            Err(refused) => {
                observed.end(Code::of(&refused));
                Err(refused)
            }
        }
    }

    /// Opens a subscription, optionally after another place in the feed than the one that it names.
    /// Until it ends, it holds as many bytes as were drawn for its input, which it keeps in other
    /// forms.
    ///
    /// # Errors
    /// A response with the reason why it was not opened.
    pub(crate) async fn follow(
        self,
        viewer: Viewer,
        scope: Scope,
        budget: &Budget,
        after: Option<Place>,
    ) -> Result<ResponseStream, Response> {
        let Self { app, prepared, observed } = self;
        let bytes = SUBSCRIPTION + budget.held() + prepared.input_bytes();
        let held = match scope.budget().hold(bytes) {
            Ok(held) => held,
            Err(exhausted) => {
                let refused = Error::from(exhausted).into_response();
                observed.end(Code::of(&refused));
                return Err(refused);
            }
        };
        let (now, request_id) = (app.clock.now(), observed.request_id());
        let context = OperationContext { scope, budget: None, viewer, now, request_id, after };
        match app.api.subscribe(prepared, context, app.settings.query_timeout).await {
            Ok(subscription) => {
                let sent = metrics::counter!("campaigns_subscription_messages_total");
                Ok(ResponseStream {
                    subscription: subscription.into(),
                    _observed: observed,
                    _held: held,
                    sent,
                    burst: 0,
                })
            }
            Err(refused) => {
                observed.end(Code::of(&refused));
                Err(refused)
            }
        }
    }
}

impl ResponseStream {
    /// The next response, or `None` at the end. Thousands of subscriptions can be behind at once,
    /// so each yields after some responses: a new event then waits for a few of each, and not for
    /// all of them.
    pub(crate) async fn next(&mut self) -> Option<Payload> {
        self.burst += 1;
        if self.burst > BURST {
            self.burst = 0;
            tokio::task::yield_now().await;
        }
        let payload = self.subscription.next().await?;
        self.sent.increment(1);
        Some(payload)
    }

    /// The cursor of the last event that was returned.
    pub(crate) fn cursor(&self) -> Option<String> {
        self.subscription.cursor()
    }
}
