//! Addresses: compared, and removed from texts.

use std::{fmt, net::IpAddr};

use crate::bounds::{MAX_RECIPIENT, MAX_REDACTED, cut, start};

/// What stands for a NUL, so that no stored address equals it.
const REPLACEMENT: &str = "\u{fffd}";
/// What stands for an address that was removed.
const REMOVED: char = '…';

/// An e-mail address to compare, without case. It is not for storing, and debug output does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

impl Address {
    /// An address, with or without a name: `ada@example.com`, `Ada <ada@example.com>`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let inner = text
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'))
            .map_or(text, |(_, inner)| inner.trim());
        // PostgreSQL has no NUL in text
        Self(cut(&inner.to_lowercase().replace('\0', REPLACEMENT), MAX_RECIPIENT))
    }

    /// Whether the text is this address.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        *self == Self::new(text)
    }

    /// The address in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Address({REMOVED})")
    }
}

/// Replaces each e-mail address and IP address of a text by `…`. Of a long text, only the start is left.
pub(crate) fn redact(text: &str) -> String {
    let mut whole = start(text, MAX_REDACTED);
    if whole.len() < text.len() {
        // the last word can be half an address, which does not look like one
        whole = whole.rfind(char::is_whitespace).map_or("", |end| &whole[..end]);
    }
    without_ips(&without_addresses(whole))
}

fn without_addresses(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, width)) = next_at_sign(rest) {
        let (left, right) =
            (start_of_local(&rest[..at]), at + width + length_of_domain(&rest[at + width..]));
        if left < at && right > at + width {
            redacted.push_str(&rest[..left]);
            redacted.push(REMOVED);
        } else {
            redacted.push_str(&rest[..right]);
        }
        rest = &rest[right..];
    }
    redacted + rest
}

/// The next `@`, also in its URL encoding: its position and its bytes.
fn next_at_sign(text: &str) -> Option<(usize, usize)> {
    let plain = text.find('@').map(|at| (at, 1));
    let encoded = text.find("%40").map(|at| (at, 3));
    plain.into_iter().chain(encoded).min()
}

fn start_of_local(text: &str) -> usize {
    if let Some(quoted) = text.strip_suffix('"') {
        return quoted.rfind('"').unwrap_or(text.len());
    }
    let is_local =
        |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter);
    text.trim_end_matches(is_local).len()
}

fn length_of_domain(text: &str) -> usize {
    if text.starts_with('[') {
        return text.find(']').map_or(0, |end| end + 1);
    }
    let is_domain = |letter: char| letter.is_alphanumeric() || "-._@".contains(letter);
    let domain = &text[..text.len() - text.trim_start_matches(is_domain).len()];
    // the full stop of a sentence
    domain.trim_end_matches('.').len()
}

fn without_ips(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || letter == '.' || letter == ':';
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let mut joined = false;
    while let Some(first) = rest.chars().next() {
        if rest.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:")) {
            redacted.push_str(&rest[..5]);
            (rest, joined) = (&rest[5..], false);
            continue;
        }
        if !is_part(first) {
            redacted.push(first);
            (rest, joined) = (&rest[first.len_utf8()..], first.is_alphanumeric());
            continue;
        }
        let length = rest.len() - rest.trim_start_matches(is_part).len();
        let (run, after) = rest.split_at(length);
        let ends_here = !after.starts_with(char::is_alphanumeric);
        match ip_at_start(run) {
            Some(ip) if !joined && ends_here => {
                redacted.push(REMOVED);
                redacted.push_str(&run[ip..]);
            }
            _ => redacted.push_str(run),
        }
        (rest, joined) = (after, true);
    }
    redacted
}

/// The length of the IP address that a run of hexadecimal digits, full stops and colons starts with.
fn ip_at_start(run: &str) -> Option<usize> {
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let sentence = run.trim_end_matches(['.', ':']);
    let before_port = run.split_once(':').map(|(ip, _)| ip);
    [Some(run), Some(sentence), before_port]
        .into_iter()
        .flatten()
        .find(|text| text.len() > 2 && is_ip(text))
        .map(str::len)
}

#[cfg(test)]
mod tests {
    use super::{Address, redact};

    #[test]
    fn addresses_are_compared_without_case_and_names() {
        let address = Address::new(" Ada Lovelace <Ada@Example.COM> ");
        assert!(address.is("ada@example.com"));
        assert!(!address.is("bob@example.com"));
        assert_eq!(format!("{address:?}"), "Address(…)");
    }

    #[test]
    fn a_long_text_leaves_no_half_of_an_address() {
        let text = "a@b ".repeat(1_023) + "ada.lovelace@example.com";
        let redacted = redact(&text);
        assert!(redacted.chars().all(|letter| letter == '…' || letter == ' '), "{redacted}");
        assert_eq!(redact(&"x".repeat(100_000)), "");
    }

    #[test]
    fn addresses_are_removed_from_texts() {
        for (text, redacted) in [
            ("550 5.1.1 <ada@example.com>: user unknown", "550 5.1.1 <…>: user unknown"),
            ("no mailbox ada.b+c@mail.example.com.", "no mailbox …."),
            ("rfc822;Ada@Example.com; gone", "rfc822;…; gone"),
            ("\"ada lovelace\"@example.com is full", "… is full"),
            ("grüße@bücher.example and @home", "… and @home"),
            ("see https://x.example/?to=ada%40example.com now", "see https:… now"),
            ("ada@[203.0.113.9] refused", "… refused"),
            ("a@b@c@d", "…"),
            (
                "nothing to remove: 5.1.1 550-5.7.26 12:05:19 std::string",
                "nothing to remove: 5.1.1 550-5.7.26 12:05:19 std::string",
            ),
            ("Client host [203.0.113.9] blocked", "Client host […] blocked"),
            ("203.0.113.9:25 refused, 198.51.100.7.", "…:25 refused, …."),
            ("IPv6:2001:db8::1 and [2001:db8::2]", "IPv6:… and […]"),
            ("mail from ::1", "mail from …"),
            ("version 1.2.3, 4.2.2", "version 1.2.3, 4.2.2"),
        ] {
            assert_eq!(redact(text), redacted, "{text}");
        }
    }
}
