//! Bounds documents and JSON before they are parsed, and checks that the fields of input objects are
//! unique (GraphQL, section 5.6.3). The library's parser cannot check this, because it turns an input
//! object into a map.
//!
//! **Invariants.** Brackets in accepted text are nested at most 64 deep, so that no recursive parser,
//! validator or destructor runs out of stack. Otherwise 2 kB of text would suffice for that. Accepted JSON
//! has at most 250,000 values, each of which takes a hundred bytes or more in memory: 8 MB of zeros would
//! take a gigabyte.

use std::collections::HashSet;

use async_graphql::Pos;

use crate::{
    error::{Code, Error},
    rounded::RoundedNumbers,
};

/// The maximum nesting of brackets.
pub const MAX_NESTING: usize = 64;
/// The maximum number of tokens in a document.
const MAX_TOKENS: usize = 20_000;
/// The maximum number of bytes of a name in a document. Errors and responses repeat names.
pub const MAX_NAME: usize = 256;
/// The maximum number of values in JSON: ten thousand rows of 25 values.
const MAX_VALUES: usize = 250_000;

/// The line and the column of a byte.
fn place_of(text: &str, at: usize) -> Pos {
    let before = &text[..at];
    let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
    Pos { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() }
}

/// The findings about a document before it is parsed.
#[derive(Debug, Default)]
pub(crate) struct ScanResult {
    /// The error for the first duplicate field in an input object. Syntax errors take precedence.
    pub(crate) repeated: Option<Error>,
    /// The numbers that parsing rounds.
    pub(crate) rounded: RoundedNumbers,
}

/// The context of the preceding token.
#[derive(Clone, Copy, Default)]
struct PrecedingToken {
    /// Whether it is the sign `@`.
    is_at: bool,
    /// Whether it ends a directive: its name, or its arguments. The parser accepts a default value after
    /// a directive, but it has to come before (GraphQL, section 2.10).
    is_of_directive: bool,
}

impl PrecedingToken {
    /// The context after a token that begins with this byte. A default value can follow a type or, in
    /// error, a directive, and no type ends with a parenthesis.
    fn then(self, byte: u8) -> Self {
        let is_name = self.is_at && is_word(byte);
        Self { is_at: byte == b'@', is_of_directive: is_name || byte == b')' }
    }
}

/// Bounds a GraphQL document. Knows enough of the grammar (GraphQL, section 2.1) to ignore brackets in
/// strings, block strings and comments.
///
/// # Errors
/// `LIMIT_EXCEEDED`, and `GRAPHQL_PARSE_FAILED` for invalid documents that the parser would accept.
pub(crate) fn document(text: &str) -> Result<ScanResult, Error> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tokens) = (0, 0_usize, 0_usize);
    let mut objects = Objects::default();
    let mut scanned = ScanResult::default();
    let mut before = PrecedingToken::default();
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
                objects.open(byte);
                at + 1
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                objects.close();
                at + 1
            }
            byte if is_word(byte) => {
                while bytes.get(at).copied().is_some_and(is_word) {
                    at += 1;
                }
                if is_long_name(&text[start..at]) {
                    let message = format!("A name can have at most {MAX_NAME} bytes.");
                    return Err(Error::limit("query", message));
                }
                let word = &text[start..at];
                if is_of_number(byte) {
                    scanned.rounded.note(word);
                }
                objects.word(word);
                at
            }
            b':' => {
                scanned.repeated = scanned.repeated.or_else(|| objects.colon());
                at + 1
            }
            _ => at + 1,
        };
        debug_assert!(at > start, "no token is empty");
        if byte == b'=' && before.is_of_directive {
            let message = "Syntax error: a default value comes before directives.";
            let error = Error::new(Code::GraphqlParseFailed, message, None);
            return Err(Error { locations: vec![place_of(text, start)], ..error });
        }
        before = before.then(byte);
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
    Ok(scanned)
}

/// The open brackets, with the fields of input objects.
#[derive(Default)]
struct Objects<'a> {
    open: Vec<Bracket<'a>>,
    /// The number of open round brackets. Within one, braces contain an input object.
    round: usize,
    /// The last word. Before a colon, it is the name of a field.
    word: &'a str,
}

