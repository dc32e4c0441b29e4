//! What the two databases say differently, said once.
//!
//! **Invariant.** A condition of this module selects the same rows on both. What neither the
//! locale of a PostgreSQL database nor SQLite's ASCII-only `lower` can spoil is done here, in
//! the needle: a character becomes the class of all characters that simple case folding
//! (Unicode, `CaseFolding.txt`, C and S) makes equal to it, and the comparison itself
//! is by code point.

use sea_orm::{
    ColumnTrait, DbBackend, Value,
    sea_query::{BinOper, CaseStatement, Expr, ExprTrait, extension::postgres::PgFunc},
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{fold, raw::custom};

/// A database's way to say things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL's.
    Postgres,
    /// SQLite's.
    Sqlite,
}

impl Dialect {
    pub(crate) fn backend(self) -> DbBackend {
        match self {
            Self::Postgres => DbBackend::Postgres,
            Self::Sqlite => DbBackend::Sqlite,
        }
    }

    /// That a column has one of these ids; the text of it does not depend on how many they are, where
    /// the database has arrays.
    pub(crate) fn is_one_of(self, column: impl ColumnTrait, ids: &[Uuid]) -> Expr {
        match self {
            Self::Postgres => {
                Expr::col(column.as_column_ref()).eq(PgFunc::any(Expr::val(ids.to_vec())))
            }
            Self::Sqlite => column.is_in(ids.iter().copied()),
        }
    }

    /// That a column that is never null has this value, where no index of it is to be used: a plan that is
    /// kept would read all rows of an organization where others have few.
    pub(crate) fn is_only(self, column: impl ColumnTrait, value: Uuid) -> Expr {
        match self {
            Self::Postgres => Expr::col(column.as_column_ref())
                .binary(BinOper::Custom("IS NOT DISTINCT FROM"), value),
            Self::Sqlite => column.eq(value),
        }
    }

    /// That text has this part, whatever the case.
    #[must_use]
    pub fn contains(self, text: Expr, part: &str) -> Expr {
        self.matches(text, pattern_of(part))
    }

    /// That text starts with this part, whatever the case.
    #[must_use]
    pub fn starts_with(self, text: Expr, part: &str) -> Expr {
        self.matches(text, format!("^{}", pattern_of(part)))
    }

    /// That text ends with this part, whatever the case.
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

    /// That the JSON in a column contains this value: every key and value of it, an array's
    /// elements in any order, at any depth, as PostgreSQL's `@>` has it. Null counts as `{}`.
    #[must_use]
    pub fn json_contains(self, column: &'static str, part: &Json) -> Expr {
        match self {
            Self::Postgres => custom(
                self.backend(),
                &format!("coalesce(nullif({column}, 'null'), '{{}}') @> CAST(? AS jsonb)"),
                vec![Value::from(part.clone())],
            ),
            Self::Sqlite => {
                let mut values = Vec::new();
                let mut test = json_test(part, 0, &mut values);
                if !part.is_object() && !part.is_array() {
                    // an array may contain a bare value, but only at the top
                    let inside = json_test(part, 1, &mut values);
                    test = format!("({test} OR {})", json_inside("array", 0, &inside));
                }
                custom(
                    self.backend(),
                    &format!(
                        "EXISTS (SELECT 1 FROM \
                         json_each(json_array(json(coalesce(nullif({column}, 'null'), '{{}}')))) AS e0 WHERE {test})"
                    ),
                    values,
                )
            }
        }
    }

    /// That the JSON in a column is an object with this key.
    #[must_use]
    pub fn json_has_key(self, column: &'static str, key: &str) -> Expr {
        let text = match self {
            Self::Postgres => {
                format!("jsonb_typeof({column}) = 'object' AND jsonb_exists({column}, ?)")
            }
            Self::Sqlite => format!(
                "CASE json_type({column}) WHEN 'object' THEN EXISTS \
                 (SELECT 1 FROM json_each({column}) AS e0 WHERE e0.key = ?) ELSE FALSE END"
            ),
        };
        custom(self.backend(), &text, vec![key.into()])
    }

    /// That a condition does not hold, which it does not where it is null.
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

/// Text as a pattern that both databases' regular expressions take, whatever the case.
fn pattern_of(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 4);
    for character in text.chars() {
        if let Some(equal) = fold::others(character) {
            // letters alone have more than one
            pattern.push('[');
            pattern.extend(equal);
            pattern.push(']');
        } else {
            // as PostgreSQL's metacharacters are among these
            if regex_syntax::is_meta_character(character) {
                pattern.push('\\');
            }
            pattern.push(character);
        }
    }
    pattern
}

/// That the element `e{level}` of a `json_each` contains `part`.
fn json_test(part: &Json, level: usize, values: &mut Vec<Value>) -> String {
    let element = format!("e{level}");
    let mut atom = |kinds: &str, value: Value| {
        values.push(value);
        format!("({element}.type IN ({kinds}) AND {element}.atom = ?)")
    };
    match part {
        Json::Null => format!("{element}.type = 'null'"),
        Json::Bool(value) => format!("{element}.type = '{value}'"),
        Json::String(text) => atom("'text'", text.clone().into()),
        Json::Number(number) => {
            let value = match number.as_i64() {
                Some(whole) => whole.into(),
                None => number.as_f64().into(),
            };
            atom("'integer', 'real'", value)
        }
        Json::Array(parts) => {
            let tests: Vec<String> = parts
                .iter()
                .map(|part| json_inside("array", level, &json_test(part, level + 1, values)))
                .collect();
            json_all("array", level, &tests)
        }
        Json::Object(parts) => {
            let tests: Vec<String> = parts
                .iter()
                .map(|(key, part)| {
                    values.push(key.clone().into());
                    let test = json_test(part, level + 1, values);
                    json_inside("object", level, &format!("e{}.key = ? AND {test}", level + 1))
                })
                .collect();
            json_all("object", level, &tests)
        }
    }
}

/// That an element of the kind has an element of its own that passes the test. `json_each` takes
/// nothing else for granted: CASE keeps it from text that is no JSON.
fn json_inside(kind: &str, level: usize, test: &str) -> String {
    format!(
        "CASE e{level}.type WHEN '{kind}' THEN EXISTS \
         (SELECT 1 FROM json_each(e{level}.value) AS e{} WHERE {test}) ELSE FALSE END",
        level + 1
    )
}

fn json_all(kind: &str, level: usize, tests: &[String]) -> String {
    let is_kind = format!("e{level}.type = '{kind}'");
    if tests.is_empty() { is_kind } else { format!("({is_kind} AND {})", balanced(tests)) }
}

/// Joined by AND as a tree: a chain would be as deep as it is long, and SQLite takes 1,000 levels.
fn balanced(tests: &[String]) -> String {
    match tests {
        [test] => test.clone(),
        tests => {
            let (first, second) = tests.split_at(tests.len() / 2);
            format!("({} AND {})", balanced(first), balanced(second))
        }
    }
}
