//! Why a message bounced.

/// The class of a bounce. It is wider than hard and soft, as only a hard bounce says something about the
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BounceClass {
    /// The address does not exist. The only class that suppresses a contact.
    Hard,
    /// The mailbox could not take the message now. It is full, for example.
    Soft,
    /// The receiver refused the sender: reputation, policy, rate.
    Block,
    /// The receiver refused the content, such as its size or an attachment.
    Content,
    /// The provider did not try, because the address is on its suppression list.
    Suppressed,
    /// No reason is known.
    Unknown,
}

impl BounceClass {
    /// The name in `metadata`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Block => "block",
            Self::Content => "content",
            Self::Suppressed => "suppressed",
            Self::Unknown => "unknown",
        }
    }
}

/// The reason for a bounce, for `metadata.bounce`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Its class.
    pub class: BounceClass,
    /// The enhanced status code, such as `5.1.1`, or the code of the SMTP reply.
    pub code: Option<String>,
    /// The receiver's text, without addresses.
    pub diagnostic: Option<String>,
}

/// The class of an enhanced status code, if its meaning is clear (RFC 3463, and the IANA registry of SMTP
/// Enhanced Status Codes).
pub(crate) fn class_of_code(code: &str) -> Option<BounceClass> {
    let mut numbers = code.splitn(3, '.');
    let (class, subject, detail) = (numbers.next()?, numbers.next()?, numbers.next()?);
    match (class, subject, detail) {
        // message too large for the mailbox or the system, and everything about its content
        (_, "2", "3") | (_, "3", "4") | (_, "6", _) => Some(BounceClass::Content),
        // mailbox full, and everything that is transient
        (_, "2", "2") | ("4", ..) => Some(BounceClass::Soft),
        // the sender's address, not the recipient's
        ("5", "1", "7" | "8") | ("5", "7", _) => Some(BounceClass::Block),
        ("5", "1", _) => Some(BounceClass::Hard),
        _ => None,
    }
}

/// The enhanced status code in a text, or else the code of an SMTP reply.
pub(crate) fn code_in(text: &str) -> Option<&str> {
    let numbers = || {
        text.split(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .map(|number| number.trim_matches('.'))
    };
    numbers()
        .find(|number| is_enhanced(number))
        .or_else(|| numbers().find(|number| is_reply(number)))
}

/// The enhanced status code in a text.
pub(crate) fn enhanced_code_in(text: &str) -> Option<&str> {
    code_in(text).filter(|code| is_enhanced(code))
}

fn is_enhanced(text: &str) -> bool {
    let numbers: Vec<_> = text.split('.').collect();
    matches!(numbers[..], ["2" | "4" | "5", subject, detail]
        if (1..=3).contains(&subject.len()) && (1..=3).contains(&detail.len()))
}

fn is_reply(text: &str) -> bool {
    text.len() == 3 && (text.starts_with('4') || text.starts_with('5')) && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::{BounceClass, class_of_code, code_in};

    #[test]
    fn codes_are_found_in_texts() {
        assert_eq!(code_in("smtp; 550 5.1.1 user unknown"), Some("5.1.1"));
        assert_eq!(code_in("550-5.7.26 unauthenticated"), Some("5.7.26"));
        assert_eq!(code_in("552 mailbox full."), Some("552"));
        assert_eq!(code_in("host 10.4.5.1 said 12.5.1.1"), None);
        assert_eq!(code_in("call 5501234"), None);
        assert_eq!(code_in(""), None);
    }

    #[test]
    fn only_a_recipient_that_does_not_exist_is_hard() {
        assert_eq!(class_of_code("5.1.1"), Some(BounceClass::Hard));
        assert_eq!(class_of_code("5.1.10"), Some(BounceClass::Hard));
        assert_eq!(class_of_code("5.1.8"), Some(BounceClass::Block));
        assert_eq!(class_of_code("5.7.1"), Some(BounceClass::Block));
        assert_eq!(class_of_code("5.2.2"), Some(BounceClass::Soft));
        assert_eq!(class_of_code("4.4.7"), Some(BounceClass::Soft));
        assert_eq!(class_of_code("5.3.4"), Some(BounceClass::Content));
        assert_eq!(class_of_code("5.0.0"), None);
        assert_eq!(class_of_code("550"), None);
    }
}
