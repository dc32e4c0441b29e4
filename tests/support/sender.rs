//! Mail providers that post events to webhooks, each signed as the provider does it, at the current time.

use std::{fmt::Write, path::PathBuf, sync::LazyLock};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use campaigns_server::Settings;
use chrono::Utc;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{Client, keyring};

/// The providers, as the API spells them.
pub const PROVIDERS: [&str; 10] = [
    "SES",
    "SENDGRID",
    "POSTMARK",
    "MAILGUN",
    "RESEND",
    "BREVO",
    "SPARKPOST",
    "MAILJET",
    "MANDRILL",
    "POSTAL",
];

/// The send of all fixtures.
const SEND: &str = "0198f6a2-7c31-7b5e-9d02-5f1f0a6c4e11";
/// The address of its contact.
pub const RECIPIENT: &str = "ada@example.com";

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:campaigns";
const CERTIFICATE: &str = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
const PUBLIC_URL: &str = "https://mail.example";
const SECRET: &str = "a-secret-of-a-webhook";
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Keys {
    rsa: RsaKeyPair,
    rsa_public: String,
    ecdsa: EcdsaKeyPair,
    ecdsa_public: String,
    certificates: PathBuf,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut parameters =
        rcgen::CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let certificates = std::env::temp_dir().join(format!("campaigns-sns-{}", Uuid::new_v4()));
    std::fs::create_dir(&certificates).unwrap();
    let pem = parameters.self_signed(&pair).unwrap().pem();
    std::fs::write(certificates.join(CERTIFICATE), pem).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(pair.serialized_der()).unwrap();
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let rsa_public = BASE64_STANDARD.encode(rsa.public_key().as_der().unwrap().as_ref());
    let ecdsa_public = BASE64_STANDARD.encode(ecdsa.public_key().as_der().unwrap().as_ref());
    Keys { rsa, rsa_public, ecdsa, ecdsa_public, certificates }
});

/// Settings of a service that can verify all providers.
#[must_use]
pub fn webhook_settings() -> Settings {
    Settings {
        keyring: keyring(),
        sns_certificates: Some(KEYS.certificates.clone()),
        public_url: Some(PUBLIC_URL.parse().unwrap()),
        ..Settings::default()
    }
}

/// The directory of the fixtures of a provider.
fn directory(provider: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/providers/tests/fixtures");
    PathBuf::from(root).join(provider.to_lowercase())
}

fn json_file(path: PathBuf) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A fixture: its name, its events without what carries them, and what each must become.
pub struct Fixture {
    /// Its name.
    pub name: String,
    events: Json,
    /// What each event must become.
    pub expected: Vec<Json>,
}

impl Fixture {
    /// All fixtures of a provider.
    #[must_use]
    pub fn all(provider: &str) -> Vec<Self> {
        let Json::Object(expected) = json_file(directory(provider).join("expected.json")) else {
            panic!("expected.json of {provider} is no object")
        };
        let fixtures = expected.into_iter().map(|(name, expected)| {
            let body = json_file(directory(provider).join(format!("{name}.json")));
            let events = match (provider, body) {
                ("SES", body) => {
                    let text = body["Message"].as_str().unwrap();
                    serde_json::from_str::<Json>(text).ok().into_iter().collect()
                }
                ("MAILGUN", mut body) => json!([body["event-data"].take()]),
                (_, Json::Array(events)) => Json::Array(events),
                (_, event) => json!([event]),
            };
            Self { name, events, expected: expected.as_array().unwrap().clone() }
        });
        fixtures.collect()
    }

    /// Its events, for this send.
    #[must_use]
    pub fn events(&self, send: Uuid) -> Vec<Json> {
        let text = self.events.to_string().replace(SEND, &send.to_string());
        serde_json::from_str(&text).unwrap()
    }
}

/// A provider that posts to a webhook.
#[derive(Clone)]
pub struct Sender {
    /// The provider.
    pub provider: &'static str,
    /// The ID of the webhook.
    pub webhook: Json,
    /// The path of the webhook.
    pub path: String,
    /// The address of the service.
    pub address: String,
    http: reqwest::Client,
}

impl Sender {
    /// Creates a webhook, as an admin, for a provider that posts to it.
    pub async fn new(admin: &Client, provider: &'static str) -> Self {
        let keys: &[&str] = match provider {
            "SES" => &[],
            "SENDGRID" => &[&KEYS.ecdsa_public],
            "POSTAL" => &[&KEYS.rsa_public],
            "RESEND" => &[WEBHOOK_SECRET],
            "MAILGUN" | "MANDRILL" => &[SECRET],
            _ => &["user:password"],
        };
        let topics: &[&str] = if provider == "SES" { &[TOPIC] } else { &[] };
        let query = "mutation ($input: CreateProviderWebhookInput!) { createProviderWebhook(input: $input) { \
                     providerWebhook { id path } } }";
        let input =
            json!({ "name": provider, "provider": provider, "keys": keys, "topicArns": topics });
        let made = admin.data(query, json!({ "input": input })).await;
        let made = &made["createProviderWebhook"]["providerWebhook"];
        Self {
            provider,
            webhook: made["id"].clone(),
            path: made["path"].as_str().unwrap().to_owned(),
            address: admin.address.clone(),
            http: reqwest::Client::new(),
        }
    }

