//! The path of a value.
//!
//! **Invariant.** A path has a bounded length, although a client can choose the names of fields that
//! do not exist.

use std::fmt;

/// The maximum number of bytes of a name that are shown. The schema's own are much shorter.
const SHOWN: usize = 100;

/// The path to a value, starting at the argument: `input.3.url`.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The argument itself.
    #[must_use]
    pub const fn argument(name: &'a str) -> Self {
        Self { parent: None, segment: Segment::Name(name) }
    }

    /// A field of the value here.
    #[must_use]
    pub fn field(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Name(name) }
    }

    /// An element of the list here.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(formatter, "{parent}.")?;
        }
        match self.segment {
            Segment::Name(name) => formatter.write_str(&name[..name.floor_char_boundary(SHOWN)]),
            Segment::Index(index) => write!(formatter, "{index}"),
        }
    }
}
