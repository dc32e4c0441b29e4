//! The limits of this crate. Each is named once, here.

/// The number of events that one request can carry.
pub const MAX_EVENTS: usize = 10_000;

/// The number of keys that are valid at once.
pub const MAX_KEYS: usize = 5;

/// The number of topics of one webhook.
pub const MAX_TOPICS: usize = 100;

/// The bytes of one key.
pub const MAX_KEY: usize = 8 * 1024;

/// The bytes of a signing certificate.
pub const MAX_CERTIFICATE: usize = 64 * 1024;

/// The recipients of one event that are read. Amazon SES allows 50.
pub const MAX_RECIPIENTS: usize = 100;

/// The bytes that are kept of a user agent.
pub const MAX_USER_AGENT: usize = 512;

/// The bytes that are kept of a diagnostic text or an error.
pub const MAX_DIAGNOSTIC: usize = 1024;

/// The bytes that are kept of a status code.
pub const MAX_CODE: usize = 64;

/// The bytes of a message ID. A longer one identifies no message.
pub const MAX_MESSAGE_ID: usize = 512;

/// The bytes that are kept of a recipient.
pub const MAX_RECIPIENT: usize = 512;

/// The bytes of a clicked link. An event with a longer one is unreadable.
pub const MAX_URL: usize = 16 * 1024;

/// The bytes of an event key. A longer one is shortened to its start and a hash.
pub const MAX_EVENT_KEY: usize = 1024;

/// The number of user agents that an operator can add.
pub const MAX_AGENTS: usize = 1_000;

/// The bytes that are read of one text of an event. It is longer than everything that is kept, so that what
/// is too long is noticed.
pub(crate) const MAX_TEXT: usize = 64 * 1024;

/// The bytes of a diagnostic text in which addresses are looked for.
pub(crate) const MAX_REDACTED: usize = 4 * MAX_DIAGNOSTIC;

/// The fields of one object that are read.
pub(crate) const MAX_FIELDS: usize = 1_000;

/// The elements of one list in an event that are read.
pub(crate) const MAX_ELEMENTS: usize = 1_000;

/// The start of a text, at most `max` bytes. A text that was cut ends with `…`.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", start(text, max.saturating_sub('…'.len_utf8())))
}

/// The start of a text, at most `max` bytes.
pub(crate) fn start(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("grüße", 7), "grüße");
        assert_eq!(cut("grüße und mehr", 7), "grü…");
        assert_eq!(cut("grüße und mehr", 6), "gr…");
    }
}
