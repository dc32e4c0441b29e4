//! What to answer: providers differ in which status ends their retries.

use super::Provider;

/// A situation to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Situation {
    /// The events are stored, repeated, ignored or waiting for their send, or the request was a ping.
    Taken,
    /// The request has no signature or credentials.
    NoCredentials,
    /// The signature or the credentials are wrong, or too old.
    Refused,
    /// The body is not what the provider sends.
    Unreadable,
    /// The body has too many bytes or events.
    TooLarge,
    /// The service cannot take it now. The provider should retry.
    Unavailable,
    /// The webhook is disabled.
    Disabled,
    /// The webhook does not exist, or was deleted.
    NotFound,
    /// A HEAD or GET request, which tests that the URL exists.
    Probe,
}

/// The statuses that differ between providers.
pub(crate) struct Answers {
    pub(crate) no_credentials: u16,
    pub(crate) refused: u16,
    pub(crate) unreadable: u16,
    pub(crate) disabled: u16,
}

impl Answers {
    /// Those of a provider that gives none of them a special meaning.
    pub(crate) const USUAL: Self =
        Self { no_credentials: 401, refused: 403, unreadable: 400, disabled: 404 };
}

impl Provider {
    /// The HTTP status to answer.
    #[must_use]
    pub fn status(self, situation: Situation) -> u16 {
        let answers = &self.facts().answers;
        match situation {
            Situation::Taken | Situation::Probe => 200,
            Situation::NoCredentials => answers.no_credentials,
            Situation::Refused => answers.refused,
            Situation::Unreadable => answers.unreadable,
            Situation::Disabled => answers.disabled,
            Situation::TooLarge => 413,
            // never 429: Amazon SNS does not try again after any status from 400 to 499
            Situation::Unavailable => 503,
            Situation::NotFound => 404,
        }
    }
}
