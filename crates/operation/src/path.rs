//! The path of a value.

use std::fmt;

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
            Segment::Name(name) => formatter.write_str(name),
            Segment::Index(index) => write!(formatter, "{index}"),
        }
    }
}
