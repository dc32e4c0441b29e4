//! Senders: they post events to a webhook in the way of a provider, with a signature that holds.

use std::{fmt::Write, fs, path::PathBuf, sync::LazyLock};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use campaigns_providers::{
    Certificate, MachineAgents, Outcome, Provider, Refusal, Report, Request, Verdict, Webhook,
};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The time of all requests: after every event of the fixtures.
pub(crate) const NOW: i64 = 1_788_100_000;

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:campaigns-ses";
const CERTIFICATE: &str = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
const URL: &str = "https://campaigns.example/webhooks/token";
const SECRET: &str = "a-secret-of-a-webhook";
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).expect("a time")
}

/// The directory of a provider's fixtures.
pub(crate) fn directory(provider: Provider) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    root.join(provider.name().to_lowercase())
}

pub(crate) fn json_file(path: PathBuf) -> Value {
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of a provider's fixtures with what they must become, in order.
pub(crate) fn expected(provider: Provider) -> Vec<(String, Value)> {
    let Value::Object(expected) = json_file(directory(provider).join("expected.json")) else {
        panic!("expected.json of {provider} is no object")
    };
    let expected: Vec<_> = expected.into_iter().collect();
    assert!(!expected.is_empty());
    expected
}

/// The events of a fixture, each as JSON, without what carries them.
pub(crate) fn events(provider: Provider, name: &str) -> Vec<Value> {
    let body = json_file(directory(provider).join(format!("{name}.json")));
    match (provider, body) {
        (Provider::Ses, body) => {
            let text = body["Message"].as_str().expect("a message");
            serde_json::from_str(text).ok().into_iter().collect()
        }
        (Provider::Mailgun, mut body) => vec![body["event-data"].take()],
        (_, Value::Array(events)) => events,
        (_, event) => vec![event],
    }
}

/// All events of all fixtures.
pub(crate) fn all_events(provider: Provider) -> Vec<Value> {
    expected(provider).iter().flat_map(|(name, _)| events(provider, name)).collect()
}

pub(crate) fn is_batched(provider: Provider) -> bool {
    matches!(
        provider,
        Provider::Sendgrid
            | Provider::Brevo
            | Provider::Sparkpost
            | Provider::Mailjet
            | Provider::Mandrill
    )
}

struct Keys {
    rsa: RsaKeyPair,
    rsa_public: String,
    ecdsa: EcdsaKeyPair,
    ecdsa_public: String,
    certificate: String,
    expired: String,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("an RSA key");
    let certificate = |from, to| {
        let name = vec!["sns.amazonaws.com".to_owned()];
        let mut parameters = rcgen::CertificateParams::new(name).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        parameters.self_signed(&pair).expect("a certificate").pem()
    };
    let (valid, expired) = (certificate(2026, 2027), certificate(2025, 2026));
    let rsa = RsaKeyPair::from_pkcs8(pair.serialized_der()).expect("an RSA key");
    let rsa_public = rsa.public_key().as_der().expect("a public key");
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let ecdsa_public = ecdsa.public_key().as_der().expect("a public key");
    assert_eq!(rsa.public_modulus_len(), KeySize::Rsa2048.len());
    Keys {
        rsa_public: BASE64_STANDARD.encode(rsa_public.as_ref()),
        ecdsa_public: BASE64_STANDARD.encode(ecdsa_public.as_ref()),
        rsa,
        ecdsa,
        certificate: valid,
        expired,
    }
});

pub(crate) fn webhook(provider: Provider) -> Webhook {
    let keys: &[&str] = match provider {
        Provider::Ses => &[],
        Provider::Sendgrid => &[&KEYS.ecdsa_public],
        Provider::Postal => &[&KEYS.rsa_public],
        Provider::Resend => &[WEBHOOK_SECRET],
        Provider::Mailgun | Provider::Mandrill => &[SECRET],
        Provider::Postmark | Provider::Brevo | Provider::Sparkpost | Provider::Mailjet => {
            &["user:password"]
        }
    };
    let topics: &[&str] = if provider == Provider::Ses { &[TOPIC] } else { &[] };
    Webhook::new(provider, keys, topics, Some(URL.to_owned())).expect("a webhook")
}

fn rsa(text: &[u8]) -> String {
    let mut signature = vec![0; KEYS.rsa.public_modulus_len()];
    KEYS.rsa
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
        .expect("a signature");
    BASE64_STANDARD.encode(signature)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a text can be written to");
    }
    text
}

