//! The providers, each in a file with its facts.

mod answers;
mod brevo;
mod mailgun;
mod mailjet;
mod mandrill;
mod postal;
mod postmark;
mod resend;
mod sendgrid;
mod ses;
mod sns;
mod sparkpost;

use std::{fmt, str::FromStr};

use uuid::Uuid;

pub(crate) use answers::Answers;
pub use answers::Situation;
pub(crate) use sns::TopicRegion;

use crate::{
    draft::Draft,
    json::Object,
    key::KeyKind,
    verify::{Attempt, Signed, Stop},
};

/// The facts of a provider.
pub(crate) struct Facts {
    /// The name, as the API spells it.
    pub(crate) name: &'static str,
    /// What its keys are.
    pub(crate) keys: KeyKind,
    /// The statuses to answer.
    pub(crate) answers: Answers,
    /// Whether the body can be a list of events.
    pub(crate) batches: bool,
    /// The headers of a message by which its events return the send's ID.
    pub(crate) headers: fn(Uuid) -> Vec<(&'static str, String)>,
    /// Checks the signature.
    pub(crate) verify: for<'a> fn(&Attempt<'a>) -> Result<Signed<'a>, Stop>,
    /// Reads an event. The text is the ID of the delivery, if the provider has one.
    pub(crate) read: fn(&Object<'_>, &str) -> Vec<Draft>,
}

/// Makes the enum and the tables of its facts.
macro_rules! providers {
    ($($(#[$doc:meta])* $variant:ident => $file:ident,)+) => {
        /// A mail provider.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Provider {
            $($(#[$doc])* $variant,)+
        }

        impl Provider {
            /// All providers.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub(crate) fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$variant => &$file::FACTS,)+
                }
            }
        }
    };
}

providers! {
    /// Amazon SES, whose events come through Amazon SNS.
    Ses => ses,
    /// Twilio SendGrid.
    Sendgrid => sendgrid,
    /// Postmark.
    Postmark => postmark,
    /// Mailgun.
    Mailgun => mailgun,
    /// Resend.
    Resend => resend,
    /// Brevo.
    Brevo => brevo,
    /// SparkPost.
    Sparkpost => sparkpost,
    /// Mailjet.
    Mailjet => mailjet,
    /// Mailchimp Transactional, formerly Mandrill.
    Mandrill => mandrill,
    /// Postal, which is self-hosted.
    Postal => postal,
}

impl Provider {
    /// The name, as the API spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The headers of a message by which the provider's events return the send's ID.
    #[must_use]
    pub fn headers(self, send: Uuid) -> Vec<(&'static str, String)> {
        (self.facts().headers)(send)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The name of no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a provider")]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.iter().copied().find(|provider| provider.name() == name).ok_or(UnknownProvider)
    }
}
