//! The service around the schema: HTTP, the command line, configuration, the demo data.
//!
//! `main` passes the command line to [`command::run`]. `campaigns serve` creates an [`App`] and
//! serves it. The app contains everything that a request needs, so a test can create one by itself.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod app;
mod caller;
mod clock;
pub mod command;
pub mod demo;
mod development;
mod http;
mod input;
mod key_server;
mod listen;
mod logs;
mod metrics;
mod operation;
mod public_url;
mod push;
mod secrets;
mod settings;
mod socket;
mod traces;
mod webhooks;

pub use app::App;
pub use campaigns_web::{Pages, SignIn};
pub use clock::Clock;
pub use key_server::{KeyServer, Keys, Pace};
pub use public_url::PublicUrl;
pub use settings::{Settings, Timeouts};
