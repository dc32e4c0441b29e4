//! Case-insensitive text: simple case folding by the tables of Unicode.
//!
//! A subscription can compare every event with hundreds of texts, so folding looks up characters in
//! a table that is built once.

use std::{collections::HashMap, sync::LazyLock};

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// For each character with case variants, all of its variants, in order.
static CLASSES: LazyLock<HashMap<char, Box<[char]>>> = LazyLock::new(|| {
    let has_case = |character: &char| {
        let itself = std::iter::once(*character);
        !character.to_lowercase().eq(itself.clone()) || !character.to_uppercase().eq(itself)
    };
    let all = ('\0'..=char::MAX).filter(has_case);
    all.filter_map(|character| Some((character, class_of(character)?))).collect()
});

/// The characters that differ from this one only in case, including itself, if there are others.
fn class_of(character: char) -> Option<Box<[char]>> {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
    class.try_case_fold_simple().ok()?;
    let equal: Box<[char]> =
        class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect();
    (equal.len() > 1).then_some(equal)
}

/// The characters that differ from this one only in case, including itself, if there are others.
pub(crate) fn others(character: char) -> Option<&'static [char]> {
    CLASSES.get(&character).map(|class| &**class)
}

/// Replaces each character with the representative of its case variants. Two texts differ only in
/// case if and only if their results are equal.
///
/// ```
/// # use campaigns_scope::folded;
/// assert_eq!(folded("Éclair ΣΊΣΥΦΟΣ"), folded("éCLAIR σίσυφος"));
/// assert_ne!(folded("Straße"), folded("Strasse"));
/// ```
#[must_use]
pub fn folded(text: &str) -> String {
    let fold = |character: char| {
        if character.is_ascii() {
            // the smallest: K comes before k and the Kelvin sign
            return character.to_ascii_uppercase();
        }
        others(character).and_then(|class| class.first()).copied().unwrap_or(character)
    };
    text.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_character_that_has_others() {
        for character in '\0'..=char::MAX {
            assert_eq!(others(character), class_of(character).as_deref(), "{character:?}");
        }
    }
}
