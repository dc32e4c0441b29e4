//! The door: who asks, for which organization, with which rights, and the one way to a row.
//!
//! A [`Verifier`] makes a [`Bearer`] of a token; the token's claims or a membership
//! ([`Memberships`]) make a [`Viewer`] of the bearer, and [`Database::enter`] a [`Scope`] of the
//! viewer. The scope gives queries ([`Scope::find`]), writes rows ([`Scope::insert`],
//! [`Scope::update`]) and runs what it gave. Deleting takes an [`Admin`], which a scope gives only
//! where the claims say so.
//!
//! **Invariants.**
//! - Every statement carries the organization of the scope: a select, insert, update or delete, a
//!   joined or embedded query, a piece of SQL text. What runs a statement takes only what the
//!   scope made with the predicate in it, and the connection inside is private.
//! - A row refers to rows of its own organization alone. [`Scope::insert`] and [`Scope::update`]
//!   look up every reference that they write, whatever the database checks itself.
//! - Nobody deletes but through [`Admin`].
//!
//! A scope is no connection, so a query that did not come from it has nothing to run on:
//!
//! ```compile_fail
//! # use campaigns_scope::Scope; use campaigns_entity::campaign; use sea_orm::EntityTrait;
//! async fn all(scope: &Scope) {
//!     campaign::Entity::find().all(scope).await;
//! }
//! ```
//!
//! Neither does a scope run a bare query, nor show its connection:
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
//! Nobody can make a bearer, a viewer, a scope or an admin by hand:
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
//! Neither does a bearer enter an organization that nobody gave it:
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
//! What all of these leave out compiles:
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
//! The compiler cannot see a query that is built by hand inside a filter; clippy can, and
//! `clippy.toml` forbids the functions that start one outside of this crate.

#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "this is where they are allowed")]

mod admin;
mod budget;
mod connections;
mod counts;
mod database;
mod dialect;
mod doctor;
mod due;
mod error;
mod feed;
mod fold;
mod memberships;
mod operator;
mod owned;
mod page;
mod raw;
mod rights;
mod scope;
mod shares;
mod time;
mod token;
mod unreadable;
mod wall;
mod weigh;

pub use admin::Admin;
pub use budget::{Budget, Budgets, ByteLimits, Exhausted, Held, Share};
pub use counts::{COUNT_TABLES, CountTable, Counts, Difference};
pub use database::{Database, Observer, Options};
pub use dialect::{Dialect, JsonKind, MAX_PART};
pub use doctor::{Check, Doctor, Found};
pub use due::Due;
pub use error::Error;
pub use feed::{BrokenTrigger, FeedReader, FeedRow, Holder};
pub use fold::folded;
pub use memberships::{Memberships, NoViewer};
pub use operator::Operator;
pub use owned::{Dependent, Hanging, OrganizationOwned};
pub use page::{Direction, KeyKind, KeyValue, Order, OrderKey, Page, Window};
pub use raw::{Given, Sql};
pub use scope::{FeedPage, Place, Scope, Scoped, Settled, Sorted, Turn};
pub use shares::Occupancy;
pub use time::storable_time;
pub use token::{
    Bearer, ClaimRules, ConflictingClaims, InvalidKey, InvalidToken, Key, KeySet, Role, Signer,
    Verifier, Viewer,
};
pub use wall::Sight;
pub use weigh::json as json_weight;
