//! The operators, and how each is compiled to a condition.

use async_graphql::{ID, InputObject};
use campaigns_scope::{MAX_PART, Scope};
use sea_orm::{
    ActiveEnum, ColumnTrait, Value,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::All;
use crate::{
    error::Error,
    input::{self, Path},
    scalars::{DateTime, Json},
};

/// The maximum nesting of the JSON in `contains`.
const MAX_JSON_DEPTH: usize = 10;

/// Filters by an ID. All given operators must match.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(name = "IDFilter")]
pub(crate) struct IdFilter {
    /// Matches this ID.
    pub(super) eq: Option<ID>,
    /// Matches any other ID, and null.
    pub(super) ne: Option<ID>,
    /// Matches any of these IDs, up to 1,000. An empty list matches nothing.
    pub(super) r#in: Option<Vec<ID>>,
    /// Matches all IDs except these, up to 1,000, and null. An empty list matches everything.
    pub(super) not_in: Option<Vec<ID>>,
    /// Matches null if true, and any value if false.
    pub(super) is_null: Option<bool>,
}

/// Filters by text. All given operators must match.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct StringFilter {
    /// Matches exactly this text, case included.
    pub(super) eq: Option<String>,
    /// Matches any other text, and null.
    pub(super) ne: Option<String>,
    /// Matches exactly any of these texts, up to 1,000. An empty list matches nothing.
    pub(super) r#in: Option<Vec<String>>,
    /// Matches all texts except these, up to 1,000, and null. An empty list matches everything.
    pub(super) not_in: Option<Vec<String>>,
    /// Matches text that contains this, ignoring case. `%` and `_` have no special meaning. Up to 1,000
    /// characters.
    pub(super) contains: Option<String>,
    /// Matches text that starts with this, ignoring case. Up to 1,000 characters.
    pub(super) starts_with: Option<String>,
    /// Matches text that ends with this, ignoring case. Up to 1,000 characters.
    pub(super) ends_with: Option<String>,
    /// Matches null if true, and any value if false.
    pub(super) is_null: Option<bool>,
}

/// Filters by a number. All given operators must match.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct IntFilter {
    /// Matches this number.
    pub(super) eq: Option<i32>,
    /// Matches any other number.
    pub(super) ne: Option<i32>,
    /// Matches any of these numbers, up to 1,000. An empty list matches nothing.
    pub(super) r#in: Option<Vec<i32>>,
    /// Matches all numbers except these, up to 1,000. An empty list matches everything.
    pub(super) not_in: Option<Vec<i32>>,
    /// Matches greater numbers.
    pub(super) gt: Option<i32>,
    /// Matches this number and greater ones.
    pub(super) gte: Option<i32>,
    /// Matches smaller numbers.
    pub(super) lt: Option<i32>,
    /// Matches this number and smaller ones.
    pub(super) lte: Option<i32>,
}

/// Filters by a point in time. All given operators must match.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct DateTimeFilter {
    /// Matches this time.
    pub(super) eq: Option<DateTime>,
    /// Matches any other time, and null.
    pub(super) ne: Option<DateTime>,
    /// Matches later times.
    pub(super) gt: Option<DateTime>,
    /// Matches this time and later ones.
    pub(super) gte: Option<DateTime>,
    /// Matches earlier times.
    pub(super) lt: Option<DateTime>,
    /// Matches this time and earlier ones.
    pub(super) lte: Option<DateTime>,
    /// Matches null if true, and any value if false.
    pub(super) is_null: Option<bool>,
}

/// Filters by a JSON value. All given operators must match. Null counts as `{}`.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(name = "JSONFilter")]
pub(crate) struct JsonFilter {
    /// Matches values that contain every key and value of this one, at any depth. An array must contain
    /// the elements of this one, in any order. 1 equals 1.0. Up to 10 levels deep.
    pub(super) contains: Option<Json>,
    /// Matches objects that have this key at the top level.
    pub(super) has_key: Option<String>,
}

/// The operators on an enum.
pub(crate) struct EnumOperators<T> {
    pub(crate) eq: Option<T>,
    pub(crate) ne: Option<T>,
    pub(crate) r#in: Option<Vec<T>>,
    pub(crate) not_in: Option<Vec<T>>,
}