/// The body of an event or a list, with the headers and in the form of the provider.
pub(crate) fn signed(provider: Provider, body: &str, delivery: &str) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).expect("a header");
        headers.insert(HeaderName::from_static(name), value);
    };
    let body = match provider {
        Provider::Ses => {
            set("x-amz-sns-message-type", "Notification");
            let at = now().to_rfc3339();
            let text = format!(
                "Message\n{body}\nMessageId\n{delivery}\nTimestamp\n{at}\nTopicArn\n{TOPIC}\nType\nNotification\n"
            );
            json!({
                "Type": "Notification", "MessageId": delivery, "TopicArn": TOPIC, "Message": body,
                "Timestamp": at, "SignatureVersion": "2", "Signature": rsa(text.as_bytes()),
                "SigningCertURL": CERTIFICATE,
            })
            .to_string()
        }
        Provider::Sendgrid => {
            let text = format!("{NOW}{body}");
            let signature =
                KEYS.ecdsa.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
            set("x-twilio-email-event-webhook-timestamp", &NOW.to_string());
            set("x-twilio-email-event-webhook-signature", &BASE64_STANDARD.encode(signature));
            body.to_owned()
        }
        Provider::Mailgun => {
            let token = &hex(digest(&SHA256, body.as_bytes()).as_ref())[..50];
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
            let signature = hex(hmac::sign(&key, format!("{NOW}{token}").as_bytes()).as_ref());
            format!(
                r#"{{"signature":{{"timestamp":"{NOW}","token":"{token}","signature":"{signature}"}},"event-data":{body}}}"#
            )
        }
        Provider::Resend => {
            let secret = BASE64_STANDARD.decode(&WEBHOOK_SECRET[6..]).expect("base64");
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let signature = hmac::sign(&key, format!("{delivery}.{NOW}.{body}").as_bytes());
            set("svix-id", delivery);
            set("svix-timestamp", &NOW.to_string());
            set("svix-signature", &format!("v1,{}", BASE64_STANDARD.encode(signature)));
            body.to_owned()
        }
        Provider::Mandrill => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
            let signature = hmac::sign(&key, format!("{URL}mandrill_events{body}").as_bytes());
            set("x-mandrill-signature", &BASE64_STANDARD.encode(signature));
            let hex = hex(body.as_bytes());
            let encoded: String =
                (0..body.len()).flat_map(|at| ["%", &hex[2 * at..2 * at + 2]]).collect();
            format!("mandrill_events={encoded}")
        }
        Provider::Postal => {
            set("x-postal-signature-256", &rsa(body.as_bytes()));
            body.to_owned()
        }
        Provider::Postmark | Provider::Brevo | Provider::Sparkpost | Provider::Mailjet => {
            set("authorization", &format!("Basic {}", BASE64_STANDARD.encode("user:password")));
            body.to_owned()
        }
    };
    (headers, body.into_bytes())
}

/// Why a message of SNS is refused that was signed with the key of a certificate that has expired.
pub(crate) fn refusal_of_an_expired_certificate() -> Option<Refusal> {
    let (headers, body) = signed(Provider::Ses, "text", "m");
    let webhook = webhook(Provider::Ses);
    let request = Request { headers: &headers, body: &body, received_at: now() };
    let certificate = Certificate { url: CERTIFICATE, pem: KEYS.expired.as_bytes() };
    match webhook.verify(request, Some(certificate)) {
        Verdict::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// Posts a body whose signature holds.
pub(crate) fn post(
    provider: Provider,
    body: &str,
    delivery: &str,
) -> Result<Vec<Outcome>, Refusal> {
    let (headers, body) = signed(provider, body, delivery);
    let webhook = webhook(provider);
    let request = Request { headers: &headers, body: &body, received_at: now() };
    let certificate = Certificate { url: CERTIFICATE, pem: KEYS.certificate.as_bytes() };
    match webhook.verify(request, Some(certificate)) {
        Verdict::Accepted(accepted) => accepted.read(&MachineAgents::default()),
        Verdict::Refused(refusal) => Err(refusal),
        Verdict::Ping => Ok(Vec::new()),
        verdict => panic!("{provider}: {verdict:?}"),
    }
}

/// Posts events, in one request if the provider sends batches, and with an ID of each delivery that is the
/// same in repeats.
pub(crate) fn post_events(provider: Provider, events: &[Value]) -> Vec<Outcome> {
    let read = |body: String| {
        let delivery = format!("msg_{}", &hex(digest(&SHA256, body.as_bytes()).as_ref())[..20]);
        post(provider, &body, &delivery).unwrap_or_else(|refusal| panic!("{provider}: {refusal:?}"))
    };
    if is_batched(provider) {
        read(serde_json::to_string(events).expect("JSON"))
    } else {
        events.iter().flat_map(|event| read(event.to_string())).collect()
    }
}

/// The reports of an outcome.
pub(crate) fn reports(outcomes: &[Outcome]) -> Vec<&Report> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Report(report) => Some(report.as_ref()),
            _ => None,
        })
        .collect()
}
