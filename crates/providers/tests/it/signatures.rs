//! The verdict on each vector of `signatures.json`.

use std::{collections::HashSet, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use campaigns_providers::{
    Certificate, MachineAgents, Provider, Refusal, Request, Situation, Verdict, Webhook,
};
use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::senders::{directory, json_file, refusal_of_an_expired_certificate};

/// What a door would do with a vector.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Accepted,
    Confirmed(String),
    Refused(Option<Situation>),
}

struct Case<'a> {
    provider: Provider,
    file: &'a Value,
    vector: &'a Value,
    /// What was fetched.
    fetched: Vec<String>,
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

impl Case<'_> {
    fn headers(&self) -> HeaderMap {
        let headers = self.vector["headers"].as_object().expect("headers");
        headers
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
                (name, HeaderValue::from_str(value.as_str().expect("a text")).expect("a value"))
            })
            .collect()
    }

    fn body(&self) -> Vec<u8> {
        match self.vector["body"].as_str() {
            Some(body) => body.as_bytes().to_vec(),
            None => BASE64_STANDARD
                .decode(self.vector["body_base64"].as_str().expect("a body"))
                .expect("base64"),
        }
    }

    fn webhook(&self) -> Option<Webhook> {
        let credentials = self.vector["credentials"].as_array().into_iter().flatten();
        let mut keys: Vec<String> = credentials
            .map(|pair| {
                format!(
                    "{}:{}",
                    pair[0].as_str().expect("a user"),
                    pair[1].as_str().expect("a password")
                )
            })
            .collect();
        keys.extend(texts(&self.vector["keys"]));
        keys.extend(texts(&self.vector["header"][1]));
        let own = texts(&self.vector["topics"]);
        let topics = if own.is_empty() { texts(&self.file["topics"]) } else { own };
        let url = self.vector["url"].as_str().map(str::to_owned);
        Webhook::new(self.provider, &keys, &topics, url).ok()
    }

    fn deliver(&mut self) -> Done {
        let Some(webhook) = self.webhook() else { return Done::Refused(None) };
        let (headers, body) = (self.headers(), self.body());
        let now = self.vector["now"].as_i64().expect("a time");
        let received_at = DateTime::from_timestamp(now, 0).expect("a time");
        let request = Request { headers: &headers, body: &body, received_at };
        let mut verdict = webhook.verify(request, None);
        let certificate;
        if let Verdict::NeedsCertificate { url } = &verdict {
            self.fetched.push(url.clone());
            certificate =
                (url.clone(), self.file["certificates"][url].as_str().expect("a certificate"));
            let (url, pem) = (certificate.0.as_str(), certificate.1.as_bytes());
            verdict = webhook.verify(request, Some(Certificate { url, pem }));
        }
        let seen: HashSet<String> = texts(&self.vector["seen"]).into_iter().collect();
        let refused = |refusal: &Refusal| {
            assert!(!refusal.reason().is_empty());
            assert_eq!(refusal.status(), self.provider.status(refusal.situation()));
            Done::Refused(Some(refusal.situation()))
        };
        match verdict {
            Verdict::Accepted(accepted) => {
                if let Some(once) = accepted.once() {
                    assert!(once.until > received_at);
                    if seen.contains(&once.token) {
                        return refused(&Refusal::token_seen(self.provider));
                    }
                }
                assert!(accepted.read(&MachineAgents::default()).is_ok());
                Done::Accepted
            }
            Verdict::Ping => Done::Accepted,
            Verdict::Confirm { url } => Done::Confirmed(url),
            Verdict::Refused(refusal) => refused(&refusal),
            Verdict::NeedsCertificate { url } => panic!("{url} was just given"),
        }
    }
}

fn assert_vectors(provider: Provider, path: PathBuf) -> usize {
    let file = json_file(path);
    let vectors = file["vectors"].as_array().expect("vectors");
    for vector in vectors {
        let mut this = Case { provider, file: &file, vector, fetched: Vec::new() };
        let done = this.deliver();
        let case = format!("{provider}, {}: {done:?}", this.vector["name"]);
        let is_valid = this.vector["expect"] == "valid";
        assert_eq!(!matches!(done, Done::Refused(_)), is_valid, "{case}");
        if this.vector["fetches"] == 0 {
            assert!(this.fetched.is_empty(), "{case}");
        }
        if this.vector["action"] == "none" {
            assert!(!matches!(done, Done::Confirmed(_)), "{case}");
        }
        for url in &this.fetched {
            assert!(url.starts_with("https://sns."), "{case}");
        }
        if this.vector["name"] == "subscription confirmation" {
            let url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription\
                &TopicArn=arn:aws:sns:eu-central-1:123456789012:campaigns-ses\
                &Token=06ff644c3d60bd3d3dd0ae2803a07b3e62c6b843fc3beea88c96a0ea97934bd8";
            assert_eq!(done, Done::Confirmed(url.to_owned()), "{case}");
        }
    }
    vectors.len()
}

