//! Topics of Amazon SNS.

use std::fmt;

use crate::provider::TopicRegion;

/// The ARN of a topic of Amazon SNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicArn {
    text: String,
    region: TopicRegion,
}

/// What is wrong with an ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It is not the ARN of a topic.
    #[error(
        "This is not the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:name."
    )]
    NotATopic,
    /// It is the ARN of a subscription.
    #[error(
        "This is the ARN of a subscription. The webhook needs the topic's, without the last part."
    )]
    Subscription,
    /// Its partition is not supported.
    #[error("Topics of this partition are not supported. It must be aws, aws-cn or aws-us-gov.")]
    Partition,
    /// It is a FIFO topic, which has no subscriptions by HTTP.
    #[error("FIFO topics cannot deliver to a webhook.")]
    Fifo,
}

impl TopicArn {
    /// Parses an ARN.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let text = text.trim();
        let parts: Vec<_> = text.splitn(8, ':').collect();
        let (partition, region, account, name) = match parts[..] {
            ["arn", partition, "sns", region, account, name] => (partition, region, account, name),
            ["arn", _, "sns", _, _, _, _] => return Err(TopicError::Subscription),
            _ => return Err(TopicError::NotATopic),
        };
        let domain = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return Err(TopicError::Partition),
        };
        let all = |text: &str, is_valid: fn(u8) -> bool| text.bytes().all(is_valid);
        let is_region = (3..=32).contains(&region.len())
            && all(region, |byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
            });
        let is_account = account.len() == 12 && all(account, |byte| byte.is_ascii_digit());
        if name.strip_suffix(".fifo").is_some() {
            return Err(TopicError::Fifo);
        }
        let is_name = (1..=256).contains(&name.len())
            && all(name, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !(is_region && is_account && is_name) {
            return Err(TopicError::NotATopic);
        }
        Ok(Self { text: text.to_owned(), region: TopicRegion::new(region, domain) })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn region(&self) -> &TopicRegion {
        &self.region
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
