//! The memory of conditions that clients wrote.
//!
//! **Invariant.** Each part of such a condition is drawn from the operation's budget when it is
//! compiled, with the copy of it in a statement. The select that contains the condition holds these
//! bytes until it is dropped. The text and the values of a statement are drawn while it runs.

use std::borrow::Cow;

use sea_orm::{
    Statement, Value,
    sea_query::{ColumnRef, Expr},
};
use serde_json::Value as Json;

use crate::{Exhausted, Reservation};

/// The overhead of an allocation, in bytes.
const ALLOCATION: usize = 16;
/// The overhead of an entry of a JSON object, in bytes.
const ENTRY: usize = 64;
/// The bytes of a part of an expression that clients do not make longer.
const FIXED: usize = 256;
/// A condition is held twice: as it is compiled, and in the statement that is made from it.
const COPIES: usize = 2;

/// The memory of the conditions of a select.
#[derive(Debug)]
pub struct ConditionMemory {
    reservation: Reservation,
    weight: Weight,
}

/// What a condition holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    /// Its bytes in memory.
    pub(crate) bytes: usize,
    /// The number of values that it binds.
    pub(crate) values: usize,
}

impl ConditionMemory {
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self { reservation, weight: Weight::default() }
    }

    /// Draws the bytes of a condition and of its copy in a statement.
    ///
    /// # Errors
    /// If a budget is exhausted.
    pub fn draw(&mut self, condition: &Expr) -> Result<(), Exhausted> {
        let mut weight = Weight::default();
        weight.add(condition);
        self.reservation.grow(COPIES * weight.bytes)?;
        self.weight.bytes += weight.bytes;
        self.weight.values += weight.values;
        Ok(())
    }

    pub(crate) fn weight(&self) -> Weight {
        self.weight
    }
}

impl Weight {
    fn add(&mut self, expression: &Expr) {
        self.bytes += size_of::<Expr>();
        match expression {
            Expr::Column(ColumnRef::Column(_) | ColumnRef::Asterisk(_))
            | Expr::Constant(_)
            | Expr::Keyword(_)
            | Expr::Custom(Cow::Borrowed(_)) => {}
            Expr::Tuple(parts) => self.add_all(parts),
            Expr::Unary(_, part) | Expr::AsEnum(_, part) => {
                self.bytes += ALLOCATION;
                self.add(part);
            }
            Expr::FunctionCall(call) => self.add_all(call.get_args()),
            Expr::Binary(left, _, right) => {
                self.bytes += 2 * ALLOCATION;
                self.add(left);
                self.add(right);
            }
            Expr::Value(value) => self.add_value(value),
            Expr::Values(values) => {
                self.bytes += ALLOCATION;
                for value in values {
                    self.add_value(value);
                }
            }
            Expr::Custom(Cow::Owned(text)) => self.bytes += ALLOCATION + text.capacity(),
            Expr::CustomWithExpr(text, parts) => {
                if let Cow::Owned(text) = text {
                    self.bytes += ALLOCATION + text.capacity();
                }
                self.add_all(parts);
            }
            // subqueries and others that clients do not make longer
            _ => self.bytes += FIXED,
        }
    }

    fn add_all(&mut self, parts: &[Expr]) {
        self.bytes += ALLOCATION;
        for part in parts {
            self.add(part);
        }
    }

    fn add_value(&mut self, value: &Value) {
        self.values += 1;
        self.bytes += of_value(value);
    }
}

/// The bytes of a statement while it runs: its text, and its values as they are bound and as they are
/// sent.
pub(crate) fn of_statement(statement: &Statement) -> usize {
    let values = statement.values.iter().flat_map(|values| &values.0);
    statement.sql.len() + 2 * values.map(of_value).sum::<usize>()
}

/// The bytes of a bound value.
fn of_value(value: &Value) -> usize {
    let held = match value {
        Value::String(Some(text)) => ALLOCATION + text.capacity(),
        Value::Bytes(Some(bytes)) => ALLOCATION + bytes.capacity(),
        Value::Json(Some(value)) => ALLOCATION + of_json(value),
        Value::Array(_, Some(values)) => {
            2 * ALLOCATION + values.iter().map(of_value).sum::<usize>()
        }
        _ => 0,
    };
    size_of::<Value>() + held
}

/// The bytes of a JSON value.
fn of_json(value: &Json) -> usize {
    let held = match value {
        Json::String(text) => ALLOCATION + text.capacity(),
        Json::Array(values) => ALLOCATION + values.iter().map(of_json).sum::<usize>(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| ENTRY + key.len() + of_json(value));
            ALLOCATION + fields.sum::<usize>()
        }
        Json::Number(_) | Json::Null | Json::Bool(_) => 0,
    };
    size_of::<Json>() + held
}
