//! Access control: the caller, its organization and its rights, and the only access to the database.
//!
//! A [`Verifier`] turns a token into a [`Bearer`]. The token's claims, or a membership
//! ([`Memberships`]), turn the bearer into a [`Viewer`], and [`Database::enter`] turns the viewer
//! into a [`Scope`]. The scope gives queries ([`Scope::find`]), writes rows ([`Scope::insert`],
//! [`Scope::update`]) and runs the queries that it gave. Deleting requires an [`Admin`], which a
//! scope gives only if the viewer is an admin.
//!
//! **Invariants.**
//! - Every statement contains the organization of the scope: a select, insert, update or delete, a
//!   joined or embedded query, a piece of SQL text. Statements run only if the scope made them,
//!   with the predicate in them, and the connection inside is private.
//! - A row refers only to rows of its own organization. [`Scope::insert`] and [`Scope::update`]
//!   look up every reference that they write, in addition to what the database checks.
//! - Rows are deleted only through [`Admin`].
//!
//! A scope is not a connection, so a query that does not come from it has nothing to run on:
//!
//! ```compile_fail
//! # use campaigns_scope::Scope; use campaigns_entity::campaign; use sea_orm::EntityTrait;
//! async fn all(scope: &Scope) {
//!     campaign::Entity::find().all(scope).await;
//! }
//! ```
//!
//! A scope neither runs a bare query nor exposes its connection:
//!
//! ```compile_fail
//! # use campaigns_scope::Scope; use campaigns_entity::campaign; use sea_orm::EntityTrait;
//! async fn all(scope: &Scope) {
//!     scope.all(campaign::Entity::find()).await;
//! }
//! ```
//!
//! ```compile_fail
//! # use campaigns_scope::Scope;
//! fn connection(scope: &Scope) -> &impl sea_orm::ConnectionTrait {
//!     &scope.session
//! }
//! ```
//!
//! A bearer, a viewer, a scope or an admin cannot be made by hand:
//!
//! ```compile_fail
//! # use campaigns_scope::{Admin, Scope};
//! fn admin(scope: &Scope) -> Admin<'_> {
//!     Admin { scope }
//! }
//! ```
//!
//! ```compile_fail
//! # use campaigns_scope::{Role, Viewer};
//! fn viewer(organization: uuid::Uuid) -> Viewer {
//!     Viewer { subject: "x".into(), organization, role: Role::Admin, expires_at: Default::default() }
//! }
//! ```
//!
//! ```compile_fail
//! # use campaigns_scope::{Bearer, Role};
//! fn bearer(organization: uuid::Uuid) -> Bearer {
//!     Bearer { subject: "x".into(), claimed: Some((organization, Role::Admin)), expires_at: Default::default() }
//! }
//! ```
//!
//! A bearer cannot enter an organization that it was not given:
//!
//! ```compile_fail
//! # use campaigns_scope::{Bearer, Role, Viewer};
//! fn viewer(bearer: &Bearer, organization: uuid::Uuid) -> Viewer {
//!     bearer.within(organization, Role::Admin)
//! }
//! ```
//!
//! A scope deletes nothing:
//!
//! ```compile_fail
//! # use campaigns_scope::Scope; use campaigns_entity::campaign;
//! async fn delete(scope: &Scope, id: uuid::Uuid) {
//!     scope.delete::<campaign::Entity>(id).await;
//! }
//! ```
//!
//! The permitted way compiles:
//!
//! ```
//! # use campaigns_scope::{Bearer, Error, Memberships, NoViewer, Scope, Viewer};
//! # use campaigns_entity::campaign; use std::time::Duration;
//! async fn viewer(memberships: &Memberships, bearer: &Bearer) -> Result<Viewer, NoViewer> {
//!     memberships.viewer(bearer, None).await
//! }
//!
//! async fn delete(scope: &Scope, id: uuid::Uuid) -> Result<bool, Error> {
//!     let count = scope.all(scope.find::<campaign::Entity>()).await?.len();
//!     match scope.admin() {
//!         Some(admin) if count > 0 => {
//!             admin.delete::<campaign::Entity>(id, Duration::from_secs(60)).await
//!         }
//!         _ => Ok(false),
//!     }
//! }
//! ```
//!
//! The compiler cannot detect a query that is built by hand inside a filter. Clippy can:
//! `clippy.toml` forbids the functions that start one outside this crate.

#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "this is where they are allowed")]

mod admin;
mod budget;
mod condition;
mod connections;
mod counts;
mod cursor_key;
mod database;
mod dialect;
mod doctor;
mod due;
mod error;
mod feed;
mod fold;
mod horizon;
mod lookups;
mod memberships;
mod operator;
mod options;
mod owned;
mod page;
mod raw;
mod recent;
mod referrers;
mod refusers;
mod rights;
mod row_security;
mod scope;
mod secrets;
mod sequence;
mod shares;
mod tables;
mod time;
mod token;
mod triggers;
mod unreadable;
mod webhooks;
mod weigh;

pub use admin::Admin;
pub use budget::{Budget, Budgets, ByteLimits, Exhausted, Reservation};
pub use condition::ConditionMemory;
pub use connections::Writability;
pub use counts::{COUNT_TABLES, CountTable, Counts, Difference, FilingOutcome};
pub use cursor_key::CursorKey;
pub use database::{Database, SessionFaults, primary, writability};
pub use dialect::{Dialect, JsonKind, MAX_PART};
pub use doctor::{Check, Doctor, Findings};
pub use due::{DueCampaign, Exclusions};
pub use error::Error;
pub use feed::{FeedReader, FeedRow, Holder, Span};
pub use fold::folded;
pub use horizon::{Bucket, Horizon};
pub use memberships::{Memberships, NoViewer};
pub use operator::Operator;
pub use options::{Observer, Options};
pub use owned::{Dependent, OrganizationOwned, ReferencingColumn};
pub use page::{Direction, KeyKind, KeyValue, Order, OrderKey, Page, Selects, Window};
pub use raw::{Sql, ValuesTable};
pub use row_security::Visibility;
pub use scope::{
    BackgroundPermit, ExecutionPermit, FeedPage, InsertOutcome, Place, Scope, Scoped,
    SendRecipient, SettledPosition,
};
pub use secrets::{Secret, Secrets};
pub use sequence::FeedFault;
pub use shares::{Occupancy, Share};
pub use time::storable_time;
pub use token::{
    Bearer, ClaimRules, ConflictingClaims, InvalidKey, InvalidToken, Key, KeySet, Role, Signer,
    Verifier, Viewer,
};
pub use triggers::{BrokenTrigger, Triggers, triggers};
pub use unreadable::leave_out;
pub use webhooks::{
    FoundSend, MessageId, OnceToken, WaitingEvent, WaitingKey, Webhook, WebhookPart, WebhookStats,
    WebhookUpkeep, new_path_token,
};
pub use weigh::{json as json_weight, parsed_objects as parsed_objects_weight};
