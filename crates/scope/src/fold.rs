//! Text regardless of case: simple case folding, by the tables of Unicode.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// The characters that differ only in case, if there is more than one.
pub(crate) fn others(character: char) -> Option<Vec<char>> {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
    class.try_case_fold_simple().ok()?;
    let equal: Vec<char> =
        class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect();
    (equal.len() > 1).then_some(equal)
}

/// The text with each character replaced by one representative of those that differ only in case.
/// Two texts differ only in case exactly if these are equal.
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
        others(character).and_then(|equal| equal.into_iter().min()).unwrap_or(character)
    };
    text.chars().map(fold).collect()
}
