//! The differences between the two databases, each in one place.
//!
//! **Invariant.** A condition of this module selects the same rows in both databases. Case folding
//! does not depend on the locale of PostgreSQL or on SQLite's ASCII-only `lower`, because it is done
//! here, in the pattern: each character is replaced by the class of all characters that simple case
//! folding (Unicode, `CaseFolding.txt`, C and S) makes equal to it. The comparison itself is by code
//! point.

mod json;
mod list;

use sea_orm::{
    ColumnTrait, DbBackend,
    sea_query::{BinOper, CaseStatement, Expr, ExprTrait, Func},
};
use uuid::Uuid;

use crate::{OrganizationOwned, fold};

pub use json::JsonKind;
pub(crate) use list::json;

/// The maximum number of characters of the `part` in [`Dialect::contains`], [`Dialect::starts_with`]
/// and [`Dialect::ends_with`].
pub const MAX_PART: usize = 1_000;

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL's.
    Postgres,
    /// SQLite's.
    Sqlite,
}

impl Dialect {
    pub(crate) fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => Self::Postgres,
            _ => Self::Sqlite,
        }
    }

    pub(crate) fn backend(self) -> DbBackend {
        match self {
            Self::Postgres => DbBackend::Postgres,
            Self::Sqlite => DbBackend::Sqlite,
        }
    }

    /// The condition that a non-null column has this value, without use of an index on it. With the
    /// index, a cached plan could read all rows of an organization, because others have few.
    pub(crate) fn is_only(self, column: impl ColumnTrait, value: Uuid) -> Expr {
        match self {
            Self::Postgres => Expr::col(column.as_column_ref())
                .binary(BinOper::Custom("IS NOT DISTINCT FROM"), value),
            Self::Sqlite => column.eq(value),
        }
    }

    /// The condition that the organization sees a row under one of these IDs: its chosen ID, or its key
    /// if it has none.
    pub(crate) fn is_shown_as<E: OrganizationOwned>(self, ids: &[Uuid]) -> Expr {
        let ids = || ids.iter().copied();
        let Some(chosen) = E::CHOSEN_ID else { return self.is_one_of(E::ID, ids()) };
        let (id, chosen) = (Expr::col(E::ID.as_column_ref()), Expr::col(chosen.as_column_ref()));
        match self {
            // the expression of the unique index
            Self::Postgres => self.is_in(Func::coalesce([chosen, id]).into(), ids()),
            // each column has its own index
            Self::Sqlite => {
                let by_key = self.is_in(id, ids()).and(chosen.clone().is_null());
                by_key.or(self.is_in(chosen, ids()))
            }
        }
    }

    /// Text that is ordered and compared by code point.
    #[must_use]
    pub fn by_code_point(self, text: Expr) -> Expr {
        match self {
            Self::Postgres => Expr::cust_with_expr("$1 COLLATE \"C\"", text),
            Self::Sqlite => text,
        }
    }

    /// The condition that text contains this part, ignoring case.
    #[must_use]
    pub fn contains(self, text: Expr, part: &str) -> Expr {
        self.matches(text, pattern_of(part))
    }

    /// The condition that text starts with this part, ignoring case.
    #[must_use]
    pub fn starts_with(self, text: Expr, part: &str) -> Expr {
        self.matches(text, format!("^{}", pattern_of(part)))
    }

    /// The condition that text ends with this part, ignoring case.
    #[must_use]
    pub fn ends_with(self, text: Expr, part: &str) -> Expr {
        self.matches(text, format!("{}$", pattern_of(part)))
    }

    fn matches(self, text: Expr, pattern: String) -> Expr {
        match self {
            Self::Postgres => {
                Expr::cust_with_exprs("($1 COLLATE \"C\") ~ $2", [text, Expr::val(pattern)])
            }
            Self::Sqlite => Expr::cust_with_exprs("? REGEXP ?", [text, Expr::val(pattern)]),
        }
    }

    /// The negation of a condition, with null as false.
    #[must_use]
    pub fn not(self, condition: Expr) -> Expr {
        Expr::cust_with_exprs(
            if self == Self::Postgres { "($1) IS NOT TRUE" } else { "(?) IS NOT TRUE" },
            [condition],
        )
    }
}

/// The position of text among these values.
pub(crate) fn position(text: &Expr, values: &[&'static str]) -> Expr {
    (0_i64..)
        .zip(values)
        .fold(CaseStatement::new(), |case, (index, value)| {
            case.case(text.clone().eq(*value), index)
        })
        .into()
}

/// A regular expression for both databases that matches this text, ignoring case.
fn pattern_of(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 4);
    for character in text.chars() {
        if let Some(equal) = fold::others(character) {
            // only letters have case variants
            pattern.push('[');
            pattern.extend(equal);
            pattern.push(']');
        } else {
            // these include PostgreSQL's metacharacters
            if regex_syntax::is_meta_character(character) {
                pattern.push('\\');
            }
            pattern.push(character);
        }
    }
    pattern
}
