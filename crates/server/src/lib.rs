//! The service around the schema: HTTP, the command line, configuration, the demo data.
//!
//! `main` hands the words of the command line to [`command::run`]; `campaigns serve` makes an
//! [`App`] and serves it. Everything that a request needs is in the app, so that a test can make
//! one by itself.

#![warn(missing_docs)]

mod app;
pub mod command;
pub mod demo;
mod development;
mod http;
mod key_server;
mod listen;
mod logs;
mod metrics;
mod observe;
mod socket;
mod traces;

pub use app::{App, Clock, Settings, Timeouts};
pub use campaigns_web::Pages;
pub use key_server::{KeyServer, Pace};
