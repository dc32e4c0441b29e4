//! The size of a document with its fragments expanded.
//!
//! **Invariant.** Each fragment is measured once, regardless of its spreads, and sums saturate. So a
//! document with fragments that double is rejected in time proportional to its length. An accepted
//! document is at most 64 levels deep, so recursive code has enough stack. Literals in arguments are
//! copied for each spread, so their bytes are bounded with fragments expanded, too. The library's
//! validation walks each operation and each fragment with their nested fragments, so their total is
//! bounded as well.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet},
};

use crate::{arguments, error::Error};

/// The maximum nesting of selections. A fragment counts as a level.
pub(crate) const MAX_DEPTH: usize = 64;
/// The maximum number of selections with fragments expanded.
const MAX_SELECTIONS: usize = 20_000;
/// The maximum number of selections of all operations and fragments of a document, each expanded.
const MAX_IN_ALL: usize = 5 * MAX_SELECTIONS;

/// The maximum bytes of the arguments of all operations and all fragments of a document together,
/// each expanded: twice what a request has by default.
const MAX_ARGUMENTS: usize = 16 * 1024 * 1024;

#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    depth: usize,
    /// The bytes of the literals in arguments.
    arguments: usize,
}

struct Measure<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// `None` while a fragment is being measured.
    known: HashMap<&'a str, Option<Size>>,
}

/// The number of selections of all operations and fragments, each expanded.
///
/// # Errors
/// If the document is too deep or too large, or has a cycle of fragments.
pub(crate) fn measure(document: &ExecutableDocument) -> Result<usize, Error> {
    let mut measure = Measure { fragments: &document.fragments, known: HashMap::new() };
    let operations = document.operations.iter().map(|(_, of)| &of.node.selection_set.node);
    let fragments = document.fragments.values().map(|of| &of.node.selection_set.node);
    let (mut all, mut arguments) = (0_usize, 0_usize);
    for set in operations.chain(fragments) {
        let size = measure.set(set, 1)?;
        all = all.saturating_add(size.selections);
        arguments = arguments.saturating_add(size.arguments);
        limit_arguments(arguments)?;
        if all > MAX_IN_ALL {
            let message = format!(
                "The operations and fragments of a document can have at most {MAX_IN_ALL} \
                 selections in total, with fragments expanded."
            );
            return Err(Error::limit("query", message));
        }
    }
    Ok(all)
}

impl<'a> Measure<'a> {
    fn set(&mut self, set: &'a SelectionSet, depth: usize) -> Result<Size, Error> {
        let mut size = Size::default();
        if depth > MAX_DEPTH && !set.items.is_empty() {
            return Err(too_deep());
        }
        for selection in &set.items {
            let inner = match &selection.node {
                Selection::Field(field) => {
                    let mut size = self.set(&field.node.selection_set.node, depth + 1)?;
                    let own = arguments::bytes(&field.node, &|_| 0);
                    size.arguments = size.arguments.saturating_add(own);
                    size
                }
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, depth + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, depth + 1)?
                }
            };
            size.selections = size.selections.saturating_add(inner.selections).saturating_add(1);
            size.depth = size.depth.max(inner.depth + 1);
            size.arguments = size.arguments.saturating_add(inner.arguments);
            if size.selections > MAX_SELECTIONS {
                let message = format!(
                    "An operation can have at most {MAX_SELECTIONS} selections, with fragments expanded."
                );
                return Err(Error::limit("query", message));
            }
            // the depth of a fragment that was already measured
            if depth + size.depth > MAX_DEPTH + 1 {
                return Err(Error::limit(
                    "query",
                    format!("Selections can be nested at most {MAX_DEPTH} levels deep."),
                ));
            }
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &'a str, depth: usize) -> Result<Size, Error> {
        match self.known.get(name) {
            Some(Some(size)) => Ok(*size),
            Some(None) => {
                let message = format!("The fragment {name} spreads itself.");
                Err(Error::invalid(message))
            }
            None => {
                // validation finds unknown fragments
                let Some(fragment) = self.fragments.get(name) else { return Ok(Size::default()) };
                self.known.insert(name, None);
                let size = self.set(&fragment.node.selection_set.node, depth)?;
                self.known.insert(name, Some(size));
                Ok(size)
            }
        }
    }
}

fn limit_arguments(bytes: usize) -> Result<(), Error> {
    if bytes > MAX_ARGUMENTS {
        let message = format!(
            "The arguments of a document can have at most {MAX_ARGUMENTS} bytes in total, with \
             fragments expanded."
        );
        return Err(Error::limit("query", message));
    }
    Ok(())
}

fn too_deep() -> Error {
    Error::limit("query", format!("Selections can be nested at most {MAX_DEPTH} levels deep."))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn doubling(levels: usize) -> String {
        let fragments: Vec<String> = (0..levels)
            .map(|level| format!("fragment f{level} on Query {{ ...f{0} ...f{0} }}", level + 1))
            .collect();
        format!("{{ ...f0 }} {} fragment f{levels} on Query {{ a }}", fragments.join(" "))
    }

    fn measured(text: &str) -> Result<usize, Error> {
        measure(&parse_query(text).unwrap())
    }

    #[test]
    fn each_operation_and_fragment_counts_with_what_it_spreads() {
        assert_eq!(measured("{ a b { c } }").unwrap(), 3);
        assert_eq!(measured("{ ...f ...f } fragment f on Query { a b }").unwrap(), 6 + 2);
    }

    #[test]
    fn fragments_that_double_are_measured_once_each() {
        assert!(measured(&doubling(10)).is_ok());
        for levels in [16, 30, 60, 500] {
            assert!(measured(&doubling(levels)).is_err());
        }
    }

    #[test]
    fn many_fragments_that_spread_a_large_one_are_refused() {
        let fields = "a ".repeat(9_000);
        let document = |count: usize| {
            let many: Vec<String> =
                (0..count).map(|at| format!("fragment f{at} on Query {{ ...large }}")).collect();
            format!("{{ a }} fragment large on Query {{ {fields} }} {}", many.join(" "))
        };
        assert!(measured(&document(9)).is_ok());
        assert!(measured(&document(500)).is_err());
    }

    #[test]
    fn literals_count_for_each_spread() {
        let document = |spreads: usize, length: usize| {
            let fields: Vec<String> =
                (0..spreads).map(|at| format!("a{at}: b {{ ...f }}")).collect();
            let text = "x".repeat(length);
            format!("{{ {} }} fragment f on B {{ c(d: \"{text}\") }}", fields.join(" "))
        };
        assert!(measured(&document(1, 8_000_000)).is_ok());
        assert!(measured(&document(150, 100_000)).is_ok());
        assert!(measured(&document(170, 100_000)).is_err());
        assert!(measured(&document(4_000, 8_000_000)).is_err());
    }

    #[test]
    fn depth_counts_through_fragments() {
        let chain = |length: usize| {
            let fragments: Vec<String> = (0..length)
                .map(|level| format!("fragment f{level} on Query {{ a {{ ...f{} }} }}", level + 1))
                .collect();
            format!("{{ ...f0 }} {} fragment f{length} on Query {{ a }}", fragments.join(" "))
        };
        assert!(measured(&chain(30)).is_ok());
        assert!(measured(&chain(33)).is_err());
        assert!(measured(&chain(2_000)).is_err());
    }

    #[test]
    fn a_fragment_that_spreads_itself_is_refused() {
        assert!(
            measured("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }").is_err()
        );
        assert!(measured("{ b } fragment a on Query { ...a }").is_err());
    }
}
