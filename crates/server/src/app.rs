//! The parts of a running service.

use std::{ops::Deref, sync::Arc};

use campaigns_analytics::Keeper;
use campaigns_delivery::{Intake, WebhookKeeper};
use campaigns_feed::Feed;
use campaigns_graphql::Api;
use campaigns_scope::{Database, Memberships};
use campaigns_tasks::Task;
use tokio::sync::Semaphore;

use crate::{
    Clock, Keys, Settings,
    metrics::{Metrics, Operations},
    push::Sockets,
    webhooks::Certificates,
};

/// Everything that a request needs. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    pub(crate) api: Api,
    pub(crate) feed: Feed,
    /// Writes events and delivery reports, in shared transactions. Handlers that write them must
    /// use this one, and then wake the feed.
    pub(crate) intake: Intake,
    pub(crate) database: Database,
    pub(crate) keys: Keys,
    pub(crate) memberships: Option<Memberships>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) sockets: Sockets,
    pub(crate) metrics: Metrics,
    pub(crate) operations: Operations,
    /// The TCP connections that can still be opened.
    pub(crate) free_peers: Arc<Semaphore>,
    pub(crate) keeper: Keeper,
    /// Certificates of webhooks of Amazon SNS.
    pub(crate) certificates: Certificates,
    _webhooks: WebhookKeeper,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// A service on a database, for tokens that the keys verify. Call it within a runtime: it
    /// starts to follow the feed and to maintain the counts.
    #[must_use]
    pub fn new(
        database: Database,
        keys: impl Into<Keys>,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let metrics = Metrics::of_process();
        database.count_statements();
        let keeper = Keeper::start(database.counts());
        let webhooks = WebhookKeeper::start(database.webhook_upkeep());
        let certificates = Certificates::new(settings.sns_certificates.clone());
        let admin_roles = settings.membership_admin_roles.clone();
        let memberships = admin_roles.map(|roles| Memberships::new(&database, roles));
        let (feed, intake) = (Feed::start(database.feed_reader()), Intake::default());
        Self(Arc::new(Parts {
            api: Api::new(
                settings.introspection,
                settings.limits,
                settings.documents.clone(),
                feed.clone(),
                intake.clone(),
                settings.keyring.clone(),
            ),
            feed,
            intake,
            database,
            keys: keys.into(),
            memberships,
            clock,
            sockets: Sockets::new(settings.max_unknown_sockets),
            free_peers: Arc::new(Semaphore::new(settings.max_peers())),
            settings,
            metrics,
            operations: Operations::new(),
            keeper,
            certificates,
            _webhooks: webhooks,
        }))
    }

    /// The intake of events and delivery reports, which all writers of this process share.
    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The name of a task that the service needs and that has been failing for too long.
    pub(crate) fn failing_task(&self) -> Option<&'static str> {
        let tasks = [Some(self.feed.task()), Some(self.keeper.task()), self.keys.task()];
        let is_failing = |task: &&Task| {
            task.failing_for().is_some_and(|time| time >= self.settings.task_patience)
        };
        tasks.into_iter().flatten().find(is_failing).map(Task::name)
    }

    /// How many TCP connections are open.
    pub(crate) fn peers(&self) -> usize {
        self.settings.max_peers() - self.free_peers.available_permits()
    }

    /// Closes all sockets, and waits until they are closed.
    pub(crate) async fn end_sockets(&self) {
        self.sockets.end().await;
    }
}
