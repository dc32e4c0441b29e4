//! The status of each situation.

use campaigns_providers::{Provider, Refusal, Situation};

#[test]
fn each_provider_is_answered_in_its_way() {
    use Situation::{
        Disabled, NoCredentials, NotFound, Probe, Refused, Taken, TooLarge, Unavailable, Unreadable,
    };
    let situations = [
        Taken,
        Probe,
        NoCredentials,
        Refused,
        Unreadable,
        TooLarge,
        Unavailable,
        Disabled,
        NotFound,
    ];
    let expected = [
        (Provider::Ses, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Sendgrid, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Postmark, [200, 200, 401, 403, 403, 413, 503, 403, 404]),
        (Provider::Mailgun, [200, 200, 406, 406, 406, 413, 503, 406, 404]),
        (Provider::Resend, [200, 200, 401, 401, 400, 413, 503, 410, 404]),
        (Provider::Brevo, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Sparkpost, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Mailjet, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Mandrill, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
        (Provider::Postal, [200, 200, 401, 403, 400, 413, 503, 404, 404]),
    ];
    assert_eq!(expected.len(), Provider::ALL.len());
    for (provider, statuses) in expected {
        let answered = situations.map(|situation| provider.status(situation));
        assert_eq!(answered, statuses, "{provider}");
    }
}

#[test]
fn every_provider_is_named_once() {
    let names: Vec<_> = Provider::ALL.iter().map(|provider| provider.name()).collect();
    assert_eq!(
        names,
        [
            "SES",
            "SENDGRID",
            "POSTMARK",
            "MAILGUN",
            "RESEND",
            "BREVO",
            "SPARKPOST",
            "MAILJET",
            "MANDRILL",
            "POSTAL"
        ]
    );
    for provider in Provider::ALL {
        assert_eq!(provider.name().parse(), Ok(*provider));
    }
    assert!("ses".parse::<Provider>().is_err());
}

#[test]
fn a_token_that_was_seen_ends_the_repeats() {
    let refusal = Refusal::token_seen(Provider::Mailgun);
    assert_eq!((refusal.status(), refusal.challenge()), (406, None));
}