#[test]
fn each_signature_has_its_verdict() {
    let count: usize = Provider::ALL
        .iter()
        .map(|provider| assert_vectors(*provider, directory(*provider).join("signatures.json")))
        .sum();
    assert!(count > 150, "{count} vectors");
}

#[test]
fn signatures_of_standard_webhooks_have_their_verdicts() {
    let path =
        directory(Provider::Resend).with_file_name("standard-webhooks").join("signatures.json");
    assert!(assert_vectors(Provider::Resend, path) > 20);
}

#[test]
fn missing_and_wrong_credentials_are_answered_apart() {
    for (provider, name, situation) in [
        (Provider::Postmark, "nothing", Situation::NoCredentials),
        (Provider::Postmark, "wrong password", Situation::Refused),
        (Provider::Sendgrid, "signature missing", Situation::NoCredentials),
        (Provider::Sendgrid, "tampered", Situation::Refused),
        (Provider::Mailgun, "no signature block", Situation::NoCredentials),
        (Provider::Resend, "svix-signature missing", Situation::NoCredentials),
        (Provider::Mandrill, "signature missing", Situation::NoCredentials),
        (Provider::Postal, "SHA-1 only", Situation::Refused),
        (Provider::Ses, "raw delivery", Situation::Refused),
        (Provider::Ses, "not JSON", Situation::Unreadable),
    ] {
        let file = json_file(directory(provider).join("signatures.json"));
        let vectors = file["vectors"].as_array().expect("vectors");
        let vector = vectors.iter().find(|vector| vector["name"] == name).expect(name);
        let done = Case { provider, file: &file, vector, fetched: Vec::new() }.deliver();
        assert_eq!(done, Done::Refused(Some(situation)), "{provider} {name}");
    }
}

#[test]
fn a_header_that_is_there_twice_is_none() {
    let file = json_file(directory(Provider::Postmark).join("signatures.json"));
    let vector = Case {
        provider: Provider::Postmark,
        file: &file,
        vector: &file["vectors"][0],
        fetched: Vec::new(),
    };
    let (webhook, body) = (vector.webhook().expect("a webhook"), vector.body());
    let mut headers = vector.headers();
    let received_at = DateTime::from_timestamp(1_788_004_800, 0).expect("a time");
    let verdict = |headers: &HeaderMap| {
        matches!(
            webhook.verify(Request { headers, body: &body, received_at }, None),
            Verdict::Accepted(_)
        )
    };
    assert!(verdict(&headers));
    headers.append("authorization", HeaderValue::from_static("Basic Og=="));
    assert!(!verdict(&headers));
}

#[test]
fn a_certificate_that_cannot_be_used_is_not_trusted() {
    let file = json_file(directory(Provider::Ses).join("signatures.json"));
    let vector = Case {
        provider: Provider::Ses,
        file: &file,
        vector: &file["vectors"][0],
        fetched: Vec::new(),
    };
    let (webhook, headers, body) =
        (vector.webhook().expect("a webhook"), vector.headers(), vector.body());
    let received_at = DateTime::from_timestamp(1_788_004_800, 0).expect("a time");
    let request = Request { headers: &headers, body: &body, received_at };
    let Verdict::NeedsCertificate { url } = webhook.verify(request, None) else {
        panic!("no certificate is known")
    };
    // one of another URL is not taken
    let (other, pem) =
        file["certificates"].as_object().expect("certificates").iter().next_back().expect("one");
    assert_ne!(*other, url);
    let pem = pem.as_str().expect("a certificate").as_bytes();
    let verdict = webhook.verify(request, Some(Certificate { url: other, pem }));
    assert!(matches!(verdict, Verdict::NeedsCertificate { .. }));
    for pem in [b"".as_slice(), b"<html>not found</html>", &vec![b'-'; 100_000]] {
        let verdict = webhook.verify(request, Some(Certificate { url: &url, pem }));
        let Verdict::Refused(refusal) = verdict else { panic!("{verdict:?}") };
        assert_eq!(refusal.situation(), Situation::Unavailable);
        assert_eq!(refusal.status(), 503);
    }
}

#[test]
fn a_certificate_that_has_expired_is_not_trusted() {
    let refusal = refusal_of_an_expired_certificate().expect("a refusal");
    assert_eq!(refusal.situation(), Situation::Refused);
    assert_eq!(refusal.reason(), "the certificate is not valid at this time");
}