    /// The same provider, at another address of the service.
    #[must_use]
    pub fn at(&self, address: String) -> Self {
        Self { address, ..self.clone() }
    }

    /// Whether a request can carry several events.
    #[must_use]
    pub fn is_batched(&self) -> bool {
        matches!(self.provider, "SENDGRID" | "BREVO" | "SPARKPOST" | "MAILJET" | "MANDRILL")
    }

    /// Posts events: in one request if the provider sends batches. Repeated events have the same IDs of deliveries.
    ///
    /// # Panics
    /// If a request is not accepted.
    pub async fn post(&self, events: &[Json]) {
        let bodies: Vec<String> = if self.is_batched() {
            vec![Json::from(events.to_vec()).to_string()]
        } else {
            events.iter().map(Json::to_string).collect()
        };
        for body in bodies {
            let (status, text) = self.post_body(&body).await;
            assert_eq!(status, 200, "{} {body}: {text}", self.provider);
        }
    }

    /// Posts an event or a list of events, and returns the status and the answer.
    pub async fn post_body(&self, body: &str) -> (u16, String) {
        self.send(self.signed(body)).await
    }

    /// Posts a request as it is, and returns the status and the answer.
    pub async fn send(&self, (headers, body): (Vec<(&str, String)>, String)) -> (u16, String) {
        let mut request = self.http.post(format!("{}{}", self.address, self.path)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The headers and the body of a request whose signature holds.
    #[must_use]
    pub fn signed(&self, body: &str) -> (Vec<(&'static str, String)>, String) {
        let now = Utc::now().timestamp();
        let hash = hex(digest(&SHA256, body.as_bytes()).as_ref());
        let delivery = format!("msg_{}", &hash[..20]);
        match self.provider {
            "SES" => {
                let at = Utc::now().to_rfc3339();
                let text = format!(
                    "Message\n{body}\nMessageId\n{delivery}\nTimestamp\n{at}\nTopicArn\n{TOPIC}\nType\nNotification\n"
                );
                let url = format!("https://sns.eu-central-1.amazonaws.com/{CERTIFICATE}");
                let body = json!({
                    "Type": "Notification", "MessageId": delivery, "TopicArn": TOPIC, "Message": body,
                    "Timestamp": at, "SignatureVersion": "2", "Signature": rsa(text.as_bytes()),
                    "SigningCertURL": url,
                });
                (vec![("x-amz-sns-message-type", "Notification".to_owned())], body.to_string())
            }
            "SENDGRID" => {
                let text = format!("{now}{body}");
                let signature = KEYS.ecdsa.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
                let signature = BASE64_STANDARD.encode(signature);
                let headers = vec![
                    ("x-twilio-email-event-webhook-timestamp", now.to_string()),
                    ("x-twilio-email-event-webhook-signature", signature),
                ];
                (headers, body.to_owned())
            }
            "MAILGUN" => (Vec::new(), mailgun(&hash[..50], body)),
            "RESEND" => {
                let secret = BASE64_STANDARD.decode(&WEBHOOK_SECRET[6..]).unwrap();
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                let signature = hmac::sign(&key, format!("{delivery}.{now}.{body}").as_bytes());
                let signature = format!("v1,{}", BASE64_STANDARD.encode(signature));
                let headers = vec![
                    ("svix-id", delivery),
                    ("svix-timestamp", now.to_string()),
                    ("svix-signature", signature),
                ];
                (headers, body.to_owned())
            }
            "MANDRILL" => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
                let signed = format!("{PUBLIC_URL}{}mandrill_events{body}", self.path);
                let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
                let hex = hex(body.as_bytes());
                let encoded: String =
                    (0..body.len()).flat_map(|at| ["%", &hex[2 * at..2 * at + 2]]).collect();
                (vec![("x-mandrill-signature", signature)], format!("mandrill_events={encoded}"))
            }
            "POSTAL" => (vec![("x-postal-signature-256", rsa(body.as_bytes()))], body.to_owned()),
            _ => {
                let credentials = format!("Basic {}", BASE64_STANDARD.encode("user:password"));
                (vec![("authorization", credentials)], body.to_owned())
            }
        }
    }

    /// The figures of the webhook.
    pub async fn stats(&self, client: &Client) -> Json {
        let query = "{ providerWebhooks { id stats { accepted refused recorded repeated ignored unmatched dropped \
                     unreadable lastAcceptedAt lastRefusedAt lastRefusal } } }";
        let mut all = client.data(query, json!({})).await;
        let webhooks = all["providerWebhooks"].as_array_mut().unwrap();
        webhooks.iter_mut().find(|of| of["id"] == self.webhook).unwrap()["stats"].take()
    }
}

/// A body of Mailgun with this token, which does not sign the event.
#[must_use]
pub fn mailgun(token: &str, event: &str) -> String {
    let now = Utc::now().timestamp();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hex(hmac::sign(&key, format!("{now}{token}").as_bytes()).as_ref());
    format!(
        r#"{{"signature":{{"timestamp":"{now}","token":"{token}","signature":"{signature}"}},"event-data":{event}}}"#
    )
}

fn rsa(text: &[u8]) -> String {
    let mut signature = vec![0; KEYS.rsa.public_modulus_len()];
    KEYS.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
    BASE64_STANDARD.encode(signature)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
