//! Webhooks as they are configured.

use std::{collections::HashSet, fmt};

use crate::{
    Certificate, Key, KeyError, Provider, Request, Verdict,
    bounds::{MAX_KEYS, MAX_TOPICS},
    key::KeyKind,
    topic::{TopicArn, TopicError},
    verify::Attempt,
};

/// The configuration of a webhook.
pub struct Webhook {
    provider: Provider,
    keys: Vec<Key>,
    topics: Vec<TopicArn>,
    url: Option<String>,
}

impl fmt::Debug for Webhook {
    /// Without the URL, whose path is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { provider, keys, topics, url: _ } = self;
        write!(formatter, "Webhook({provider}, {keys:?}, {topics:?})")
    }
}

/// What is wrong with the configuration of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It needs a key.
    #[error("This needs at least one key.")]
    NoKeys,
    /// It has too many keys.
    #[error("This can have at most {MAX_KEYS} keys.")]
    ManyKeys,
    /// A key is not valid.
    #[error("{error}")]
    Key {
        /// Its index.
        index: usize,
        /// Why.
        error: KeyError,
    },
    /// A key is given twice.
    #[error("This key is repeated.")]
    RepeatedKey {
        /// The index of the second.
        index: usize,
    },
    /// It needs a topic.
    #[error("This needs at least one topic.")]
    NoTopics,
    /// It has too many topics.
    #[error("This can have at most {MAX_TOPICS} topics.")]
    ManyTopics,
    /// The provider has no topics.
    #[error("Only webhooks of SES have topics.")]
    TopicsNotAllowed,
    /// A topic is not valid.
    #[error("{error}")]
    Topic {
        /// Its index.
        index: usize,
        /// Why.
        error: TopicError,
    },
}

impl WebhookError {
    /// The invalid field, as named in the API, and the index of the invalid element.
    #[must_use]
    pub fn field(&self) -> (&'static str, Option<usize>) {
        match *self {
            Self::NoKeys | Self::ManyKeys => ("keys", None),
            Self::Key { index, .. } | Self::RepeatedKey { index } => ("keys", Some(index)),
            Self::NoTopics | Self::ManyTopics | Self::TopicsNotAllowed => ("topicArns", None),
            Self::Topic { index, .. } => ("topicArns", Some(index)),
        }
    }
}

impl Webhook {
    /// Validates the configuration of a webhook. The URL is the public URL of its path, which Mandrill signs.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub fn new(
        provider: Provider,
        keys: &[impl AsRef<str>],
        topic_arns: &[impl AsRef<str>],
        url: Option<String>,
    ) -> Result<Self, WebhookError> {
        let has_topics = provider.facts().keys == KeyKind::None;
        if keys.is_empty() && !has_topics {
            return Err(WebhookError::NoKeys);
        }
        if keys.len() > MAX_KEYS {
            return Err(WebhookError::ManyKeys);
        }
        match topic_arns.len() {
            0 if has_topics => return Err(WebhookError::NoTopics),
            1.. if !has_topics => return Err(WebhookError::TopicsNotAllowed),
            count if count > MAX_TOPICS => return Err(WebhookError::ManyTopics),
            _ => {}
        }
        let mut seen = HashSet::new();
        let mut parsed = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            parsed.push(
                Key::parse(provider, key).map_err(|error| WebhookError::Key { index, error })?,
            );
            if !seen.insert(key.trim()) {
                return Err(WebhookError::RepeatedKey { index });
            }
        }
        let topics = topic_arns
            .iter()
            .enumerate()
            .map(|(index, arn)| {
                TopicArn::parse(arn.as_ref()).map_err(|error| WebhookError::Topic { index, error })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { provider, keys: parsed, topics, url })
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &[TopicArn] {
        &self.topics
    }

    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Verifies a request. The certificate is the one that [`Verdict::NeedsCertificate`] named.
    #[must_use]
    pub fn verify<'a>(
        &'a self,
        request: Request<'a>,
        certificate: Option<Certificate<'a>>,
    ) -> Verdict<'a> {
        let attempt = Attempt { webhook: self, request, certificate };
        let result = (self.provider.facts().verify)(&attempt);
        Verdict::new(self.provider, request.received_at, result)
    }
}
