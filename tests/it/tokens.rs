//! Which tokens are accepted.

use campaigns_scope::{ClaimRules, Key, Verifier};
use campaigns_tests::{Answer, Backend, Socket, TestApp};
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// The secret of `TestApp::sign`.
const SECRET: &[u8] = b"a secret of the tests, 32 bytes or more";

async fn status(app: &TestApp, token: Option<String>) -> (StatusCode, String) {
    let client = app.client(token);
    let answer = client.ask("{ __schema { queryType { name } } }", json!({})).await;
    let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("").to_owned();
    (answer.status, code)
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_answered() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let now = Utc::now().timestamp();
    let refused = (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED".to_owned());
    let good = json!({ "sub": "x", "org_id": acme.id, "exp": now + 60 });
    assert_eq!(status(&app, Some(TestApp::sign(&good))).await.0, StatusCode::OK);
    let with = |name: &str, value: Json| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for claims in [
        with("exp", json!(now - 31)),
        with("exp", Json::Null),
        with("exp", json!("tomorrow")),
        with("nbf", json!(now + 60)),
        with("sub", Json::Null),
        with("sub", json!("")),
        with("sub", json!(7)),
        with("org_id", Json::Null),
        with("org_id", json!("acme")),
        with("org_id", json!(Uuid::new_v4())),
        json!([good]),
        json!("good"),
    ] {
        let answer =
            app.client(Some(TestApp::sign(&claims))).ask("{ __typename }", json!({})).await;
        assert_eq!((answer.status, answer.code().to_owned()), refused, "{claims}");
        let message = answer.error()["message"].as_str().unwrap();
        assert!(!message.contains("signed"), "{claims}: {message}");
    }
    assert_eq!(status(&app, None).await, refused);
    assert_eq!(status(&app, Some("nonsense".to_owned())).await, refused);
    // the allowed difference between clocks
    assert_eq!(
        status(&app, Some(TestApp::sign(&with("exp", json!(now - 20))))).await.0,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, Some(TestApp::sign(&with("nbf", json!(now + 20))))).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_token_that_was_accepted_is_refused_before_and_after_its_times() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let (now, hour) = (Utc::now().timestamp(), 3_600);
    let claims = json!({ "sub": "x", "org_id": acme.id, "nbf": now - hour, "exp": now + hour });
    let client = app.client(Some(TestApp::sign(&claims)));
    for (ahead, status) in [
        (0, StatusCode::OK),
        (2 * hour, StatusCode::UNAUTHORIZED),
        (0, StatusCode::OK),
        (-2 * hour, StatusCode::UNAUTHORIZED),
        (0, StatusCode::OK),
    ] {
        app.set_clock_ahead(ahead);
        let answer = client.ask("{ feedCursor }", json!({})).await;
        assert_eq!(answer.status, status, "{ahead}");
        if status == StatusCode::UNAUTHORIZED {
            let why = "The token is expired or not valid yet.";
            assert_eq!(answer.error()["message"], why, "{ahead}");
        }
    }
}

#[tokio::test]
async fn a_token_that_was_accepted_is_refused_once_a_character_of_it_is_another() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let token = acme.member.token.clone().unwrap();
    assert_eq!(status(&app, Some(token.clone())).await.0, StatusCode::OK);
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("{token}")
    };
    let other = acme.admin.token.clone().unwrap();
    let claims_of_admin = other.split('.').nth(1).unwrap();
    let flipped: String = signature.chars().rev().collect();
    for wrong in [
        format!("{header}.{claims_of_admin}.{signature}"),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}."),
        format!("{token}.{signature}"),
        format!("{token}x"),
    ] {
        let refused = status(&app, Some(wrong.clone())).await;
        assert_eq!(refused, (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED".to_owned()), "{wrong}");
    }
    assert_eq!(status(&app, Some(token)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_verified_before_the_rest_of_a_request() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let anonymous = app.client(None);
    for request in [
        anonymous.request(Method::POST, "/graphql").body("not json"),
        anonymous.request(Method::DELETE, "/graphql"),
        anonymous.request(Method::GET, "/graphql"),
        anonymous
            .request(Method::POST, "/graphql")
            .header("accept", "text/html")
            .body(vec![b'x'; 9_000_000]),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.code(), "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_token_of_the_algorithm_none_is_refused() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let claims = json!({ "sub": "x", "org_id": acme.id, "exp": Utc::now().timestamp() + 60 });
    let header = json!({ "alg": "none", "typ": "JWT" });
    let token =
        format!("{}.{}.", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    assert_eq!(status(&app, Some(token)).await.0, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_token_of_another_type_is_refused() {
    let verifier = Verifier::new(Key::secret(&[7; 32]).unwrap(), ClaimRules::default());
    let claims =
        json!({ "sub": "x", "org_id": Uuid::new_v4(), "exp": Utc::now().timestamp() + 60 });
    let takes = |typ: Option<&str>| {
        let header =
            jsonwebtoken::Header { typ: typ.map(str::to_owned), ..jsonwebtoken::Header::default() };
        let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        verifier.verify(&token, Utc::now()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(takes(None), Ok(()));
    for access_token in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/JWT"]
    {
        assert_eq!(takes(Some(access_token)), Ok(()), "{access_token}");
    }
    let refused = Err("the token is not an access token".to_owned());
    for other in [
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "application/logout+jwt",
        "token-introspection+jwt",
        "JOSE",
        "text/jwt",
        "application/application/jwt",
        " jwt",
        "",
    ] {
        assert_eq!(takes(Some(other)), refused, "{other}");
    }
}

#[tokio::test]
async fn a_logout_token_of_the_issuer_opens_neither_a_request_nor_a_socket() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let claims = json!({ "sub": "x", "org_id": acme.id, "exp": Utc::now().timestamp() + 60 });
    let header = jsonwebtoken::Header {
        typ: Some("logout+jwt".to_owned()),
        ..jsonwebtoken::Header::default()
    };
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret of the tests, 32 bytes or more");
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let refused = (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED".to_owned());
    assert_eq!(status(&app, Some(token.clone())).await, refused);
    let mut socket = Socket::silent(&app.address).await;
    let payload = json!({ "Authorization": format!("Bearer {token}") });
    socket.say(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.closed().await, 4403);
}

#[test]
fn a_token_whose_claims_name_another_type_is_refused() {
    let verifier = Verifier::new(Key::secret(SECRET).unwrap(), ClaimRules::default());
    let verify = |name: &str, value: Json| {
        let mut claims = json!({ "sub": "x", "org_id": Uuid::nil(), "exp": 2_000 });
        claims[name] = value;
        verifier.verify(&TestApp::sign(&claims), DateTime::from_timestamp(1_000, 0).unwrap())
    };
    for (name, value, is_accepted) in [
        ("typ", json!("Bearer"), true),
        ("typ", json!("ID"), true),
        ("typ", json!("Refresh"), false),
        ("typ", json!("Offline"), false),
        ("typ", json!("Logout"), false),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }), false),
        ("events", json!("a claim of the operator's own"), true),
    ] {
        let verified = verify(name, value.clone());
        assert_eq!(verified.is_ok(), is_accepted, "{name} {value}: {verified:?}");
    }
}

#[test]
fn claims_are_found_by_their_configured_names() {
    let organization = Uuid::new_v4();
    let rules = ClaimRules {
        organization: "app_metadata.org".to_owned(),
        role: "https://example.com/role".to_owned(),
        admin_roles: vec!["boss".to_owned()],
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("campaigns".to_owned()),
    };
    let verifier = Verifier::new(Key::secret(&[7; 32]).unwrap(), rules);
    let sign = |claims: &Json| {
        let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    };
    let now = Utc::now();
    let claims = json!({
        "sub": "x", "exp": now.timestamp() + 60, "iss": "https://issuer.example",
        "aud": ["other", "campaigns"],
        "app_metadata": { "org": organization }, "https://example.com/role": "boss",
    });
    let viewer = verifier.verify(&sign(&claims), now).unwrap();
    assert_eq!(viewer.organization(), organization);
    assert_eq!(viewer.role(), campaigns_scope::Role::Admin);
    for (name, value) in [
        ("iss", json!("another")),
        ("aud", json!("another")),
        ("iss", Json::Null),
        ("aud", Json::Null),
    ] {
        let mut other = claims.clone();
        other[name] = value;
        assert!(verifier.verify(&sign(&other), now).is_err(), "{other}");
    }
    let mut member = claims.clone();
    member["https://example.com/role"] = json!("admin");
    assert_eq!(verifier.verify(&sign(&member), now).unwrap().role(), campaigns_scope::Role::Member);
}

/// A new key pair for each algorithm: private and public, in PEM.
fn keys() -> [(jsonwebtoken::Algorithm, String, String); 3] {
    use jsonwebtoken::Algorithm;
    [
        (Algorithm::RS256, &rcgen::PKCS_RSA_SHA256),
        (Algorithm::ES256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (Algorithm::EdDSA, &rcgen::PKCS_ED25519),
    ]
    .map(|(algorithm, kind)| {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        (algorithm, pair.serialize_pem(), pair.public_key_pem())
    })
}

#[test]
fn a_public_key_verifies_tokens_of_its_own_algorithm_alone() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let now = Utc::now();
    let claims = json!({ "sub": "x", "org_id": Uuid::new_v4(), "exp": now.timestamp() + 60 });
    let keys = keys();
    for (algorithm, _, public) in &keys {
        let verifier =
            Verifier::new(Key::public_pem(public.as_bytes()).unwrap(), ClaimRules::default());
        for (other, private, _) in &keys {
            let key = match other {
                Algorithm::RS256 => EncodingKey::from_rsa_pem(private.as_bytes()),
                Algorithm::ES256 => EncodingKey::from_ec_pem(private.as_bytes()),
                _ => EncodingKey::from_ed_pem(private.as_bytes()),
            };
            let token = encode(&Header::new(*other), &claims, &key.unwrap()).unwrap();
            assert_eq!(
                verifier.verify(&token, now).is_ok(),
                other == algorithm,
                "{other:?} by {algorithm:?}"
            );
        }
        // the public key as an HMAC secret
        let forged =
            encode(&Header::default(), &claims, &EncodingKey::from_secret(public.as_bytes()))
                .unwrap();
        assert!(verifier.verify(&forged, now).is_err());
    }
}

#[test]
fn a_token_with_an_extension_that_has_to_be_understood_is_refused() {
    let now = Utc::now();
    let claims = json!({ "sub": "x", "org_id": Uuid::new_v4(), "exp": now.timestamp() + 60 });
    let verifier = Verifier::new(Key::secret(&[7; 32]).unwrap(), ClaimRules::default());
    let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
    for (crit, taken) in [(None, true), (Some(vec!["exp".to_owned()]), false)] {
        let header = jsonwebtoken::Header { crit, ..Default::default() };
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(verifier.verify(&token, now).is_ok(), taken);
    }
}

#[test]
fn an_invalid_key_is_refused() {
    assert!(Key::secret(&[1; 31]).is_err());
    assert!(
        Key::public_pem(b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----").is_err()
    );
    assert!(Key::public_pem(b"").is_err());
}

/// Arbitrary claims, signed with the right key.
mod of_anything {
    use campaigns_scope::{ClaimRules, Key, Verifier};
    use campaigns_tests::TestApp;
    use chrono::Utc;
    use proptest::prelude::*;
    use serde_json::Value as Json;
    use uuid::Uuid;

    fn anything() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            (0_i64..10_000_000_000).prop_map(Json::from),
            any::<u128>().prop_map(|id| Json::from(Uuid::from_u128(id).to_string())),
            ".{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((".{0,6}", inner), 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    fn claims() -> impl Strategy<Value = Json> {
        let name = prop::sample::select(vec![
            "exp",
            "nbf",
            "iat",
            "iss",
            "aud",
            "sub",
            "org_id",
            "role",
            "app_metadata",
            "jti",
        ]);
        prop::collection::vec((name, anything()), 0..10).prop_map(|claims| {
            Json::Object(claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        })
    }

    proptest! {
        #[test]
        fn an_accepted_token_has_an_organization_a_subject_and_time_left(claims in claims()) {
            let secret = b"a secret of the tests, 32 bytes or more";
            let verifier = Verifier::new(Key::secret(secret).unwrap(), ClaimRules::default());
            let now = Utc::now();
            if let Ok(viewer) = verifier.verify(&TestApp::sign(&claims), now) {
                let organization = claims["org_id"].as_str();
                let organization = organization.and_then(|id| Uuid::try_parse(id).ok());
                prop_assert_eq!(Some(viewer.organization()), organization);
                prop_assert_eq!(claims["sub"].as_str(), Some(viewer.subject()));
                let now = i32::try_from(now.timestamp()).unwrap();
                prop_assert!(claims["exp"].as_f64().unwrap() + 30.0 >= f64::from(now));
            }
        }

        #[test]
        fn any_text_is_no_token(text in ".{0,200}") {
            let verifier = Verifier::new(Key::secret(&[7; 32]).unwrap(), ClaimRules::default());
            prop_assert!(verifier.verify(&text, Utc::now()).is_err());
        }
    }
}

#[test]
fn an_admin_is_one_in_the_tokens_of_each_identity_provider() {
    let organization = Uuid::new_v4();
    let now = Utc::now();
    let role = |claim: &str, value: Json| {
        let rules = ClaimRules { role: claim.to_owned(), ..ClaimRules::default() };
        let mut claims = json!({ "sub": "x", "org_id": organization, "exp": now.timestamp() + 60 });
        claims.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        let viewer = Verifier::new(Key::secret(SECRET).unwrap(), rules)
            .verify(&TestApp::sign(&claims), now)
            .unwrap();
        format!("{:?}", viewer.role())
    };
    let hasura = "https://hasura.io/jwt/claims";
    for (claim, claims, is) in [
        ("role", json!({ "role": "admin" }), "Admin"),
        ("role", json!({ "role": ["member", "admin"] }), "Admin"),
        (
            "realm_access.roles",
            json!({ "realm_access": { "roles": ["offline_access", "admin"] } }),
            "Admin",
        ),
        (
            "resource_access.app.roles",
            json!({ "resource_access": { "app": { "roles": ["owner"] } } }),
            "Admin",
        ),
        ("roles", json!({ "roles": ["admin"] }), "Admin"),
        ("cognito:groups", json!({ "cognito:groups": ["admin"] }), "Admin"),
        (
            "urn:zitadel:iam:org:project:roles",
            json!({ "urn:zitadel:iam:org:project:roles": { "admin": { "1": "acme.example" } } }),
            "Admin",
        ),
        ("https://app.example/roles", json!({ "https://app.example/roles": ["admin"] }), "Admin"),
        (
            "https://hasura.io/jwt/claims.x-hasura-default-role",
            json!({ hasura: { "x-hasura-default-role": "admin" } }),
            "Admin",
        ),
        (
            "realm_access.roles",
            json!({ "realm_access": { "roles": ["administrator", 7, null] } }),
            "Member",
        ),
        ("roles", json!({ "roles": [] }), "Member"),
        ("roles", json!({ "roles": [["admin"]] }), "Member"),
        ("roles", json!({ "roles": { "member": "admin" } }), "Member"),
        ("roles", json!({ "roles": true }), "Member"),
        ("roles", json!({ "role": "admin" }), "Member"),
    ] {
        assert_eq!(role(claim, claims.clone()), is, "{claim} {claims}");
    }
}
