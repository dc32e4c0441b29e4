//! The settings of the service, with their defaults.

use std::{path::PathBuf, sync::Arc, time::Duration};

use campaigns_encryption::Keyring;
use campaigns_graphql::Limits;
use campaigns_operation::Documents;
use campaigns_providers::MachineAgents;
use campaigns_web::{Pages, SignIn};

use crate::PublicUrl;

/// The maximum of [`Settings::max_peers`]: more connections than a machine can hold.
const MAX_PEERS: usize = 10_000_000;

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The maximum number of bytes of a request's body.
    pub max_body: usize,
    /// The maximum time of an operation.
    pub query_timeout: Duration,
    /// The limits of an operation.
    pub limits: Limits,
    /// Whether introspection is on.
    pub introspection: bool,
    /// The persisted documents.
    pub documents: Documents,
    /// The maximum number of operations in a request; 1 allows no batches.
    pub max_batch: usize,
    /// The pages at `/` and `/graphiql`.
    pub pages: Pages,
    /// How users sign in to the pages, in addition to pasting a token.
    pub sign_in: SignIn,
    /// The origins whose pages can send requests.
    pub cors_origins: Vec<http::HeaderValue>,
    /// Where users reach the service, if a proxy gives its pages another origin than the `Host` that it
    /// forwards, or a path.
    pub public_url: Option<PublicUrl>,
    /// The maximum number of TCP connections.
    pub max_peers: usize,
    /// The maximum number of sockets that are not authenticated yet.
    pub max_unknown_sockets: usize,
    /// The maximum number of sockets of an organization.
    pub max_sockets: usize,
    /// The maximum number of simultaneous operations on a socket.
    pub max_operations: usize,
    /// The maximum number of bytes that wait until the peer of a socket reads them.
    pub max_socket_bytes: usize,
    /// The interval of pings to the peer of a socket. A peer that is silent for twice as long is
    /// dropped.
    pub socket_ping: Duration,
    /// The interval of checks whether the caller of a socket is still allowed.
    pub socket_check: Duration,
    /// How long a required task can fail before the service is no longer ready.
    pub task_patience: Duration,
    /// The timeouts for peers.
    pub timeouts: Timeouts,
    /// The membership roles that make a user an admin, if memberships are used for tokens without
    /// an organization.
    pub membership_admin_roles: Option<Vec<String>>,
    /// The keys that encrypt secrets in the database.
    pub keyring: Keyring,
    /// The user agents whose opens and clicks are marked as a machine's, if a provider reports them.
    pub machine_agents: Arc<MachineAgents>,
    /// A directory with signing certificates of Amazon SNS.
    pub sns_certificates: Option<PathBuf>,
    /// An operation that takes this long is logged as slow.
    pub slow_operation: Duration,
    /// Whether `/metrics` is served at the address of the API.
    pub has_metrics: bool,
}

/// The timeouts for the peer of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the header of a request, counted from the connection for the first one.
    pub header: Duration,
    /// For its next request.
    pub idle: Duration,
    /// For the body of a request, or the rest of a message on a socket.
    pub body: Duration,
    /// For reading part of what it is sent.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            // longer than common load balancers keep an idle connection
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// For a whole response, if the peer keeps reading parts of it.
    pub(crate) fn answer(&self) -> Duration {
        self.write * 10
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 8 * 1024 * 1024,
            query_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            introspection: true,
            documents: Documents::default(),
            max_batch: 1,
            pages: Pages::default(),
            sign_in: SignIn::default(),
            cors_origins: Vec::new(),
            public_url: None,
            max_peers: 10_000,
            max_unknown_sockets: 1_000,
            max_sockets: 5_000,
            max_operations: 100,
            max_socket_bytes: 1 << 20,
            socket_ping: Duration::from_secs(15),
            socket_check: Duration::from_secs(10),
            task_patience: Duration::from_secs(30),
            timeouts: Timeouts::default(),
            membership_admin_roles: None,
            keyring: Keyring::default(),
            machine_agents: Arc::default(),
            sns_certificates: None,
            slow_operation: Duration::from_secs(1),
            has_metrics: true,
        }
    }
}

impl Settings {
    /// The path below which the service is reached, besides the root. Empty if there is none.
    pub(crate) fn prefix(&self) -> &str {
        self.public_url.as_ref().map_or("", PublicUrl::prefix)
    }

    pub(crate) fn max_peers(&self) -> usize {
        self.max_peers.min(MAX_PEERS)
    }
}
