//! Keeps passwords out of what people see: errors, the log and printed settings.
//!
//! **Invariant.** Only the scheme, the host, the port and the path of an address are shown. If the parts cannot be
//! distinguished with certainty, as with a slash in a password, everything up to the last `@` is hidden.

use std::{borrow::Cow, path::Path};

use reqwest::Url;

/// The placeholder for a secret.
pub(crate) const HIDDEN: &str = "***";

/// Characters that end an address within a text.
const ENDS: &[char] = &[' ', '\t', '\n', '\r', '"', '\'', '`', '<', '>', '\\'];

/// An error without possible secrets in the addresses that it repeats, which may be malformed.
pub(crate) fn redacted_error(text: &str) -> String {
    let has_address = |line: &&str| line.contains("://");
    let lines = text
        .lines()
        .map(|line| Some(line).filter(has_address).map_or(Cow::Borrowed(line), redacted_value));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text without the users, the passwords and the parameters of the addresses in it.
pub(crate) fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(ENDS).unwrap_or(after.len());
        let (address, behind) = after.split_at(end);
        shown.push_str(before);
        shown.push_str("://");
        push_without_secrets(&mut shown, address);
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The value of an argument without possible secrets. Spaces and quotes may belong to a password.
pub(crate) fn redacted_value(value: &str) -> Cow<'_, str> {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, value),
    };
    let is_address = scheme.is_some();
    let has_password = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if !is_address && !has_password {
        return Cow::Borrowed(value);
    }
    let mut shown = String::with_capacity(value.len());
    if let Some(scheme) = scheme {
        // `me:password@x://…` is no scheme
        shown.push_str(if scheme.contains('@') { HIDDEN } else { scheme });
        shown.push_str("://");
    }
    push_without_secrets(&mut shown, rest);
    Cow::Owned(shown)
}

/// The name of a file, without possible secrets that were given by mistake.
pub(crate) fn redacted_path(file: &Path) -> String {
    redacted_value(&file.to_string_lossy()).into_owned()
}

/// Writes what follows the scheme of an address.
fn push_without_secrets(shown: &mut String, address: &str) {
    let place = match address.rsplit_once('@') {
        Some((_, place)) => {
            shown.push_str(HIDDEN);
            shown.push('@');
            place
        }
        None => address,
    };
    match place.split_once('?') {
        Some((place, _)) => shown.extend([place, "?", HIDDEN]),
        None => shown.push_str(place),
    }
}

/// An address without its user, password and parameters. `None` if the parts cannot be distinguished with certainty.
pub(crate) fn public_part(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (user, place),
        None => ("", rest),
    };
    // the password contains one of these, or the address has no user
    if user.contains(['/', '?', '#']) {
        return None;
    }
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let place = format!("{scheme}://{place}");
    Url::parse(&place).is_ok().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::{public_part, redacted, redacted_error, redacted_value};

    #[test]
    fn an_address_within_a_text_has_no_user_and_no_parameters() {
        for (text, shown) in [
            ("nothing to hide: a@b", "nothing to hide: a@b"),
            (
                "cannot reach (https://me:hunter2@h:1/x?key=hunter2): no",
                "cannot reach (https://***@h:1/x?*** no",
            ),
            (
                r#"{"url":"http://me:p@ss@h/","other":"a@b"}"#,
                r#"{"url":"http://***@h/","other":"a@b"}"#,
            ),
            ("a://b@c d://e:f@g", "a://***@c d://***@g"),
            ("see http://h/a and b", "see http://h/a and b"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn a_value_is_shown_up_to_what_may_be_a_secret() {
        for (value, shown) in [
            ("12", "12"),
            ("a@b.example", "a@b.example"),
            ("mysql://me:hunter2@h/db", "mysql://***@h/db"),
            ("postgres://me:hun ter'2@h/db", "postgres://***@h/db"),
            ("postgres://me:hunter2@a/hunter2@h/db", "postgres://***@h/db"),
            ("http://h/x?key=hunter2", "http://h/x?***"),
            ("me:hunter2@h/db", "***@h/db"),
            ("me:hunter2@h://db", "***://db"),
        ] {
            assert_eq!(redacted_value(value), shown);
        }
    }

    #[test]
    fn an_error_keeps_what_is_no_secret() {
        for (error, shown) in [
            (
                "cannot connect: password authentication failed for user \"me@example.com\"",
                "cannot connect: password authentication failed for user \"me@example.com\"",
            ),
            (
                "postgres://me:hun ter2@h/db: no such file\nsecond: a@b",
                "postgres://***@h/db: no such file\nsecond: a@b",
            ),
            (
                "it must begin with postgres:// or sqlite://",
                "it must begin with postgres:// or sqlite://",
            ),
        ] {
            assert_eq!(redacted_error(error), shown);
        }
    }

    #[test]
    fn the_public_part_is_shown_where_it_is_certain() {
        for (address, shown) in [
            ("postgres://me:hunter2@h:5433/db?password=x", Some("postgres://h:5433/db")),
            ("postgres://h/db", Some("postgres://h/db")),
            ("postgres://me@/db?host=/socket", Some("postgres:///db")),
            ("sqlite://campaigns.db", Some("sqlite://campaigns.db")),
            // the password is `12/hunter2`
            ("postgres://me:12/hunter2@h/db", None),
            ("postgres://me:12#hunter2@h/db", None),
            ("postgres://me:12?hunter2@h/db", None),
            ("postgres://me:hunter2", None),
            ("hunter2", None),
        ] {
            assert_eq!(public_part(address).as_deref(), shown, "{address}");
        }
    }
}
