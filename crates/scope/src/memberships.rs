//! Memberships: the organization and role of users whose tokens do not name an organization.
//!
//! **Invariants.** Only active memberships of active users count. A result is valid for
//! [`CACHE_TTL`] and no longer. Concurrent requests share one look-up ([`LookUps`]), and a subject
//! has one cache entry, regardless of the organizations that its requests name.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

use crate::{
    Bearer, Database, Error, Role, Viewer,
    connections::Session,
    lookups::{LOOK_UP_TIMEOUT, LookUps},
};

/// How long found memberships are valid.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// How long the absence of memberships is cached. It is short, since the user may be joining.
const ABSENCE_TTL: Duration = Duration::from_secs(1);
/// The maximum number of users whose memberships are cached.
const MAX_USERS: usize = 10_000;
/// The maximum number of cached memberships of a user. Any further one is looked up for each
/// request.
const MAX_CACHED_MEMBERSHIPS: usize = 100;

const MEMBERSHIPS_OF_USER: &str = "SELECT memberships.org_id, CAST(memberships.role AS text) AS role \
     FROM users JOIN memberships ON memberships.user_id = users.id \
     WHERE users.auth_id = $1 AND users.is_active IS NOT FALSE AND memberships.status = 'active'";

/// The reason why a bearer has no viewer.
#[derive(Debug, thiserror::Error)]
pub enum NoViewer {
    /// The subject is not an active user with an active membership.
    #[error("the token's subject is not an active user with an active membership")]
    NoMembership,
    /// There are several memberships, and the request names none.
    #[error("the user has several organizations")]
    Several,
    /// The user is not a member of the named organization.
    #[error("the user is not an active member of this organization")]
    NotAMember,
    /// The look-up failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// The memberships in a database, cached.
pub struct Memberships {
    table: Table,
    known: LookUps<Uuid, SubjectMemberships>,
}

/// The memberships of a subject.
type SubjectMemberships = Arc<[(Uuid, Role)]>;

/// The table of memberships.
#[derive(Clone)]
struct Table {
    session: Session,
    admin_roles: Arc<[String]>,
}

impl Memberships {
    /// The memberships in a database. Members with one of these roles are admins.
    #[must_use]
    pub fn new(database: &Database, admin_roles: Vec<String>) -> Self {
        let session = database.operator().session().reading().by_key();
        let known =
            LookUps::new(MAX_USERS, |found: &Result<SubjectMemberships, Error>| match found {
                Ok(found) if found.is_empty() => ABSENCE_TTL,
                Ok(_) => CACHE_TTL,
                Err(_) => Duration::ZERO,
            });
        Self { table: Table { session, admin_roles: admin_roles.into() }, known }
    }

    /// The viewer for a bearer: from the token if it names an organization, and otherwise from the
    /// membership in the named organization, or from the only membership.
    ///
    /// # Errors
    /// If there is no such membership, if there are several and none is named, or if the look-up
    /// fails.
    pub async fn viewer(&self, bearer: &Bearer, named: Option<Uuid>) -> Result<Viewer, NoViewer> {
        if let Some(viewer) = bearer.viewer() {
            return Ok(viewer);
        }
        let subject = Uuid::try_parse(bearer.subject()).map_err(|_| NoViewer::NoMembership)?;
        let look_up = |until| {
            let table = self.table.clone();
            async move { table.look_up(subject, None, until).await }
        };
        let found = self.known.get(subject, look_up).await?;
        let (organization, role) = match (named, &found[..]) {
            (_, []) => return Err(NoViewer::NoMembership),
            (None, [only]) => *only,
            (None, _) => return Err(NoViewer::Several),
            (Some(named), all) => match all.iter().find(|(id, _)| *id == named) {
                Some(one) => *one,
                None if all.len() < MAX_CACHED_MEMBERSHIPS => return Err(NoViewer::NotAMember),
                None => {
                    let until = Instant::now() + LOOK_UP_TIMEOUT;
                    let of_it = self.table.look_up(subject, Some(named), until).await?;
                    *of_it.first().ok_or(NoViewer::NotAMember)?
                }
            },
        };
        Ok(bearer.within(organization, role))
    }
}

impl Table {
    async fn look_up(
        &self,
        subject: Uuid,
        organization: Option<Uuid>,
        until: Instant,
    ) -> Result<SubjectMemberships, Error> {
        let mut sql = MEMBERSHIPS_OF_USER.to_owned();
        let mut values = vec![Value::from(subject)];
        if let Some(organization) = organization {
            sql += " AND memberships.org_id = $2";
            values.push(organization.into());
        }
        sql += &format!(" LIMIT {MAX_CACHED_MEMBERSHIPS}");
        let backend = self.session.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.session.clone().until(until).query_all_raw(statement).await?;
        let found = rows.iter().map(|row| {
            let role: Option<String> = row.try_get("", "role")?;
            let is_admin = role.is_some_and(|role| self.admin_roles.contains(&role));
            let role = if is_admin { Role::Admin } else { Role::Member };
            Ok((row.try_get("", "org_id")?, role))
        });
        Ok(found.collect::<Result<_, DbErr>>()?)
    }
}
