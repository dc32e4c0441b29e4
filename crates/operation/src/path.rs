//! The path of a value.
//!
//! **Invariant.** The length of a path is bounded, although clients can choose the names of unknown
//! fields.

use std::fmt;

/// The maximum number of displayed bytes of a name. The schema's names are much shorter.
const MAX_NAME_BYTES: usize = 100;

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
    /// The path of an argument.
    #[must_use]
    pub const fn argument(name: &'a str) -> Self {
        Self { parent: None, segment: Segment::Name(name) }
    }

    /// The path of a field of this value.
    #[must_use]
    pub fn field(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Name(name) }
    }

    /// The path of an element of this list.
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
            Segment::Name(name) => {
                formatter.write_str(&name[..name.floor_char_boundary(MAX_NAME_BYTES)])
            }
            Segment::Index(index) => write!(formatter, "{index}"),
        }
    }
}
