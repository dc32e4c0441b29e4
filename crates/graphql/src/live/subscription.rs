//! An open subscription.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_graphql::{
    Name, Response, Variables,
    futures_util::StreamExt,
    parser::types::{DocumentOperations, ExecutableDocument, Selection},
};
use async_graphql_value::Value;
use campaigns_analytics::{Figures, Watched};
use campaigns_feed::{Event, Follower, Wanted};
use campaigns_scope::{Scope, Viewer};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Live, Subject, Turn,
    group::{Group, Key},
};
use crate::{
    context::Now,
    error::{self, Code, Error},
    request::Shape,
    schema::Schema,
};

/// An answer of a subscription as it is sent: an execution result in JSON.
pub type Payload = Arc<str>;

/// How long to wait before an answer is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How often an answer that takes too long is tried.
const SLOW_ATTEMPTS: usize = 3;

/// An operation that is executed again and again.
pub(crate) struct Followed {
    pub(crate) schema: Schema,
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) document: ExecutableDocument,
    pub(crate) variables: Variables,
    pub(crate) shape: Shape,
    pub(crate) scope: Arc<Scope>,
    pub(crate) viewer: Viewer,
    pub(crate) now: DateTime<Utc>,
    pub(crate) timeout: Duration,
}

/// An open subscription: give it a `next` until it has no more.
pub struct Subscription {
    operation: Followed,
    source: Source,
}

enum Source {
    /// One answer, and none.
    Once(Option<Response>),
    Events(Box<Follower>, Arc<Group>),
    Figures {
        first: Option<Figures>,
        last: Figures,
        watched: Watched,
    },
}

impl Subscription {
    /// Checks a subscription's arguments and opens it.
    ///
    /// # Errors
    /// The response that says why it was not opened.
    pub(crate) async fn open(live: &Live, operation: Followed) -> Result<Self, Response> {
        let turn = Arc::new(Turn::Opening(<_>::default()));
        let response = operation.run(&turn).await;
        let subject = match &*turn {
            Turn::Opening(subject) => subject.lock().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        let source = match (response, subject) {
            (Some(response), _) if !response.errors.is_empty() => return Err(response),
            (response, None) => Source::Once(response),
            (_, Some(Subject::Events { after, condition, test })) => {
                let wanted = Wanted { condition, selects: test };
                let scope = Arc::clone(&operation.scope);
                let follower = live.feed.follow(scope, after, wanted).await;
                let follower = follower.map_err(|error| Error::from(error).into_response())?;
                Source::Events(Box::new(follower), live.groups.join(operation.key()))
            }
            (_, Some(Subject::Figures { campaign, now })) => {
                let watched = live.watches.watch(&operation.scope, campaign, &now);
                Source::Figures { first: Some(now.clone()), last: now, watched }
            }
        };
        Ok(Self { operation, source })
    }

    /// The next answer; `None` where there will be no more. May be dropped while it waits, but not
    /// while it renders.
    pub async fn next(&mut self) -> Option<Payload> {
        let Self { operation, source } = self;
        match source {
            Source::Once(response) => response.take().map(|response| json(&response)),
            Source::Events(follower, group) => match follower.next().await {
                Ok(event) => {
                    let position = event.feed_position;
                    Some(group.payload(position, async || operation.show(event).await).await)
                }
                Err(error) => {
                    let response = Error::from(error).into_response();
                    *source = Source::Once(None);
                    Some(json(&error::seal(response, Uuid::new_v4())))
                }
            },
            Source::Figures { first, last, watched } => {
                let figures = match first.take() {
                    Some(figures) => figures,
                    None => changed(watched, last).await?,
                };
                last.clone_from(&figures);
                Some(json(&operation.render(Turn::Figures(figures)).await))
            }
        }
    }
}

/// The figures once they are others than these.
async fn changed(watched: &mut Watched, last: &Figures) -> Option<Figures> {
    loop {
        {
            let figures = watched.borrow_and_update();
            match &*figures {
                None => return None,
                Some(figures) if figures != last => return Some(figures.clone()),
                Some(_) => {}
            }
        }
        watched.changed().await.ok()?;
    }
}

impl Followed {
    async fn show(&self, event: Event) -> Payload {
        json(&self.render(Turn::Event(event)).await)
    }

    /// An answer, tried until the database answers.
    async fn render(&self, turn: Turn) -> Response {
        let turn = Arc::new(turn);
        let mut slow = 0;
        loop {
            let Some(response) = self.run(&turn).await else { return Response::default() };
            let failed_for = |code: Code| {
                response.errors.iter().any(|error| error::code_of(error) == Some(code.as_str()))
            };
            slow += usize::from(failed_for(Code::Timeout));
            let again =
                failed_for(Code::Unavailable) || failed_for(Code::Timeout) && slow < SLOW_ATTEMPTS;
            if !again {
                return response;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Executes the selection once.
    async fn run(&self, turn: &Arc<Turn>) -> Option<Response> {
        let mut request = async_graphql::Request::new(&self.query)
            .variables(self.variables.clone())
            .data(Arc::clone(&self.scope))
            .data(self.viewer.clone())
            .data(Now(self.now))
            .data(Arc::clone(turn));
        request.operation_name.clone_from(&self.operation_name);
        request.set_parsed_query(self.document.clone());
        let mut stream = self.schema.execute_stream(request);
        let response = match tokio::time::timeout(self.timeout, stream.next()).await {
            Ok(response) => response?,
            Err(_) => error::timeout().into_response(),
        };
        let mut response = error::seal(response, Uuid::new_v4());
        self.shape.apply(&mut response);
        Some(response)
    }

    /// What subscribers that see the same have in common: all but the cursor that they begin
    /// after, where that is a variable which stands nowhere else.
    fn key(&self) -> Key {
        let mut variables = self.variables.clone();
        let after: Vec<String> = variables
            .keys()
            .filter(|name| self.is_only_after(name))
            .map(ToString::to_string)
            .collect();
        for name in after {
            variables.remove(name.as_str());
        }
        Key {
            organization: self.scope.organization(),
            query: self.query.clone(),
            operation_name: self.operation_name.clone(),
            variables: serde_json::to_string(&variables).unwrap_or_default(),
        }
    }

    /// Whether a variable is the root's `after`, and nothing else.
    fn is_only_after(&self, name: &Name) -> bool {
        let DocumentOperations::Single(operation) = &self.document.operations else { return false };
        let mut set = operation.node.selection_set.node.clone();
        let variable = Value::Variable(name.clone());
        let mut is_after = false;
        for selection in &mut set.items {
            if let Selection::Field(field) = &mut selection.node {
                field.node.arguments.retain(|(argument, value)| {
                    let this = argument.node == "after" && value.node == variable;
                    is_after |= this;
                    !this
                });
            }
        }
        // wherever else it may stand
        let elsewhere = format!("{set:?} {:?}", self.document.fragments);
        is_after && !elsewhere.contains(&format!("{variable:?}"))
    }
}

fn json(response: &Response) -> Payload {
    serde_json::to_string(response).unwrap_or_default().into()
}
