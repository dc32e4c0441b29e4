//! Rewrites string literals that the parser does not support (GraphQL, section 2.9.4): escapes of
//! characters beyond the basic plane, as `\u{1F680}` or as a surrogate pair, and `\"""` in block strings.
//!
//! **Invariant.** The rewritten document has the same meaning, and its tokens are on the same lines. An
//! invalid literal is unchanged, so that the parser rejects it.

use std::{borrow::Cow, fmt::Write};

/// Rewrites the literals of a document that the parser does not support.
pub(crate) fn rewrite(text: &str) -> Cow<'_, str> {
    // nearly all documents have no such literal
    if !text.contains("\\u") && !text.contains("\\\"\"\"") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '#']) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let length = if from.starts_with('#') {
            from.find(['\n', '\r']).unwrap_or(from.len())
        } else if from.starts_with("\"\"\"") {
            block_string(from, &mut out)
        } else {
            string(from, &mut out)
        };
        if from.starts_with('#') {
            out.push_str(&from[..length]);
        }
        rest = &from[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Rewrites a string, and returns its length.
fn string(text: &str, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    let mut copied = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                break;
            }
            b'\n' | b'\r' => break,
            b'\\' => {
                if let Some((character, length)) = escape(&text[at..]) {
                    out.push_str(&text[copied..at]);
                    push(character, out);
                    at += length;
                    copied = at;
                } else {
                    at += 2;
                }
            }
            _ => at += 1,
        }
    }
    // an escape at the end of the text is incomplete
    let end = text.ceil_char_boundary(at.min(text.len()));
    out.push_str(&text[copied..end]);
    end
}

/// The character of an escape that the parser does not support, and the length of the escape.
fn escape(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("\\u")?;
    if let Some(braced) = digits.strip_prefix('{') {
        let (digits, _) = braced.split_once('}')?;
        let character = char::from_u32(hexadecimal(digits)?)?;
        return Some((character, "\\u{}".len() + digits.len()));
    }
    let unit = |digits: &str| hexadecimal(digits.get(..4)?);
    let high = unit(digits)?;
    let low = unit(digits[4..].strip_prefix("\\u")?)?;
    let is_pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    let character = is_pair.then(|| 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))?;
    Some((char::from_u32(character)?, "\\uXXXX\\uXXXX".len()))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hexadecimal { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// Writes a character into a string.
fn push(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        control if control < ' ' => {
            write!(out, "\\u{:04X}", u32::from(control)).expect("writing to a string never fails");
        }
        other => out.push(other),
    }
}

/// Rewrites a block string with escaped quotes as a string, and returns its length.
fn block_string(text: &str, out: &mut String) -> usize {
    const QUOTES: &str = "\"\"\"";
    const ESCAPED: &str = "\\\"\"\"";
    let mut end = QUOTES.len();
    let content = loop {
        let Some(quotes) = text[end..].find(QUOTES) else {
            out.push_str(text);
            return text.len();
        };
        end += quotes;
        if text[..end].ends_with('\\') {
            end += QUOTES.len();
            continue;
        }
        break &text[QUOTES.len()..end];
    };
    let length = end + QUOTES.len();
    if !content.contains(ESCAPED) {
        out.push_str(&text[..length]);
        return length;
    }
    out.push('"');
    for character in value(&content.replace(ESCAPED, QUOTES)).chars() {
        push(character, out);
    }
    out.push('"');
    // keeps the line numbers of later tokens
    out.extend(std::iter::repeat_n('\n', lines(content).len() - 1));
    length
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        let length = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + length..];
    }
    lines.push(rest);
    lines
}

/// The value of a block string (`BlockStringValue`): without common indentation, and without blank
/// lines at its start and end.
fn value(raw: &str) -> String {
    let blank = |line: &str| line.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut lines = lines(raw);
    let indented = lines.iter().skip(1).filter(|line| !blank(line));
    let common = indented.map(|line| indentation(line)).min().unwrap_or(0);
    for line in lines.iter_mut().skip(1) {
        *line = line.get(common..).unwrap_or_default();
    }
    let first = lines.iter().position(|line| !blank(line)).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !blank(line)).map_or(first, |last| last + 1);
    lines[first..last].join("\n")
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::{
        parse_query,
        types::{DocumentOperations, Selection},
    };
    use async_graphql_value::Value;
    use proptest::prelude::*;

    use super::*;

    /// The value of a literal.
    fn read(literal: &str) -> Option<String> {
        let document = parse_query(rewrite(&format!("{{ a(b: {literal}) }}"))).ok()?;
        let DocumentOperations::Single(operation) = document.operations else { return None };
        match &operation.node.selection_set.node.items[0].node {
            Selection::Field(field) => match &field.node.arguments[0].1.node {
                Value::String(text) => Some(text.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    #[test]
    fn escapes_of_all_characters_are_read() {
        for (literal, value) in [
            (r#""\ud83d\ude80""#, "🚀"),
            (r#""\u{1F680}""#, "🚀"),
            (r#""a\u{41}\u{000e9}b""#, "aAéb"),
            (r#""\u{22}\u{5c}\u{a}\u{0}""#, "\"\\\n\0"),
            (r#""\\u{41}""#, "\\u{41}"),
            (r#""\\\u{41}""#, "\\A"),
            (r#""\u0041""#, "A"),
            (r#""""x \""" y""""#, "x \"\"\" y"),
            (
                "\"\"\"\n    x \\\"\"\"\n      y\n\n    z\\u{41}\n  \"\"\"",
                "x \"\"\"\n  y\n\nz\\u{41}",
            ),
            ("\"\"\"\\\"\"\"\"\"\"", "\"\"\""),
        ] {
            assert_eq!(read(literal).as_deref(), Some(value), "{literal}");
        }
        for wrong in [
            r#""\ud83d""#,
            r#""\ude80\ud83d""#,
            r#""\u{110000}""#,
            r#""\u{d83d}""#,
            r#""\u{}""#,
            r#""\u{1""#,
            r#""\u{+1}""#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn text_after_a_literal_keeps_its_line() {
        let document = "{ a(b: \"\"\"\n\n \\\"\"\"\n\"\"\") # \\u{41} \"\n !";
        let line = |text: &str| {
            parse_query(text).err().and_then(|error| error.positions().next()).map(|at| at.line)
        };
        assert_eq!(line(&rewrite(document)), Some(5));
    }

    proptest! {
        #[test]
        fn of_anything_without_such_literals_nothing_changes(text in "[a-z{}()#\"\\\\ \n]{0,40}") {
            if !text.contains("\\u") && !text.contains("\\\"\"\"") {
                prop_assert_eq!(&*rewrite(&text), &text);
            }
        }

        #[test]
        fn of_anything_each_text_is_rewritten_without_a_panic(text in ".{0,60}", more in "[\"\\\\u{}d8e0-9\n#é]{0,60}") {
            let text = format!("{text}{more}");
            rewrite(&text);
        }
    }
}
