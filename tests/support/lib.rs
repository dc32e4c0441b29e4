//! What the tests stand on: a database of their own, a service on it, and clients that ask.

#![expect(clippy::disallowed_methods, reason = "a test also bypasses the scope")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod app;
mod binary;
mod client;
mod database;
mod fixtures;
mod found;
mod oracle;
mod pooler;
mod proxy;
mod python;
mod socket;

pub use app::{Organization, Sent, TestApp};
pub use binary::{
    Binary, Example, Finished, Followed, Followers, Issuer, NodeProgram, node, node_passes,
    serve_arguments,
};
pub use client::{Answer, Client};
pub use database::{Backend, Postgres, TestDatabase, no_space, postgres_program};
pub use fixtures::{Fixtures, populate};
pub use found::{Statuses, assert_same_schema};
pub use oracle::{Oracle, assert_exact, fold_all};
pub use pooler::Pooler;
pub use proxy::{Proxy, free_port};
pub use python::python;
pub use socket::{Received, Socket};

/// Makes tests of each of the functions, with a service on it, for each database, and for PostgreSQL
/// with a schema that another program made, behind row security, and behind a pooler.
#[macro_export]
macro_rules! on_every_database {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            #[expect(unused_imports, reason = "not every test needs all of its file")]
            use super::*;

            async fn test($app: $crate::TestApp) $body

            #[tokio::test]
            async fn sqlite() {
                test($crate::TestApp::start($crate::Backend::Sqlite).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                test($crate::TestApp::start($crate::Backend::Postgres).await).await;
            }

            #[tokio::test]
            async fn adopted() {
                test($crate::TestApp::adopted().await).await;
            }

            #[tokio::test]
            async fn behind_row_security() {
                test($crate::TestApp::behind_row_security().await).await;
            }

            #[tokio::test]
            async fn behind_a_pooler() {
                test($crate::TestApp::behind_a_pooler().await).await;
            }
        }
    )* };
}

/// Makes a test of each of the functions for each database, with a service on it, which may have settings.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => {
        $crate::on_both_databases! {
            with campaigns_server::Settings::default();
            $($(#[$meta])* async fn $name($app: TestApp) $body)*
        }
    };
    (with $settings:expr; $($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            #[expect(unused_imports, reason = "not every test needs all of its file")]
            use super::*;

            async fn test($app: $crate::TestApp) $body

            #[tokio::test]
            async fn sqlite() {
                test($crate::TestApp::with_settings($crate::Backend::Sqlite, $settings).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                test($crate::TestApp::with_settings($crate::Backend::Postgres, $settings).await).await;
            }
        }
    )* };
}
