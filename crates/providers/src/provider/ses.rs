//! Amazon SES. Amazon SNS ([`sns`](super::sns)) delivers its events, in three forms with the same objects:
//!
//! - event publishing, with `eventType`
//!   (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>);
//! - feedback notifications of an identity, with `notificationType` and without tags
//!   (<https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>);
//! - events of EventBridge, with the event in `detail`
//!   (<https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ses.html>).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Answers, Facts, sns};
use crate::{
    bounce::BounceClass,
    bounds::{MAX_MESSAGE_ID, MAX_RECIPIENTS},
    draft::{DELAYED, Draft, Meaning, NOT_SPAM, RESUBSCRIBED, identity, key},
    json::{Json, Object, word},
    key::KeyKind,
    send_id,
};

pub(super) const FACTS: Facts = Facts {
    name: "SES",
    keys: KeyKind::None,
    // SNS gives up, without a trace, after any status from 400 to 499
    // (https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html)
    answers: Answers::USUAL,
    batches: false,
    headers,
    verify: sns::verify,
    read,
};

/// A tag of the message (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-send-email.html>), and
/// a header for notifications, which have no tags but can have headers.
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-SES-MESSAGE-TAGS", format!("send_id={send}")), (send_id::HEADER, send.to_string())]
}

/// The type of an event: its name in keys, from the names that the three forms have for it.
fn kind(event: &Object<'_>, detail_type: &str) -> &'static str {
    let own = ["eventType", "notificationType"].map(|name| event.word(name));
    let named = own.into_iter().find(|name| !name.is_empty());
    match named.unwrap_or_else(|| word(detail_type)).trim_start_matches("email") {
        "send" | "sent" => "Send",
        "delivery" | "delivered" => "Delivery",
        "bounce" | "bounced" => "Bounce",
        "complaint" | "complaintreceived" => "Complaint",
        "reject" | "rejected" => "Reject",
        "renderingfailure" | "renderingfailed" => "Rendering Failure",
        "open" | "opened" => "Open",
        "click" | "clicked" => "Click",
        "deliverydelay" | "deliverydelayed" => "DeliveryDelay",
        "subscription" | "subscribed" => "Subscription",
        "" => "",
        // such as Received, and AmazonSnsSubscriptionSucceeded
        _ => "Unknown",
    }
}

/// The class of a bounce
/// (<https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types>). SES
/// reports a transient bounce after it has given up. Resend, which sends through SES, has the same types.
pub(super) fn bounce(bounce_type: &str, sub_type: &str) -> Meaning {
    match (word(bounce_type).as_str(), word(sub_type).as_str()) {
        // SES did not try
        (_, "onaccountsuppressionlist" | "unsubscribedrecipient") => {
            Meaning::NotSent(Some(BounceClass::Suppressed))
        }
        ("permanent", _) => Meaning::Bounced(BounceClass::Hard),
        ("transient", "messagetoolarge" | "contentrejected" | "attachmentrejected") => {
            Meaning::Bounced(BounceClass::Content)
        }
        ("transient", _) => Meaning::Bounced(BounceClass::Soft),
        _ => Meaning::Bounced(BounceClass::Unknown),
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let detail = event.get("detail").and_then(Json::object);
    let detail_type = event.part("detail-type");
    let event = detail.as_ref().unwrap_or(event);
    let mail = Mail::of(event);
    let kind = kind(event, &detail_type);
    match kind {
        "Send" => mail.to_each("Send", Meaning::Sent, &Object::default(), ""),
        "Delivery" => {
            mail.to_each(kind, Meaning::Delivered, &event.object("delivery"), "recipients")
        }
        "DeliveryDelay" => {
            mail.to_each(kind, DELAYED, &event.object("deliveryDelay"), "delayedRecipients")
        }
        "Reject" | "Rendering Failure" => {
            let reject = event.object("reject").text("reason");
            let error = reject.or_else(|| event.object("failure").text("errorMessage"));
            let mut drafts = mail.to_each(kind, Meaning::NotSent(None), &Object::default(), "");
            for draft in &mut drafts {
                draft.error.clone_from(&error);
            }
            drafts
        }
        "Bounce" => mail.bounces(&event.object("bounce")),
        "Complaint" => mail.complaints(&event.object("complaint")),
        "Open" => vec![mail.engagement(kind, Meaning::Opened, &event.object("open"))],
        "Click" => vec![mail.engagement(kind, Meaning::Clicked, &event.object("click"))],
        "Subscription" => vec![mail.subscription(&event.object("subscription"))],
        "" => vec![Draft::default()],
        _ => vec![mail.draft(Meaning::Unknown, None)],
    }
}

/// The message of an event.
struct Mail {
    at: Option<DateTime<Utc>>,
    id: String,
    message_ids: Vec<Option<String>>,
    send_id: Option<Uuid>,
    destination: Vec<String>,
}

impl Mail {
    fn of(event: &Object<'_>) -> Self {
        let mail = event.object("mail");
        let headers = mail.get("headers");
        let tagged = mail.object("tags").texts("send_id").first().and_then(|id| id.parse().ok());
        let send_id = tagged.or_else(|| send_id::in_headers(headers));
        let message_ids = vec![
            mail.id("messageId"),
            mail.object("commonHeaders").id("messageId"),
            // the ID that the sender gave, which SES replaces
            send_id::header(headers, "Message-ID").filter(|id| id.len() <= MAX_MESSAGE_ID),
        ];
        Self {
            at: mail.time("timestamp"),
            id: identity(&message_ids, send_id),
            message_ids,
            send_id,
            destination: mail.texts("destination").into_iter().take(MAX_RECIPIENTS).collect(),
        }
    }

    fn draft(&self, meaning: Meaning, recipient: Option<&str>) -> Draft {
        Draft {
            meaning,
            send_id: self.send_id,
            message_ids: self.message_ids.clone(),
            recipient: recipient.map(str::to_owned),
            // the tag does not say which of several recipients an event is about
            several_recipients: self.destination.len() > 1,
            ..Draft::default()
        }
    }

    /// The recipients that an event names, in a list of addresses or of objects, with the object of each. If
    /// it names none, all recipients of the message.
    fn recipients<'a>(&self, object: &Object<'a>, name: &str) -> Vec<(String, Object<'a>)> {
        let named: Vec<_> = object
            .list(name)
            .into_iter()
            .filter_map(|entry| match entry.object() {
                Some(recipient) => Some((recipient.text("emailAddress")?, recipient)),
                None => Some((entry.text()?, Object::default())),
            })
            .take(MAX_RECIPIENTS)
            .collect();
        if !named.is_empty() {
            return named;
        }
        let all: Vec<_> =
            self.destination.iter().map(|address| (address.clone(), Object::default())).collect();
        // the event counts even if the message has no recipients
        if all.is_empty() { vec![(String::new(), Object::default())] } else { all }
    }

    /// A draft for each recipient. An event without a time has the message's.
    fn to_each(
        &self,
        kind: &str,
        meaning: Meaning,
        object: &Object<'_>,
        recipients: &str,
    ) -> Vec<Draft> {
        self.recipients(object, recipients)
            .into_iter()
            .map(|(recipient, _)| Draft {
                at: object.time("timestamp").or(self.at),
                key: key([&self.id, kind, &recipient.to_lowercase(), &object.part("timestamp")]),
                ..self.draft(meaning, none_if_empty(&recipient))
            })
            .collect()
    }

    /// The key of a bounce or complaint is the ID of the feedback, since SES can send one in two forms.
    fn feedback_key(&self, kind: &str, feedback: &Object<'_>, recipient: &str) -> String {
        let recipient = recipient.to_lowercase();
        match feedback.text("feedbackId") {
            Some(id) => key([&id, &recipient]),
            None => key([&self.id, kind, &recipient, &feedback.part("timestamp")]),
        }
    }

    fn bounces(&self, feedback: &Object<'_>) -> Vec<Draft> {
        let (bounce_type, sub_type) = (feedback.part("bounceType"), feedback.part("bounceSubType"));
        let meaning = bounce(&bounce_type, &sub_type);
        self.recipients(feedback, "bouncedRecipients")
            .into_iter()
            .map(|(recipient, said)| {
                let diagnostic = said.text("diagnosticCode");
                let error = match (meaning, &diagnostic) {
                    (Meaning::NotSent(_), _) => Some(suppressed(&sub_type)),
                    (_, None) => Some(format!("{bounce_type}/{sub_type}")),
                    (_, Some(_)) => None,
                };
                Draft {
                    at: feedback.time("timestamp").or(self.at),
                    key: self.feedback_key("Bounce", feedback, &recipient),
                    code: said.text("status"),
                    diagnostic,
                    error,
                    ..self.draft(meaning, none_if_empty(&recipient))
                }
            })
            .collect()
    }

    fn complaints(&self, feedback: &Object<'_>) -> Vec<Draft> {
        let sub_type = feedback.part("complaintSubType");
        let (meaning, error) = if feedback.word("complaintFeedbackType") == "notspam" {
            (NOT_SPAM, None)
        } else if word(&sub_type) == "onaccountsuppressionlist" {
            (Meaning::NotSent(Some(BounceClass::Suppressed)), Some(suppressed(&sub_type)))
        } else {
            (Meaning::Complained, None)
        };
        self.recipients(feedback, "complainedRecipients")
            .into_iter()
            .map(|(recipient, _)| Draft {
                at: feedback.time("timestamp").or(self.at),
                key: self.feedback_key("Complaint", feedback, &recipient),
                error: error.clone(),
                ..self.draft(meaning, none_if_empty(&recipient))
            })
            .collect()
    }

    /// An open or a click names no recipient.
    fn engagement(&self, kind: &str, meaning: Meaning, object: &Object<'_>) -> Draft {
        let (at, ip) = (object.part("timestamp"), object.part("ipAddress"));
        Draft {
            at: object.time("timestamp").or(self.at),
            key: key([&self.id, kind, &at, &ip, &object.part("link")]),
            url: object.text("link"),
            user_agent: object.text("userAgent"),
            ..self.draft(meaning, self.only_recipient())
        }
    }

    /// A contact's new preferences: an unsubscribe if the contact left a topic, or all of them.
    fn subscription(&self, object: &Object<'_>) -> Draft {
        let is_out = |topic: &Object<'_>| topic.word("subscriptionStatus") == "optout";
        let topics = |preferences: &Object<'_>| -> Vec<String> {
            let topics =
                preferences.list("topicSubscriptionStatus").into_iter().filter_map(Json::object);
            topics.filter(is_out).map(|topic| topic.part("topicName")).collect()
        };
        let (new, old) =
            (object.object("newTopicPreferences"), object.object("oldTopicPreferences"));
        let was_out = topics(&old);
        let leaves =
            new.flag("unsubscribeAll") || topics(&new).iter().any(|topic| !was_out.contains(topic));
        Draft {
            at: object.time("timestamp").or(self.at),
            key: key([&self.id, "Subscription", &object.part("timestamp")]),
            ..self.draft(
                if leaves { Meaning::Unsubscribed } else { RESUBSCRIBED },
                self.only_recipient(),
            )
        }
    }

    fn only_recipient(&self) -> Option<&str> {
        match self.destination.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

fn suppressed(list: &str) -> String {
    format!("suppressed by the provider: {list}")
}

fn none_if_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
