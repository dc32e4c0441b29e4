//! JSON in columns.

use sea_orm::{Value, sea_query::Expr};
use serde_json::{Number, Value as Json};

use super::Dialect;
use crate::raw::custom;

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// Strings.
    Text,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Boolean,
}

/// A JSON column in SQLite. Text that is not JSON, which can be stored where no CHECK holds, counts as a
/// string, since the functions of SQLite fail at it.
fn json_in_sqlite(column: &str) -> String {
    format!(
        "CASE WHEN {column} IS NULL OR json_valid({column}) THEN {column} \
         ELSE json_quote(CAST({column} AS TEXT)) END"
    )
}

impl Dialect {
    /// The condition that an event is a machine's: `metadata.machine` is true. In SQLite, metadata that is
    /// not JSON is no machine's, and the last of duplicate keys counts, as in PostgreSQL.
    pub(crate) fn is_machine(self) -> &'static str {
        match self {
            Self::Postgres => "coalesce(campaign_events.metadata -> 'machine' = 'true', FALSE)",
            Self::Sqlite => {
                "CASE WHEN json_valid(campaign_events.metadata) THEN \
                 CASE WHEN json_type(campaign_events.metadata, '$.machine') IS NULL THEN FALSE ELSE \
                 (SELECT marks.type = 'true' FROM json_each(campaign_events.metadata) AS marks \
                  WHERE marks.key = 'machine' ORDER BY marks.id DESC LIMIT 1) END ELSE FALSE END"
            }
        }
    }

    /// The condition that an event is a machine's.
    #[must_use]
    pub fn event_is_machines(self) -> Expr {
        Expr::cust(self.is_machine())
    }

    /// The condition that the JSON in a column contains this value, like PostgreSQL's `@>`: all of its
    /// keys and values, and the elements of arrays in any order, at any depth. Null counts as `{}`.
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
                    // an array can contain a bare value, but only at the top level
                    let inside = json_test(part, 1, &mut values);
                    test = format!("({test} OR {})", json_inside("array", 0, &inside));
                }
                custom(
                    self.backend(),
                    &format!(
                        "EXISTS (SELECT 1 FROM \
                         json_each(json_array(json(coalesce(nullif({}, 'null'), '{{}}')))) AS e0 WHERE {test})",
                        json_in_sqlite(column)
                    ),
                    values,
                )
            }
        }
    }

    /// The condition that the JSON in a column is an object with this key.
    #[must_use]
    pub fn json_has_key(self, column: &'static str, key: &str) -> Expr {
        let text = match self {
            Self::Postgres => {
                format!("jsonb_typeof({column}) = 'object' AND jsonb_exists({column}, ?)")
            }
            // what is not JSON is not an object
            Self::Sqlite => format!(
                "CASE WHEN json_valid({column}) THEN CASE json_type({column}) WHEN 'object' THEN EXISTS \
                 (SELECT 1 FROM json_each({column}) AS e0 WHERE e0.key = ?) ELSE FALSE END ELSE FALSE END"
            ),
        };
        custom(self.backend(), &text, vec![key.into()])
    }

    /// The value in a JSON column at these nested keys, if it is of this kind, and null otherwise.
    #[must_use]
    pub fn json_value(self, column: &'static str, keys: &[String], kind: JsonKind) -> Expr {
        let (in_postgres, in_sqlite) = match kind {
            JsonKind::Text => ("WHEN 'string' THEN {value} #>> '{}'", "WHEN 'text' THEN e.atom"),
            JsonKind::Number => (
                "WHEN 'number' THEN CAST({value} AS numeric)",
                "WHEN 'integer' THEN e.atom WHEN 'real' THEN e.atom",
            ),
            JsonKind::Boolean => (
                "WHEN 'boolean' THEN CAST({value} AS boolean)",
                "WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE",
            ),
        };
        match self {
            Self::Postgres => self.of_json(
                column,
                keys,
                &format!("CASE jsonb_typeof({{value}}) {in_postgres} END"),
            ),
            Self::Sqlite => self.of_json(column, keys, &format!("CASE e.type {in_sqlite} END")),
        }
    }

    /// The condition that a JSON column has a value other than `null` at these keys.
    #[must_use]
    pub fn json_is_present(self, column: &'static str, keys: &[String]) -> Expr {
        match self {
            Self::Postgres => self.of_json(column, keys, "jsonb_typeof({value}) <> 'null'"),
            Self::Sqlite => self.of_json(column, keys, "e.type <> 'null'"),
        }
    }

    /// A number to compare with the numbers of [`Dialect::json_value`]. The database parses it as JSON,
    /// so both are rounded alike.
    #[must_use]
    pub fn json_number(self, number: &Number) -> Expr {
        let text = match self {
            Self::Postgres => "CAST(? AS numeric)",
            Self::Sqlite => "json_extract(?, '$')",
        };
        custom(self.backend(), text, vec![number.to_string().into()])
    }

    /// An expression over the value at these keys: `{value}` in PostgreSQL, the row `e` of a
    /// `json_each` in SQLite. Only objects have keys; an array index is not a key.
    fn of_json(self, column: &str, keys: &[String], expression: &str) -> Expr {
        let names = keys.iter().map(|key| Value::from(key.clone()));
        match self {
            Self::Postgres => {
                let value = format!("({column}{})", " -> CAST(? AS text)".repeat(keys.len()));
                let count = expression.matches("{value}").count();
                let values = std::iter::repeat_n(names, count).flatten().collect();
                custom(self.backend(), &expression.replace("{value}", &value), values)
            }
            Self::Sqlite => {
                // the last of duplicate keys counts, as in PostgreSQL
                let under = |shown: &str, within: &str| {
                    format!(
                        "(SELECT {shown} FROM json_each({within}) AS e WHERE e.key = ? \
                         ORDER BY e.id DESC LIMIT 1)"
                    )
                };
                let object = "CASE e.type WHEN 'object' THEN e.value END";
                let outer = keys.len().saturating_sub(1);
                let valid = format!("CASE WHEN json_valid({column}) THEN {column} END");
                let within = (0..outer).fold(valid, |within, _| under(object, &within));
                custom(self.backend(), &under(expression, &within), names.collect())
            }
        }
    }
}

/// The condition that the element `e{level}` of a `json_each` contains `part`.
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

/// The condition that an element of the kind contains an element that passes the test. CASE prevents
/// `json_each` from reading text that is not JSON.
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

/// Joins tests with AND as a tree. A chain would be as deep as it is long, and SQLite allows 1,000
/// levels.
fn balanced(tests: &[String]) -> String {
    match tests {
        [test] => test.clone(),
        tests => {
            let (first, second) = tests.split_at(tests.len() / 2);
            format!("({} AND {})", balanced(first), balanced(second))
        }
    }
}