enum Bracket<'a> {
    Round,
    Object(HashSet<&'a str>),
    Other,
}

impl<'a> Objects<'a> {
    fn open(&mut self, bracket: u8) {
        self.round += usize::from(bracket == b'(');
        self.open.push(match bracket {
            b'(' => Bracket::Round,
            b'{' if self.round > 0 => Bracket::Object(HashSet::new()),
            _ => Bracket::Other,
        });
    }

    fn close(&mut self) {
        if let Some(Bracket::Round) = self.open.pop() {
            self.round -= 1;
        }
    }

    fn word(&mut self, word: &'a str) {
        self.word = word;
    }

    fn colon(&mut self) -> Option<Error> {
        let Some(Bracket::Object(fields)) = self.open.last_mut() else { return None };
        if fields.insert(self.word) {
            return None;
        }
        let message = format!("Duplicate field \"{}\" in an input object.", self.word);
        Some(Error::invalid(message))
    }
}

/// Bounds the number of values in JSON and their nesting, which can be `extra` levels deeper than that of a
/// document. Returns the numbers that parsing rounds.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub fn json(text: &[u8], extra: usize) -> Result<RoundedNumbers, Error> {
    let mut rounded = RoundedNumbers::default();
    let (mut at, mut depth, mut values) = (0, 0_usize, 1_usize);
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'"' => end_of_string(text, at + 1, false),
            b'[' | b'{' => {
                depth += 1;
                // an upper bound, since it can be empty
                values += 1;
                at + 1
            }
            b',' => {
                values += 1;
                at + 1
            }
            byte if is_of_number(byte) => {
                let length = text[at..].iter().take_while(|byte| is_word(**byte)).count();
                let number = &text[at..at + length];
                rounded.note(std::str::from_utf8(number).unwrap_or_default());
                at + length
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
    Ok(rounded)
}

/// Whether a word is a name that is too long. A word can begin with the dots of a spread.
fn is_long_name(word: &str) -> bool {
    let name = word.trim_start_matches('.');
    name.len() > MAX_NAME && name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Whether a word that begins with this byte is a number.
fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+') || byte >= 0x80
}

