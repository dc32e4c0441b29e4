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

/// A regular expression for UTF-8 (RFC 3629, section 4) as SQLite quotes bytes, in a literal of SQL.
const UTF_8: &str = "^X''(?:[0-7].|(?:C[2-9A-F]|D.)[89AB].|E0[AB].[89AB].|E[1-9A-CEF](?:[89AB].){2}|ED[89].[89AB].\
                     |F0[9AB].(?:[89AB].){2}|F[1-3](?:[89AB].){3}|F48.(?:[89AB].){2})*''$";

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

    /// The condition that a column named in SQL text is null or an ID, as text. In SQLite, other programs
    /// can store other values where no CHECK holds.
    pub(crate) fn is_id(self, column: &str) -> String {
        match self {
            Self::Postgres => "true".to_owned(),
            Self::Sqlite => {
                format!("({column} IS NULL OR typeof({column}) = 'blob' AND length({column}) = 16)")
            }
        }
    }

    /// An ID as SQL text that both a UUID and another value can be read from.
    pub(crate) fn id_as_text(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("CAST({column} AS text)"),
            Self::Sqlite => format!(
                "CASE WHEN {} THEN lower(hex({column})) ELSE quote({column}) END",
                self.is_id(column)
            ),
        }
    }

    /// The condition that a column of text has what is not UTF-8, as SQL text.
    pub(crate) fn is_not_text(self, column: &str) -> String {
        match self {
            // it rejects such text
            Self::Postgres => "false".to_owned(),
            Self::Sqlite => format!(
                "{column} IS NOT NULL AND (typeof({column}) <> 'text' \
                 OR quote(CAST({column} AS BLOB)) NOT REGEXP '{UTF_8}')"
            ),
        }
    }

    /// Text that is ordered and compared by code point.
    #[must_use]
    pub fn by_code_point(self, text: Expr) -> Expr {
        match self {
            Self::Postgres => Expr::cust_with_expr("$1 COLLATE \"C\"", text),
            // a blob would come after all text
            Self::Sqlite => Expr::cust_with_expr("CAST(? AS TEXT) COLLATE BINARY", text),
        }
    }

    /// The condition that text is this one, by code point. A nondeterministic collation in PostgreSQL also
    /// considers other texts equal. Its own comparison, which is true as well, can use an index.
    #[must_use]
    pub fn is_text(self, own: Expr, text: &str) -> Expr {
        match self {
            Self::Postgres => own.clone().eq(text).and(self.by_code_point(own).eq(text)),
            Self::Sqlite => self.by_code_point(own).eq(text),
        }
    }

    /// The condition that text is one of these, by code point, as in [`Dialect::is_text`].
    #[must_use]
    pub fn is_text_in(self, own: Expr, texts: Vec<String>) -> Expr {
        match self {
            Self::Postgres => self
                .is_in(own.clone(), texts.clone())
                .and(self.is_in(self.by_code_point(own), texts)),
            Self::Sqlite => self.is_in(self.by_code_point(own), texts),
        }
    }

    /// The condition that text contains this part, ignoring case.
    #[must_use]
    pub fn contains(self, text: Expr, part: &str) -> Expr {
        self.matches(text, "", part, "")
    }

    /// The condition that text starts with this part, ignoring case.
    #[must_use]
    pub fn starts_with(self, text: Expr, part: &str) -> Expr {
        self.matches(text, "^", part, "")
    }

    /// The condition that text ends with this part, ignoring case.
    #[must_use]
    pub fn ends_with(self, text: Expr, part: &str) -> Expr {
        self.matches(text, "", part, "$")
    }

    /// The condition that text has this part, ignoring case, at its start (`^`) or its end (`$`), if one is
    /// given.
    fn matches(self, text: Expr, start: &str, part: &str, end: &str) -> Expr {
        match self {
            Self::Postgres => {
                let pattern = format!("{start}{}{end}", pattern_of(part));
                Expr::cust_with_exprs("($1 COLLATE \"C\") ~ $2", [text, Expr::val(pattern)])
            }
            // REGEXP fails at text that is not UTF-8, so it gets the bytes in hexadecimal, or NULL
            Self::Sqlite => {
                let before = if start.is_empty() { "(?:..)*" } else { "" };
                let after = if end.is_empty() { "" } else { "'$" };
                let pattern = format!("^X'{before}{}{after}", hex_pattern_of(part));
                let matches = "quote(CAST(? AS BLOB)) REGEXP ?";
                Expr::cust_with_exprs(matches, [text, Expr::val(pattern)])
            }
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

/// The position of a value that is not among these: after them.
pub(crate) fn of_unknown(values: &[&'static str]) -> i64 {
    i64::try_from(values.len()).unwrap_or(i64::MAX)
}

/// The position of text among these values, or [`of_unknown`].
pub(crate) fn position(text: &Expr, values: &[&'static str]) -> Expr {
    (0_i64..)
        .zip(values)
        .fold(CaseStatement::new(), |case, (index, value)| {
            case.case(text.clone().eq(*value), index)
        })
        .case(text.clone().is_not_null(), of_unknown(values))
        .into()
}

/// A regular expression that matches this text in hexadecimal, ignoring the case of its letters.
fn hex_pattern_of(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 8);
    for character in text.chars() {
        match fold::others(character) {
            Some(equal) => {
                let equal: Vec<String> = equal.iter().copied().map(hex).collect();
                pattern.push_str(&format!("(?:{})", equal.join("|")));
            }
            None => pattern.push_str(&hex(character)),
        }
    }
    pattern
}

/// The UTF-8 of a character in hexadecimal, as SQLite writes it.
fn hex(character: char) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).bytes();
    let halves = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// A regular expression for PostgreSQL that matches this text, ignoring case.
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