/// Makes the filter of an enum's type.
macro_rules! enum_filter {
    ($(#[$doc:meta])* $name:ident of $type:ty as $graphql:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, async_graphql::InputObject)]
        pub(crate) struct $name {
            /// Matches this value.
            eq: Option<$graphql>,
            /// Matches any other value.
            ne: Option<$graphql>,
            /// Matches any of these values. An empty list matches nothing.
            r#in: Option<Vec<$graphql>>,
            /// Matches all values except these. An empty list matches everything.
            not_in: Option<Vec<$graphql>>,
        }

        impl $name {
            pub(crate) fn operators(&self) -> $crate::filter::EnumOperators<$type> {
                let all = |values: &Option<Vec<$graphql>>| {
                    values.as_ref().map(|values| values.iter().map(|value| (*value).into()).collect())
                };
                $crate::filter::EnumOperators {
                    eq: self.eq.map(Into::into),
                    ne: self.ne.map(Into::into),
                    r#in: all(&self.r#in),
                    not_in: all(&self.not_in),
                }
            }
        }
    };
}

pub(crate) use enum_filter;

impl All<'_> {
    /// The operators on an ID. `matches` is the condition that a row has one of these IDs, or any
    /// ID for `None`.
    pub(crate) fn ids(
        &mut self,
        path: Path<'_>,
        filter: Option<&IdFilter>,
        matches: impl Fn(&Scope, Option<Vec<Uuid>>) -> Expr,
    ) -> Result<(), Error> {
        let Some(filter) = filter else { return Ok(()) };
        let IdFilter { eq, ne, r#in, not_in, is_null } = filter;
        if let Some(value) = eq {
            let path = path.field("eq");
            let id = input::id(value, path)?;
            self.push(path, matches(self.scope, Some(vec![id])))?;
        }
        if let Some(value) = ne {
            let path = path.field("ne");
            let id = input::id(value, path)?;
            self.push_not(path, matches(self.scope, Some(vec![id])))?;
        }
        for (name, values, positive) in [("in", r#in, true), ("notIn", not_in, false)] {
            let Some(values) = values else { continue };
            let path = path.field(name);
            let ids = self.values(path, values, input::id)?;
            let condition = matches(self.scope, Some(ids));
            self.boolean(path, Some(positive), |_| condition)?;
        }
        self.boolean(path.field("isNull"), is_null.map(|null| !null), |scope| matches(scope, None))
    }

    /// The operators on a column with an ID.
    pub(crate) fn id(
        &mut self,
        path: Path<'_>,
        filter: Option<&IdFilter>,
        column: impl ColumnTrait,
    ) -> Result<(), Error> {
        self.ids(path, filter, |scope, ids| match ids {
            Some(ids) => scope.dialect().is_one_of(column, ids),
            None => column.is_not_null(),
        })
    }

    /// The operators on a column with text.
    pub(crate) fn text(
        &mut self,
        path: Path<'_>,
        filter: Option<&StringFilter>,
        column: impl ColumnTrait,
    ) -> Result<(), Error> {
        let Some(filter) = filter else { return Ok(()) };
        let StringFilter { eq, ne, r#in, not_in, contains, starts_with, ends_with, is_null } =
            filter;
        let check = |value: &String, path: Path<'_>| input::text(value.clone(), path);
        let dialect = self.scope.dialect();
        let own = Expr::col(column.as_column_ref());
        if let Some(value) = eq {
            let path = path.field("eq");
            let value = check(value, path)?;
            self.push(path, dialect.is_text(own.clone(), &value))?;
        }
        if let Some(value) = ne {
            let path = path.field("ne");
            let value = check(value, path)?;
            self.push_not(path, dialect.is_text(own.clone(), &value))?;
        }
        for (name, values, positive) in [("in", r#in, true), ("notIn", not_in, false)] {
            let Some(values) = values else { continue };
            let path = path.field(name);
            let values = self.values(path, values, check)?;
            self.boolean(path, Some(positive), |_| dialect.is_text_in(own.clone(), values))?;
        }
        for (name, part) in
            [("contains", contains), ("startsWith", starts_with), ("endsWith", ends_with)]
        {
            let Some(part) = part else { continue };
            let path = path.field(name);
            let part = check(part, path)?;
            if part.chars().count() > MAX_PART {
                let message = format!("This can have at most {MAX_PART} characters.");
                return Err(Error::bad_input(path, message));
            }
            let condition = match name {
                "contains" => dialect.contains(own.clone(), &part),
                "startsWith" => dialect.starts_with(own.clone(), &part),
                _ => dialect.ends_with(own.clone(), &part),
            };
            self.push(path, condition)?;
        }
        self.boolean(path.field("isNull"), *is_null, |_| column.is_null())
    }

    /// The operators on a column with a time.
    pub(crate) fn time(
        &mut self,
        path: Path<'_>,
        filter: Option<&DateTimeFilter>,
        column: impl ColumnTrait,
    ) -> Result<(), Error> {
        let Some(filter) = filter else { return Ok(()) };
        let DateTimeFilter { eq, ne, gt, gte, lt, lte, is_null } = filter;
        let operators =
            [("eq", eq), ("ne", ne), ("gt", gt), ("gte", gte), ("lt", lt), ("lte", lte)];
        for (name, value) in operators {
            let Some(value) = value else { continue };
            let path = path.field(name);
            let time = input::time(value, path)?;
            match name {
                "eq" => self.push(path, column.eq(time))?,
                "ne" => self.push_not(path, column.eq(time))?,
                "gt" => self.push(path, column.gt(time))?,
                "gte" => self.push(path, column.gte(time))?,
                "lt" => self.push(path, column.lt(time))?,
                _ => self.push(path, column.lte(time))?,
            }
        }
        self.boolean(path.field("isNull"), *is_null, |_| column.is_null())
    }

    /// The operators on a number.
    pub(crate) fn int(
        &mut self,
        path: Path<'_>,
        filter: Option<&IntFilter>,
        own: &Expr,
    ) -> Result<(), Error> {
        let Some(filter) = filter else { return Ok(()) };
        let IntFilter { eq, ne, r#in, not_in, gt, gte, lt, lte } = filter;
        let own = || own.clone();
        let conditions = [
            ("eq", eq.map(|value| own().eq(value))),
            ("gt", gt.map(|value| own().gt(value))),
            ("gte", gte.map(|value| own().gte(value))),
            ("lt", lt.map(|value| own().lt(value))),
            ("lte", lte.map(|value| own().lte(value))),
        ];
        for (name, condition) in conditions {
            if let Some(condition) = condition {
                self.push(path.field(name), condition)?;
            }
        }
        if let Some(value) = ne {
            self.push_not(path.field("ne"), own().eq(*value))?;
        }
        for (name, values, positive) in [("in", r#in, true), ("notIn", not_in, false)] {
            let Some(values) = values else { continue };
            let path = path.field(name);
            let values = self.values(path, values, |value, _| Ok(*value))?;
            self.boolean(path, Some(positive), |scope| scope.dialect().is_in(own(), values))?;
        }
        Ok(())
    }

    /// The operators on a column with JSON.
    pub(crate) fn json(
        &mut self,
        path: Path<'_>,
        filter: Option<&JsonFilter>,
        column: &'static str,
    ) -> Result<(), Error> {
        let Some(JsonFilter { contains, has_key }) = filter else { return Ok(()) };
        let dialect = self.scope.dialect();
        if let Some(Json(part)) = contains {
            let path = path.field("contains");
            let (size, depth) = size(part);
            self.count(path, size)?;
            if depth > MAX_JSON_DEPTH {
                let message = format!("This can be nested at most {MAX_JSON_DEPTH} levels deep.");
                return Err(Error::limit(path, message));
            }
            let part = input::json(part.clone(), path)?;
            self.push(path, dialect.json_contains(column, &part))?;
        }
        if let Some(key) = has_key {
            let path = path.field("hasKey");
            let key = input::text(key.clone(), path)?;
            self.push(path, dialect.json_has_key(column, &key))?;
        }
        Ok(())
    }

    /// The operators on a column with an enum.
    pub(crate) fn choice<T: ActiveEnum + Into<Value> + Copy>(
        &mut self,
        path: Path<'_>,
        filter: Option<EnumOperators<T>>,
        column: impl ColumnTrait,
    ) -> Result<(), Error> {
        let Some(EnumOperators { eq, ne, r#in, not_in }) = filter else { return Ok(()) };
        if let Some(value) = eq {
            self.push(path.field("eq"), column.eq(value))?;
        }
        if let Some(value) = ne {
            self.push_not(path.field("ne"), column.eq(value))?;
        }
        for (name, values, positive) in [("in", r#in, true), ("notIn", not_in, false)] {
            let Some(values) = values else { continue };
            let path = path.field(name);
            let values = self.values(path, &values, |value: &T, _| Ok(*value))?;
            self.boolean(path, Some(positive), |scope| scope.dialect().is_one_of(column, values))?;
        }
        Ok(())
    }
}

/// The number of values in JSON, and their depth.
fn size(value: &serde_json::Value) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match value {
        serde_json::Value::Array(values) => values.iter().map(size).collect(),
        serde_json::Value::Object(values) => values.values().map(size).collect(),
        _ => return (1, 0),
    };
    let depth = inner.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    (1 + inner.iter().map(|(size, _)| size).sum::<usize>(), 1 + depth)
}