/// The end of the string whose content starts at `at`. A string in a document also ends at the end of its
/// line.
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
    fn a_default_value_comes_before_directives() {
        for wrong in ["$a: Int @b = 1", "$a: Int @b(c: 1) = 1", "$a: [Int!]! @b @c = [1]"] {
            let error = document(&format!("query ({wrong}) {{ d }}")).unwrap_err();
            assert_eq!(error.code, Code::GraphqlParseFailed, "{wrong}");
            let column = 8 + wrong.rfind("= ").unwrap();
            assert_eq!(error.locations, [Pos { line: 1, column }], "{wrong}");
        }
        for right in
            ["$a: Int = 1", "$a: [Int!]! = [1], $b: Int = 2", "$a: Int = 1 @b", "$a: T = {b: 1}"]
        {
            assert!(document(&format!("query ({right}) {{ d @e(f: $a) }}")).is_ok(), "{right}");
        }
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
    fn the_fields_of_an_input_object_are_unique() {
        for fine in [
            "{ a(b: { c: 1, d: { c: 2 } }, e: { c: 1 }) { c: a c: a } }",
            "query ($a: B = { c: 1 }) { a(b: [{ c: 1 }, { c: 2 }]) { b(c: 1) c: b(c: 2) } }",
            "{ a(b: { c: \"c: 1, c: 2\" }) }",
        ] {
            assert_eq!(document(fine).map(|of| of.repeated), Ok(None), "{fine}");
        }
        for wrong in [
            "{ a(b: { c: 1, c: 2 }) }",
            "{ a(b: { c: 1 # c\n c\n: 2 }) }",
            "{ a(b: [{ d: { e: 1 }, c: $x, d: 2 }]) { c } }",
            "query ($a: B = { c: 1 c: 2 }) { a }",
            "{ a @b(c: { d: 1, d: 1 }) }",
        ] {
            let error = document(wrong).unwrap().repeated.unwrap();
            assert_eq!(error.code, Code::GraphqlValidationFailed, "{wrong}");
        }
    }

    #[test]
    fn a_name_has_256_bytes() {
        for before in ["{ ", "query ", "{ a: ", "query ($", "{ a(b: $", "{ ..."] {
            let document = |length: usize| document(&format!("{before}{}", "x".repeat(length)));
            assert!(document(256).is_ok(), "{before}");
            assert!(document(257).is_err(), "{before}");
        }
        assert!(document(&format!("{{ a(b: \"{}\") }}", "x".repeat(1_000))).is_ok());
        assert!(document(&format!("{{ a(b: {}) }}", "1".repeat(1_000))).is_ok());
    }

    #[test]
    fn a_document_has_20_000_tokens() {
        assert!(document(&"a ".repeat(20_000)).is_ok());
        assert!(document(&"a ".repeat(20_001)).is_err());
        assert!(document(&"!".repeat(20_001)).is_err());
    }

    mod of_anything {
        use async_graphql::parser::parse_query;
        use proptest::prelude::*;

        use super::*;

        /// Tokens of documents, and other text.
        fn pieces() -> impl Strategy<Value = String> {
            let piece = prop_oneof![
                4 => prop::sample::select(vec![
                    "{", "}", "(", ")", "[", "]", ":", ",", "!", "$", "@", "...", "=", "|", "&", "\"", "\"\"\"", "\\", "#",
                    "\n", "\r", " ", "query", "mutation", "subscription", "fragment", "on", "a", "b", "null", "true", "1",
                    "-1.5e9", "é", "\u{feff}", "\0",
                ])
                .prop_map(str::to_owned),
                1 => ".{0,8}",
            ];
            prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
        }

        /// Valid documents with input objects.
        fn objects() -> impl Strategy<Value = String> {
            let leaf =
                prop::sample::select(vec!["1", "$v", "\"{ a: 1, a: 2 }\"", "[1, 2]", "null", "E"]);
            let leaf = leaf.prop_map(str::to_owned);
            let value = leaf.prop_recursive(4, 24, 4, |inner| {
                let fields = prop::collection::vec(("[a-c]", inner.clone()), 0..4);
                prop_oneof![
                    fields.prop_map(|fields| {
                        let fields: Vec<_> =
                            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                        format!("{{ {} }}", fields.join(", "))
                    }),
                    prop::collection::vec(inner, 0..3)
                        .prop_map(|items| format!("[{}]", items.join(" "))),
                ]
            });
            value.prop_map(|value| {
                format!("query ($v: Int) {{ x: a(input: {value}) {{ a: b a: b }} }}")
            })
        }

        /// Whether the text of a value has an object with a duplicate field.
        fn repeats(document: &str) -> bool {
            let text = document.replace("\"{ a: 1, a: 2 }\"", "0");
            let value = &text[text.find("input: ").unwrap()..text.rfind(") {").unwrap()];
            let mut open: Vec<Vec<char>> = Vec::new();
            let letters: Vec<char> = value["input: ".len()..].chars().collect();
            for (at, letter) in letters.iter().enumerate() {
                match letter {
                    '{' => open.push(Vec::new()),
                    '}' => drop(open.pop()),
                    ':' => {
                        let fields = open.last_mut().unwrap();
                        if fields.contains(&letters[at - 1]) {
                            return true;
                        }
                        fields.push(letters[at - 1]);
                    }
                    _ => {}
                }
            }
            false
        }

        proptest! {
            #[test]
            fn accepted_text_is_parsed_without_a_panic(text in pieces()) {
                if document(&text).is_ok() {
                    parse_query(&text).ok();
                }
                json(text.as_bytes(), 2).ok();
            }

            #[test]
            fn accepted_json_is_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
                if json(&bytes, 0).is_ok() {
                    serde_json::from_slice::<serde_json::Value>(&bytes).ok();
                }
            }

            #[test]
            fn only_duplicate_fields_are_found(text in objects()) {
                prop_assert!(parse_query(&text).is_ok(), "{}", text);
                let repeated = document(&text).unwrap().repeated.is_some();
                prop_assert_eq!(repeated, repeats(&text), "{}", text);
            }
        }
    }
}
