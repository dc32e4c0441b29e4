//! `segmentFields`.

use async_graphql::SimpleObject;
use campaigns_segments::{FIELDS, Field};

/// A field that segment rules can use.
#[derive(SimpleObject)]
pub(crate) struct SegmentField {
    /// The field's name in rules. `metadata.KEY` stands for any key of the metadata, and for
    /// `metadata.KEY.KEY`.
    name: &'static str,
    /// The field's display name.
    label: &'static str,
    /// The type of the field's values: `text`, `enum`, `id`, `time`, `number`, `boolean` or `json`. A
    /// `json` value is text, a number or a boolean.
    value_type: &'static str,
    /// The operators that the field supports.
    operators: Vec<&'static str>,
    /// The values that the field can have. Null if they are not a fixed set.
    values: Option<Vec<String>>,
}

pub(super) fn fields() -> Vec<SegmentField> {
    let shown = |field: &Field| SegmentField {
        name: field.name,
        label: field.label,
        value_type: field.value_type(),
        operators: field.operators().collect(),
        values: field.values(),
    };
    FIELDS.iter().map(shown).collect()
}
