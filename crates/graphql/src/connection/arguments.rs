//! The arguments of a connection: which rows, and in which order.

use std::fmt::Debug;

use async_graphql::Enum;
use campaigns_scope::{Direction, KeyValue, Order, Place, Scope, Window};

use super::node::ConnectionNode;
use crate::{
    cursor::{self, Cursor},
    error::Error,
};

/// The default page size.
const DEFAULT_SIZE: u32 = 50;

/// The maximum page size.
const MAX_SIZE: u32 = 500;

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum OrderDirection {
    /// Ascending: the smallest or earliest first.
    Asc,
    /// Descending: the largest or latest first.
    Desc,
}

impl From<OrderDirection> for Direction {
    fn from(direction: OrderDirection) -> Self {
        match direction {
            OrderDirection::Asc => Self::Ascending,
            OrderDirection::Desc => Self::Descending,
        }
    }
}

/// The four arguments of every connection.
#[derive(Clone, Debug)]
pub(crate) struct PageArguments {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<String>,
}

/// The requested rows of a list, and the place of its cursor in the feed.
pub(super) struct PageRequest {
    pub(super) window: Window,
    /// The place of the cursor, with the name of the argument.
    pub(super) place: Option<(&'static str, Place)>,
}

impl PageArguments {
    pub(super) fn window(self, scope: &Scope, ordering: &Ordering) -> Result<PageRequest, Error> {
        let Self { first, after, last, before } = self;
        if first.is_some() && last.is_some() {
            return Err(Error::bad_input("last", "Use either first or last, not both."));
        }
        if before.is_some() && (first.is_some() || after.is_some()) {
            return Err(Error::bad_input("before", "This can only be used with last."));
        }
        if after.is_some() && last.is_some() {
            return Err(Error::bad_input("after", "This can only be used with first."));
        }
        let from_end = last.is_some() || before.is_some();
        let (name, size) = if from_end { ("last", last) } else { ("first", first) };
        let limit = match size.map(u32::try_from) {
            None => DEFAULT_SIZE,
            Some(Ok(size)) if size <= MAX_SIZE => size,
            Some(_) => {
                return Err(Error::bad_input(name, format!("This must be 0 to {MAX_SIZE}.")));
            }
        };
        let (name, cursor) = if from_end { ("before", before) } else { ("after", after) };
        let decoded = cursor
            .map(|cursor| {
                ordering.read(scope, &cursor)?.ok_or_else(|| {
                    Error::bad_input(name, "This is not a cursor of a list in this order.")
                })
            })
            .transpose()?;
        let place = decoded.as_ref().filter(|_| ordering.is_feed).and_then(Cursor::place);
        let cursor = decoded.map(|cursor| cursor.keys);
        let window = Window { limit: limit.into(), from_end, cursor };
        Ok(PageRequest { window, place: place.map(|place| (name, place)) })
    }
}

/// A requested order: fields with directions, turned into keys.
pub(crate) struct Ordering {
    pub(crate) order: Order,
    /// The name that distinguishes its cursors from others.
    pub(crate) name: String,
    /// Whether the first key is the feed's position.
    pub(super) is_feed: bool,
    /// Whether its cursors are sealed.
    is_sealed: bool,
}

/// How one field of an order is expressed in SQL.
pub(crate) trait OrderInput: Debug {
    /// The type that distinguishes fields.
    type Field: PartialEq + Debug;
    /// The field.
    fn field(&self) -> Self::Field;
    /// The key.
    fn key(&self, scope: &Scope) -> campaigns_scope::OrderKey;
    /// Whether the field is the feed's position, so that a list in this order ends at the settled
    /// position.
    fn is_feed(&self) -> bool {
        false
    }
}

impl Ordering {
    /// The order of these fields, for a list of `T`.
    pub(crate) fn of<T: ConnectionNode>(
        scope: &Scope,
        fields: Option<&[impl OrderInput]>,
    ) -> Result<Self, Error> {
        let fields = fields.unwrap_or_default();
        if fields.len() > 20 {
            return Err(Error::bad_input("orderBy", "This can have at most 20 elements."));
        }
        // repeating a field cannot change the order
        let mut different: Vec<_> = Vec::with_capacity(fields.len());
        for field in fields {
            if different.iter().all(|of: &&_| OrderInput::field(*of) != field.field()) {
                different.push(field);
            }
        }
        let is_feed = fields.first().is_some_and(OrderInput::is_feed);
        let mut name = format!("{} {}", scope.organization(), T::NAME);
        let mut keys = Vec::with_capacity(different.len());
        for field in different {
            let key = field.key(scope);
            let sign = if key.direction == Direction::Descending { '-' } else { '+' };
            name += &format!(" {:?}{sign}", field.field());
            keys.push(key);
        }
        Ok(Self { order: Order(keys), name, is_feed, is_sealed: T::SEALED })
    }

    /// The cursor of a row with these keys. A cursor of the feed includes the feed's incarnation.
    pub(crate) fn cursor(
        &self,
        scope: &Scope,
        keys: &[KeyValue],
        incarnation: Option<&str>,
    ) -> Result<String, Error> {
        if self.is_sealed {
            return Ok(cursor::seal(scope.cursor_key()?, &self.name, keys, incarnation));
        }
        Ok(cursor::encode(&self.name, keys, incarnation))
    }

    /// The content of a cursor, or `None` if it is not one of this order.
    pub(crate) fn read(&self, scope: &Scope, cursor: &str) -> Result<Option<Cursor>, Error> {
        let key = if self.is_sealed { Some(scope.cursor_key()?) } else { None };
        Ok(cursor::decode(cursor, key, &self.name, &self.order, scope.dialect()))
    }
}
