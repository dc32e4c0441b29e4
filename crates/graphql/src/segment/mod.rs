//! Segments: named rules that select contacts.

mod create;
mod fields;
mod filter;
mod mutations;
mod object;
mod order;
mod preview;
mod queries;
mod refresh;
mod rules;
mod update;

pub(crate) use filter::SegmentFilter;
pub(crate) use mutations::SegmentMutations;
pub(crate) use object::Segment;
pub(crate) use order::SegmentOrder;
pub(crate) use queries::SegmentQueries;
pub(crate) use rules::unusable_rules;

use async_graphql::SimpleObject;

/// The result of creating or changing a segment.
#[derive(SimpleObject)]
pub(crate) struct SegmentPayload {
    /// The segment after the change.
    segment: Segment,
}
