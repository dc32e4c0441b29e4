//! Keys are validated when they are configured.

use campaigns_providers::{
    Key, KeyError, Outcome, Provider, Request, TopicArn, TopicError, Verdict, Webhook,
    WebhookError, bounds::MAX_KEYS,
};

use crate::senders::{directory, json_file, now};

const NO_TOPICS: [&str; 0] = [];

/// A key of the fixtures.
fn fixture(provider: Provider) -> String {
    let file = json_file(directory(provider).join("signatures.json"));
    file["vectors"][0]["keys"][0].as_str().expect("a key").to_owned()
}

#[test]
fn an_invalid_key_is_refused_with_a_reason() {
    let p256 = fixture(Provider::Sendgrid);
    let rsa = fixture(Provider::Postal);
    let private = rsa.replace("PUBLIC", "PRIVATE");
    let certificate = rsa.replace("PUBLIC KEY", "CERTIFICATE");
    // a point that is not on the curve
    let mut bent = p256.clone();
    bent.replace_range(90..91, if &p256[90..91] == "A" { "B" } else { "A" });
    let long = "a".repeat(9_000);
    for (provider, key, error) in [
        (Provider::Ses, "anything", KeyError::NotAllowed),
        (Provider::Sendgrid, " \n ", KeyError::Blank),
        (Provider::Sendgrid, long.as_str(), KeyError::Long),
        (Provider::Sendgrid, "SG.api.key", KeyError::NotBase64),
        (Provider::Sendgrid, "c2VjcmV0", KeyError::NotPublicKey),
        (Provider::Sendgrid, rsa.as_str(), KeyError::NotP256),
        (Provider::Sendgrid, bent.as_str(), KeyError::NotOnCurve),
        (Provider::Postal, p256.as_str(), KeyError::NotRsa),
        (Provider::Postal, private.as_str(), KeyError::Private),
        (Provider::Postal, certificate.as_str(), KeyError::NotPublicKey),
        (Provider::Mailgun, "two words", KeyError::NotASecret),
        (Provider::Mailgun, "short", KeyError::Short(8)),
        (Provider::Mandrill, "schlüssel-eins", KeyError::NotASecret),
        (Provider::Resend, "whsec_%%%", KeyError::NotBase64),
        (Provider::Resend, "whsec_c2hvcnQ=", KeyError::SecretSize),
        (Provider::Resend, "whsk_c2hvcnQ=", KeyError::PrivateWebhookKey),
        (Provider::Resend, "whpk_c2hvcnQ=", KeyError::NotPublicKey),
        (Provider::Postmark, "Basic dXNlcjpwYXNzd29yZA==", KeyError::WithScheme),
        (Provider::Postmark, "bearer token-of-a-webhook", KeyError::WithScheme),
        (Provider::Brevo, ":", KeyError::HalfCredentials),
        (Provider::Brevo, "user:", KeyError::HalfCredentials),
        (Provider::Brevo, ":password", KeyError::HalfCredentials),
        (Provider::Sparkpost, "a token", KeyError::NotAToken),
        (Provider::Mailjet, "token", KeyError::Short(8)),
    ] {
        let parsed = Key::parse(provider, key).map(|key| key.hint().to_owned());
        assert_eq!(parsed, Err(error), "{provider}: {}", &key[..key.len().min(60)]);
        assert!(error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn keys_are_taken_as_people_copy_them() {
    let p256 = fixture(Provider::Sendgrid);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
        &p256[..64],
        &p256[64..]
    );
    let rsa: String =
        fixture(Provider::Postal).lines().filter(|line| !line.starts_with('-')).collect();
    for (provider, key) in [
        (Provider::Sendgrid, p256.clone()),
        (Provider::Sendgrid, format!("  {p256}\n")),
        (Provider::Sendgrid, p256.trim_end_matches('=').to_owned()),
        (Provider::Sendgrid, pem),
        (Provider::Postal, fixture(Provider::Postal)),
        (Provider::Postal, rsa),
        (Provider::Mailgun, "9a546fe12344616a2de1ae5fe0d5b213".to_owned()),
        (Provider::Mandrill, "t4-jajk5HeUm2w1AytqKYA".to_owned()),
        (Provider::Resend, "whsec_fb8YMaawpuvLsXev1bXbSZsbh76n0X+s".to_owned()),
        (Provider::Postmark, "user:pass word:with: colons".to_owned()),
        (Provider::Brevo, "token-of-a-webhook".to_owned()),
    ] {
        assert!(Key::parse(provider, &key).is_ok(), "{provider} {key}");
    }
}

#[test]
fn a_hint_does_not_help_to_guess() {
    let hint = |provider, key: &str| {
        Key::parse(provider, key).map(|key| (key.hint().to_owned(), format!("{key:?}")))
    };
    for (provider, key, expected) in [
        (Provider::Mailgun, "key-9a546fe12344616a2de1ae5fe0d5b213", "…b213"),
        (Provider::Mailgun, "short-key", "…"),
        (Provider::Resend, "whsec_fb8YMaawpuvLsXev1bXbSZsbh76n0X+s", "…0X+s"),
        (Provider::Postmark, "user:password-that-is-long", "user:…"),
        (Provider::Brevo, "IfbDiT1ptb7CGRUNpR9rVVLs", "…VVLs"),
    ] {
        assert_eq!(hint(provider, key), Ok((expected.to_owned(), format!("Key({expected})"))));
    }
}

#[test]
fn debug_output_has_no_secrets() {
    let url = Some("https://campaigns.example/webhooks/path-token".to_owned());
    let webhook = Webhook::new(Provider::Mailgun, &["key-of-the-webhook"], &NO_TOPICS, url)
        .expect("a webhook");
    assert_eq!(format!("{webhook:?}"), "Webhook(MAILGUN, [Key(…hook)], [])");
    let headers = [(http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer secret"))];
    let headers = headers.into_iter().collect();
    let request = Request { headers: &headers, body: b"personal", received_at: now() };
    assert_eq!(format!("{request:?}"), format!("Request(8 bytes at {})", now()));
}

#[test]
fn an_invalid_webhook_is_refused_with_a_reason() {
    let webhook = |provider, keys: &[&str], topics: &[&str]| {
        Webhook::new(provider, keys, topics, None).map(|webhook| webhook.provider())
    };
    let topic = "arn:aws:sns:eu-central-1:123456789012:name";
    assert_eq!(MAX_KEYS, 5);
    let keys: Vec<String> = (0..=MAX_KEYS).map(|number| format!("user:{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let error = |result: Result<Provider, WebhookError>| {
        let error = result.expect_err("an error");
        (error, error.field())
    };
    assert_eq!(webhook(Provider::Brevo, &keys[1..], &[]), Ok(Provider::Brevo));
    assert_eq!(
        error(webhook(Provider::Brevo, &keys, &[])),
        (WebhookError::ManyKeys, ("keys", None))
    );
    assert_eq!(error(webhook(Provider::Brevo, &[], &[])), (WebhookError::NoKeys, ("keys", None)));
    assert_eq!(
        error(webhook(Provider::Brevo, &["user:1", " user:1 "], &[])),
        (WebhookError::RepeatedKey { index: 1 }, ("keys", Some(1)))
    );
    assert_eq!(
        error(webhook(Provider::Brevo, &["user:1", "user:"], &[])),
        (WebhookError::Key { index: 1, error: KeyError::HalfCredentials }, ("keys", Some(1)))
    );
    assert_eq!(
        error(webhook(Provider::Brevo, &["user:1"], &[topic])),
        (WebhookError::TopicsNotAllowed, ("topicArns", None))
    );
    assert_eq!(webhook(Provider::Ses, &[], &[topic]), Ok(Provider::Ses));
    assert_eq!(
        error(webhook(Provider::Ses, &[], &[])),
        (WebhookError::NoTopics, ("topicArns", None))
    );
    assert_eq!(
        error(webhook(Provider::Ses, &[], &[topic, "arn"])),
        (WebhookError::Topic { index: 1, error: TopicError::NotATopic }, ("topicArns", Some(1)))
    );
    assert_eq!(
        error(webhook(Provider::Ses, &["key"], &[topic])),
        (WebhookError::Key { index: 0, error: KeyError::NotAllowed }, ("keys", Some(0)))
    );
    assert!(
        Webhook::new(Provider::Mandrill, &["t4-jajk5HeUm2w1AytqKYA"], &NO_TOPICS, None).is_ok()
    );
}

#[test]
fn a_topic_is_one_that_can_deliver() {
    for (arn, error) in [
        ("arn:aws:sqs:eu-central-1:123456789012:name", TopicError::NotATopic),
        ("arn:aws:sns:eu-central-1:123:name", TopicError::NotATopic),
        ("arn:aws:sns:eu/central:123456789012:name", TopicError::NotATopic),
        ("arn:aws:sns:eu-central-1:123456789012:na me", TopicError::NotATopic),
        ("arn:aws:sns:eu-central-1:123456789012:", TopicError::NotATopic),
        (
            "arn:aws:sns:eu-central-1:123456789012:name:11111111-2222-3333-4444-555555555555",
            TopicError::Subscription,
        ),
        ("arn:aws-iso:sns:us-iso-east-1:123456789012:name", TopicError::Partition),
        ("arn:aws:sns:eu-central-1:123456789012:name.fifo", TopicError::Fifo),
    ] {
        assert_eq!(TopicArn::parse(arn), Err(error), "{arn}");
    }
    let arn = "arn:aws-cn:sns:cn-north-1:123456789012:campaigns_ses-1";
    assert_eq!(
        TopicArn::parse(&format!(" {arn} ")).map(|topic| topic.to_string()).as_deref(),
        Ok(arn)
    );
}

#[test]
fn tasks_can_share_a_webhook() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Webhook>();
    assert_shared::<Verdict<'_>>();
    assert_shared::<Outcome>();
}
