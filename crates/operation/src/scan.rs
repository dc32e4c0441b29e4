//! Bounds on a document and on JSON before any parser sees them.
//!
//! **Invariants.** Brackets in what passes are nested at most 64 deep, so that no recursive parser,
//! validator or destructor runs out of stack: without this, 2 kB would be enough. JSON that passes
//! has at most 250,000 values, each of which takes a hundred bytes or more in memory: 8 MB of zeros
//! would take a gigabyte.

use crate::error::Error;

/// The maximum nesting of brackets.
pub const MAX_NESTING: usize = 64;
/// The maximum number of tokens in a document.
const MAX_TOKENS: usize = 20_000;
/// The maximum number of values in JSON: ten thousand rows of 25.
const MAX_VALUES: usize = 250_000;

/// Bounds a GraphQL document. Knows as much of the grammar (GraphQL, section 2.1) as needed to
/// distinguish a bracket from one in a string, a block string or a comment.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub fn document(text: &str) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tokens) = (0, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at = match byte {
            b'#' => {
                while !matches!(bytes.get(at), None | Some(b'\n' | b'\r')) {
                    at += 1;
                }
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            b'"' if bytes[at..].starts_with(b"\"\"\"") => end_of_block_string(bytes, at + 3),
            b'"' => end_of_string(bytes, at + 1, true),
            b'(' | b'[' | b'{' => {
                depth += 1;
                at + 1
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            byte if is_word(byte) => {
                while bytes.get(at).copied().is_some_and(is_word) {
                    at += 1;
                }
                at
            }
            _ => at + 1,
        };
        debug_assert!(at > start, "every token has a length");
        tokens += 1;
        if depth > MAX_NESTING {
            return Err(Error::limit(
                "query",
                format!("Brackets can be nested at most {MAX_NESTING} levels deep."),
            ));
        }
        if tokens > MAX_TOKENS {
            let message = format!("A document can have at most {MAX_TOKENS} tokens.");
            return Err(Error::limit("query", message));
        }
    }
    Ok(())
}

/// Bounds the nesting of JSON text, `extra` levels deeper than that of a document, and the number of
/// its values.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub fn json(text: &[u8], extra: usize) -> Result<(), Error> {
    let (mut at, mut depth, mut values) = (0, 0_usize, 1_usize);
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'"' => end_of_string(text, at + 1, false),
            b'[' | b'{' => {
                depth += 1;
                // at most: it may be empty
                values += 1;
                at + 1
            }
            b',' => {
                values += 1;
                at + 1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + 1,
        };
        if values > MAX_VALUES {
            let message = format!("JSON can have at most {MAX_VALUES} values.");
            return Err(Error::limit("variables", message));
        }
        if depth > MAX_NESTING + extra {
            let message = format!("Brackets can be nested at most {MAX_NESTING} levels deep.");
            return Err(Error::limit("variables", message));
        }
    }
    Ok(())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+') || byte >= 0x80
}

/// The end of the string whose content starts here. A string in a document also ends with its line.
fn end_of_string(bytes: &[u8], mut at: usize, ends_with_line: bool) -> usize {
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            b'\n' | b'\r' if ends_with_line => return at,
            _ => 1,
        };
    }
    bytes.len()
}

fn end_of_block_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if bytes[at..].starts_with(b"\"\"\"") {
            return at + 3;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{{ a(b: {}{}) }}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn brackets_nest_64_deep() {
        assert!(document(&nested(62)).is_ok());
        assert!(document(&nested(63)).is_err());
        assert!(json("[".repeat(65).as_bytes(), 1).is_ok());
        assert!(json("[".repeat(66).as_bytes(), 1).is_err());
    }

    #[test]
    fn json_has_250_000_values() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(json(zeros(249_998).as_bytes(), 1).is_ok());
        assert!(json(zeros(250_000).as_bytes(), 1).is_err());
        assert!(json("[],".repeat(130_000).as_bytes(), 1).is_err());
        assert!(json(format!("\"{}\"", ",".repeat(300_000)).as_bytes(), 1).is_ok());
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[".repeat(100);
        assert!(document(&format!("{{ a(b: \"{many}\") }}")).is_ok());
        assert!(document(&format!("{{ a(b: \"\\\"{many}\") }}")).is_ok());
        assert!(document(&format!("{{ a(b: \"\"\"{many}\n\\\"\"\" \"{many}\"\"\") }}")).is_ok());
        assert!(document(&format!("# {many}\n{{ a }}")).is_ok());
        assert!(json(format!("\"{many}\\\"{many}\"").as_bytes(), 0).is_ok());
    }

    #[test]
    fn brackets_behind_a_string_count() {
        let many = "[".repeat(100);
        assert!(document(&format!("{{ a(b: \"\", c: {many}")).is_err());
        assert!(document(&format!("{{ a(b: \"\"\"x\"\"\", c: {many}")).is_err());
        assert!(document(&format!("{{ a(b: \"x\\\\\", c: {many}")).is_err());
        assert!(document(&format!("# x\r{many}")).is_err());
        assert!(document(&format!("{{ a(b: \"x\n{many}")).is_err());
        assert!(json(format!("\"\\\\\"{many}").as_bytes(), 0).is_err());
    }

    #[test]
    fn a_document_has_20_000_tokens() {
        assert!(document(&"a ".repeat(20_000)).is_ok());
        assert!(document(&"a ".repeat(20_001)).is_err());
        assert!(document(&"!".repeat(20_001)).is_err());
    }
}
