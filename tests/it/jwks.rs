//! Keys from a URL: which keys are used, when they are fetched, and failures of the key server.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_graphql::futures_util::future::join_all;
use axum::{Router, body::Body, http::StatusCode as Status, response::Response, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campaigns_scope::{ClaimRules, KeySet, Verifier};
use campaigns_server::Pace;
use campaigns_tests::{Backend, Binary, TestApp, TestDatabase, until};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::watching::of_this_process;

const PATIENCE: Duration = Duration::from_mins(2);

/// A response of the key server.
#[derive(Clone)]
enum Reply {
    Keys(Json),
    Error,
    Nothing,
    TooMuch,
}

/// A key server.
struct Server {
    url: String,
    reply: Arc<Mutex<Reply>>,
    fetches: Arc<AtomicUsize>,
}

impl Server {
    async fn start(reply: Reply) -> Self {
        let reply = Arc::new(Mutex::new(reply));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (now, counted) = (Arc::clone(&reply), Arc::clone(&fetches));
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let reply = now.lock().unwrap().clone();
            match reply {
                Reply::Keys(keys) => Response::new(Body::from(keys.to_string())),
                Reply::Error => {
                    let mut response = Response::new(Body::from("no"));
                    *response.status_mut() = Status::INTERNAL_SERVER_ERROR;
                    response
                }
                Reply::Nothing => std::future::pending().await,
                Reply::TooMuch => Response::new(Body::from(vec![b' '; 2 << 20])),
            }
        };
        let router = Router::new().route("/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, reply, fetches }
    }

    fn reply_with(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

/// A pair of keys with a name.
struct Pair {
    name: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Json,
}

impl Pair {
    fn new(name: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let private = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        }
        .unwrap();
        let mut public = if algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
        } else {
            let jwk = Jwk::from_encoding_key(&private, algorithm).unwrap();
            serde_json::to_value(jwk).unwrap()
        };
        public["kid"] = json!(name);
        public.as_object_mut().unwrap().remove("alg");
        Self { name: name.to_owned(), algorithm, private, public }
    }

    fn with(&self, name: &str, value: Json) -> Json {
        let mut public = self.public.clone();
        public[name] = value;
        public
    }

    fn sign(&self, organization: Uuid) -> String {
        self.sign_as(Some(&self.name), self.algorithm, organization)
    }

    fn sign_as(&self, kid: Option<&str>, algorithm: Algorithm, organization: Uuid) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims(organization), &self.private).unwrap()
    }
}

fn claims(organization: Uuid) -> Json {
    json!({ "sub": "x", "org_id": organization, "exp": Utc::now().timestamp() + 60 })
}

fn set(keys: &[&Json]) -> Json {
    json!({ "keys": keys })
}

/// Whether the verifier of a key set accepts a token.
fn takes(keys: &[&Json], token: &str) -> bool {
    let verifier = Verifier::without_keys(ClaimRules::default());
    match KeySet::parse(set(keys).to_string().as_bytes()) {
        Ok(keys) => verifier.replace_keys(keys),
        Err(_) => assert!(!verifier.has_keys()),
    }
    verifier.verify(token, Utc::now()).is_ok()
}

async fn status(app: &TestApp, token: &str) -> StatusCode {
    app.client(Some(token.to_owned())).ask("{ __typename }", json!({})).await.status
}

/// Repeats a request until the response has this status.
async fn until_status(app: &TestApp, token: &str, wanted: StatusCode) {
    let is_wanted = async || status(app, token).await == wanted;
    until(&format!("it is {wanted}"), PATIENCE, is_wanted).await;
}

#[test]
fn each_kind_of_key_verifies_tokens_of_its_own_algorithm_alone() {
    let kinds = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let pairs: Vec<Pair> =
        kinds.iter().map(|kind| Pair::new(&format!("{kind:?}"), *kind)).collect();
    let keys: Vec<&Json> = pairs.iter().map(|pair| &pair.public).collect();
    let organization = Uuid::new_v4();
    for pair in &pairs {
        assert!(takes(&keys, &pair.sign(organization)), "{:?}", pair.algorithm);
        for other in pairs.iter().filter(|other| other.name != pair.name) {
            // the right name, but the signature of another key
            let token = other.sign_as(Some(&pair.name), other.algorithm, organization);
            assert!(!takes(&keys, &token), "{} by {}", other.name, pair.name);
        }
    }
}

#[test]
fn the_header_of_a_token_does_not_choose_the_algorithm() {
    let pair = Pair::new("rsa", Algorithm::RS256);
    let organization = Uuid::new_v4();
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = pair.sign_as(Some("rsa"), algorithm, organization);
        assert!(!takes(&[&pair.public], &token), "{algorithm:?}");
        // if the key names an algorithm, it is the only one
        let says = pair.with("alg", json!(format!("{algorithm:?}")));
        assert!(takes(&[&says], &token), "{algorithm:?}");
        assert!(!takes(&[&says], &pair.sign(organization)), "{algorithm:?}");
    }
    // the public key as an HMAC secret, in each of its encodings
    let modulus = pair.public["n"].as_str().unwrap();
    let elliptic = Pair::new("ec", Algorithm::ES256);
    let x = elliptic.public["x"].as_str().unwrap();
    for (public, bytes) in [
        (&pair.public, modulus.as_bytes().to_vec()),
        (&pair.public, pair.public.to_string().into_bytes()),
        (&elliptic.public, x.as_bytes().to_vec()),
        (&elliptic.public, elliptic.public.to_string().into_bytes()),
    ] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let kid = public["kid"].as_str().map(str::to_owned);
            let header = Header { kid, ..Header::new(algorithm) };
            let key = EncodingKey::from_secret(&bytes);
            let forged = jsonwebtoken::encode(&header, &claims(organization), &key).unwrap();
            assert!(!takes(&[public], &forged), "{algorithm:?}");
        }
    }
    // a secret in a set of public keys is not used
    let secret = json!({
        "kty": "oct", "kid": "secret", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    });
    let header = Header { kid: Some("secret".to_owned()), ..Header::default() };
    let key = EncodingKey::from_secret(&[0; 32]);
    let forged = jsonwebtoken::encode(&header, &claims(organization), &key).unwrap();
    assert!(!takes(&[&secret], &forged));
    assert!(!takes(&[&secret, &pair.public], &forged));
}

#[test]
fn keys_for_other_purposes_are_ignored() {
    let rsa = Pair::new("key", Algorithm::RS256);
    let elliptic = Pair::new("key", Algorithm::ES256);
    let edwards = Pair::new("key", Algorithm::EdDSA);
    let organization = Uuid::new_v4();
    for (pair, public, taken) in [
        (&rsa, rsa.with("use", json!("sig")), true),
        (&rsa, rsa.with("use", json!("enc")), false),
        (&rsa, rsa.with("key_ops", json!(["verify"])), true),
        (&rsa, rsa.with("key_ops", json!(["encrypt", "wrapKey"])), false),
        (&rsa, rsa.with("alg", json!("RS256")), true),
        (&rsa, rsa.with("alg", json!("RSA-OAEP-256")), false),
        (&rsa, rsa.with("alg", json!("ES256")), false),
        (&rsa, rsa.with("alg", json!("HS256")), false),
        (&rsa, rsa.with("alg", json!("none")), false),
        (&rsa, rsa.with("n", json!("AQAB")), false),
        (&elliptic, elliptic.with("alg", json!("ES256")), true),
        (&elliptic, elliptic.with("alg", json!("ES384")), false),
        (&elliptic, elliptic.with("alg", json!("ECDH-ES")), false),
        (&elliptic, elliptic.with("crv", json!("P-384")), false),
        (&elliptic, elliptic.with("crv", json!("secp256k1")), false),
        (&edwards, edwards.with("alg", json!("EdDSA")), true),
        (&edwards, edwards.with("alg", json!("Ed25519")), true),
        (&edwards, edwards.with("crv", json!("X25519")), false),
        (&edwards, edwards.with("kty", json!(7)), false),
    ] {
        assert_eq!(takes(&[&public], &pair.sign(organization)), taken, "{public}");
        // with other keys in the set
        let other = Pair::new("other", Algorithm::ES256);
        let unknown = json!({ "kty": "AKP", "kid": "later", "alg": "ML-DSA-44", "pub": "AAAA" });
        let keys = [&unknown, &public, &other.public];
        assert_eq!(takes(&keys, &pair.sign(organization)), taken, "{public}");
        assert!(takes(&keys, &other.sign(organization)));
    }
}

#[test]
fn a_token_that_names_no_key_is_verified_by_the_only_one() {
    let (one, two) = (Pair::new("one", Algorithm::ES256), Pair::new("two", Algorithm::ES256));
    let organization = Uuid::new_v4();
    let unnamed = one.sign_as(None, Algorithm::ES256, organization);
    assert!(takes(&[&one.public], &unnamed));
    assert!(!takes(&[&two.public], &unnamed));
    assert!(!takes(&[&one.public, &two.public], &unnamed));
    // a single key without a name verifies every token
    let nameless = one.with("kid", Json::Null);
    assert!(takes(&[&nameless], &unnamed));
    assert!(takes(&[&nameless], &one.sign(organization)));
    assert!(!takes(&[&nameless], &two.sign(organization)));
    // keys of different types can have the same name
    let same = Pair::new("one", Algorithm::RS256);
    assert!(takes(&[&same.public, &one.public], &one.sign(organization)));
    assert!(takes(&[&same.public, &one.public], &same.sign(organization)));
}

#[tokio::test]
async fn a_new_key_is_fetched_once_a_token_names_it() {
    let (old, new) = (Pair::new("old", Algorithm::ES256), Pair::new("new", Algorithm::RS256));
    let server = Server::start(Reply::Keys(set(&[&old.public]))).await;
    let app = TestApp::on(Backend::Sqlite).key_server(&server.url, Pace::default()).start().await;
    let acme = app.organization("acme").await.id;
    let accepted = old.sign(acme);
    assert_eq!(status(&app, &accepted).await, StatusCode::OK);
    assert_eq!(server.fetches(), 1);
    server.reply_with(Reply::Keys(set(&[&new.public])));
    // all requests that name it wait for the same fetch
    let token = new.sign(acme);
    let statuses = join_all((0..20).map(|_| status(&app, &token))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    // a removed key is no longer accepted, even for tokens that it has verified
    for token in [&accepted, &old.sign(acme)] {
        assert_eq!(status(&app, token).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let good = Pair::new("good", Algorithm::ES256);
    let server = Server::start(Reply::Keys(set(&[&good.public]))).await;
    let app = TestApp::on(Backend::Sqlite).key_server(&server.url, Pace::default()).start().await;
    let acme = app.organization("acme").await.id;
    let flood = (0..200).map(|number| {
        let token = good.sign_as(Some(&format!("unknown {number}")), Algorithm::ES256, acme);
        let app = &app;
        async move { status(app, &token).await }
    });
    let statuses = join_all(flood).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::UNAUTHORIZED));
    assert_eq!(status(&app, &good.sign(acme)).await, StatusCode::OK);
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn while_the_server_fails_the_last_keys_stay_in_use() {
    let (old, new) = (Pair::new("old", Algorithm::ES256), Pair::new("new", Algorithm::EdDSA));
    let short = Duration::from_millis(100);
    let pace = Pace { timeout: short, renewal: short, retry: short, unknown: short };
    let server = Server::start(Reply::Keys(set(&[&old.public]))).await;
    let app = TestApp::on(Backend::Sqlite).key_server(&server.url, pace).start().await;
    let acme = app.organization("acme").await.id;
    for reply in [
        Reply::Error,
        Reply::Nothing,
        Reply::TooMuch,
        Reply::Keys(json!("nonsense")),
        Reply::Keys(set(&[])),
        Reply::Keys(set(&[&old.with("use", json!("enc"))])),
    ] {
        server.reply_with(reply);
        let before = server.fetches();
        while server.fetches() < before + 3 {
            assert_eq!(status(&app, &old.sign(acme)).await, StatusCode::OK);
            // and the refusal is not delayed
            assert_eq!(status(&app, &new.sign(acme)).await, StatusCode::UNAUTHORIZED);
        }
    }
    server.reply_with(Reply::Keys(set(&[&new.public])));
    until_status(&app, &new.sign(acme), StatusCode::OK).await;
    assert_eq!(status(&app, &old.sign(acme)).await, StatusCode::UNAUTHORIZED);
}

/// A server whose `/jwks.json` redirects to `location`, with keys at `/keys`, and the number of
/// requests for these.
async fn redirecting(location: impl Fn(&str) -> String, keys: &Json) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let fetches = Arc::new(AtomicUsize::new(0));
    let (location, keys, counted) = (location(&address), keys.to_string(), Arc::clone(&fetches));
    let redirect = async move || {
        Response::builder().status(307).header("location", location).body(Body::empty())
    };
    let answer = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        keys
    };
    let router = Router::new()
        .route("/jwks.json", get(async || redirect().await.unwrap()))
        .route("/keys", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, fetches)
}

#[tokio::test]
async fn redirects_of_the_key_server_are_followed_within_its_origin_alone() {
    let pair = Pair::new("good", Algorithm::ES256);
    let keys = set(&[&pair.public]);
    let (elsewhere, asked_elsewhere) = redirecting(|_| "/keys".to_owned(), &keys).await;
    for (location, is_followed) in [
        ("/keys", true),
        ("{own}/keys", true),
        // the same machine, by another name
        ("{named}/keys", false),
        ("{elsewhere}/keys", false),
        ("{secure}/keys", false),
        ("//me:hunter2@{host}/keys", false),
        ("file:///etc/passwd", false),
        // a redirect loop
        ("/jwks.json", false),
    ] {
        let target = |own: &str| {
            let host = own.trim_start_matches("http://");
            location
                .replace("{own}", own)
                .replace("{named}", &own.replace("127.0.0.1", "localhost"))
                .replace("{secure}", &own.replace("http", "https"))
                .replace("{host}", &host.replace("127.0.0.1", "localhost"))
                .replace("{elsewhere}", &elsewhere)
        };
        let (address, asked) = redirecting(target, &keys).await;
        let url = format!("{address}/jwks.json");
        let app = TestApp::on(Backend::Sqlite).key_server(&url, Pace::default()).start().await;
        let acme = app.organization("acme").await.id;
        let expected = if is_followed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(status(&app, &pair.sign(acme)).await, expected, "{location}");
        assert_eq!(asked.load(Ordering::SeqCst) > 0, is_followed, "{location}");
    }
    assert_eq!(asked_elsewhere.load(Ordering::SeqCst), 0, "another host was asked");
}

#[tokio::test]
async fn a_service_that_starts_without_keys_is_not_ready_and_does_not_blame_the_token() {
    let good = Pair::new("good", Algorithm::ES256);
    let server = Server::start(Reply::Error).await;
    let app = TestApp::on(Backend::Sqlite).key_server(&server.url, Pace::default()).start().await;
    let acme = app.organization("acme").await.id;
    let client = app.client(Some(good.sign(acme)));
    let fetches = async |outcome: &str| {
        let series = format!("campaigns_key_fetches_total{{outcome=\"{outcome}\"}}");
        of_this_process(&app, &series).await
    };
    let fetched_before = fetches("fetched").await;
    let ready = async || {
        let ready = app.client(None).request(reqwest::Method::GET, "/readyz").send().await.unwrap();
        ready.status()
    };
    let answer = client.ask("{ __typename }", json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    // a request without a token does not fetch
    assert_eq!(app.client(None).ask("{ __typename }", json!({})).await.code(), "UNAUTHENTICATED");
    server.reply_with(Reply::Keys(set(&[&good.public])));
    until_status(&app, &good.sign(acme), StatusCode::OK).await;
    assert_eq!(ready().await, StatusCode::OK);
    assert!(fetches("failed").await >= 1.0 && fetches("fetched").await > fetched_before);
}

#[tokio::test]
async fn a_key_server_is_retried_however_long_it_fails() {
    let server = Server::start(Reply::Error).await;
    let milli = Duration::from_millis(1);
    let pace = Pace { retry: milli, ..Pace::default() };
    let app = TestApp::on(Backend::Sqlite).key_server(&server.url, pace).start().await;
    let acme = app.organization("acme").await;
    // after this many failures, an unbounded exponential pause would overflow
    until("it tries again and again", PATIENCE, async || server.fetches() >= 100).await;
    let pair = Pair::new("key", Algorithm::ES256);
    server.reply_with(Reply::Keys(set(&[&pair.public])));
    until_status(&app, &pair.sign(acme.id), StatusCode::OK).await;
}

/// An access token of a realm, as Keycloak 26 issues it to a client, without the user's profile
/// claims.
fn of_keycloak(issuer: &str, organization: Uuid, role: &str) -> (Header, Json) {
    let now = Utc::now().timestamp();
    let header = Header { typ: Some("JWT".to_owned()), ..Header::new(Algorithm::RS256) };
    let claims = json!({
        "exp": now + 300,
        "iat": now,
        "auth_time": now - 5,
        "jti": "onrtac:7d3a5a0f-8f6e-4a37-9a40-1c84c3a0a4a1",
        "iss": issuer,
        "aud": ["campaigns", "account"],
        "sub": "f2a1c6b7-3f0e-4b1f-9d2c-0a4b8a3f7d11",
        "typ": "Bearer",
        "azp": "campaigns-pages",
        "sid": "b0b4d0c2-54c6-4d8e-8a0e-0f1d6c2b9a77",
        "acr": "1",
        "allowed-origins": ["https://campaigns.example"],
        "realm_access": {
            "roles": ["offline_access", "default-roles-acme", "uma_authorization", role],
        },
        "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
        "scope": "openid email profile",
        "email_verified": true,
        "preferred_username": "ada",
        "org_id": organization,
    });
    (header, claims)
}

/// An access token of an API, as Auth0 issues it, with claims that an Action adds under a
/// namespace.
fn of_auth0(issuer: &str, organization: Uuid, role: &str) -> (Header, Json) {
    let now = Utc::now().timestamp();
    // `at+jwt` is Auth0's RFC 9068 profile, and `JWT` its own profile
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::RS256) };
    let claims = json!({
        "https://campaigns.example/org_id": organization,
        "https://campaigns.example/roles": ["reader", role],
        "iss": issuer,
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.campaigns.example", "https://acme.eu.auth0.com/userinfo"],
        "iat": now,
        "exp": now + 86_400,
        "scope": "openid profile email",
        "org_id": "org_9ybsU1dN2dKfDkBi",
        "azp": "kQ2b8sZ0nqzv1m3dVt5yXw7rT4uLp9aC",
        "permissions": ["read:campaigns"],
    });
    (header, claims)
}

#[tokio::test]
async fn access_tokens_of_keycloak_and_of_auth0_are_verified_by_their_key_sets() {
    type Token = fn(&str, Uuid, &str) -> (Header, Json);
    let namespace = "https://campaigns.example/";
    let (org_claim, role_claim) = (format!("{namespace}org_id"), format!("{namespace}roles"));
    let issuers: [(Backend, &str, Token, [&str; 6]); 2] = [
        (
            Backend::Postgres,
            "https://keycloak.example/realms/acme",
            of_keycloak,
            [
                "--jwt-audience",
                "campaigns",
                "--jwt-org-claim",
                "org_id",
                "--jwt-role-claim",
                "realm_access.roles",
            ],
        ),
        (
            Backend::Sqlite,
            "https://acme.eu.auth0.com/",
            of_auth0,
            [
                "--jwt-audience",
                "https://api.campaigns.example",
                "--jwt-org-claim",
                &org_claim,
                "--jwt-role-claim",
                &role_claim,
            ],
        ),
    ];
    for (backend, issuer, token, flags) in issuers {
        let pair = Pair::new("bTWTbYdDNzVnIOYCqzc0k", Algorithm::RS256);
        // both include a certificate chain with each key, and Keycloak also has a key for
        // encryption
        let mut signing = pair.with("use", json!("sig"));
        signing["alg"] = json!("RS256");
        signing["x5c"] = json!(["MIICmzCCAYMCBgGT"]);
        signing["x5t#S256"] = json!("fNQX2Q0m1n3Wvq8mK5Yx9hT7cJkzL4bR6oAsDgE0uPw");
        let mut encrypting =
            Pair::new("for-encryption", Algorithm::RS256).with("use", json!("enc"));
        encrypting["alg"] = json!("RSA-OAEP");
        let server = Server::start(Reply::Keys(set(&[&encrypting, &signing]))).await;

        let database = TestDatabase::new(backend).await;
        let url = database.url.clone();
        let app = TestApp::on_database(database).start().await;
        let (acme, other) = (app.organization("acme").await, app.organization("other").await);
        let given = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            &url,
            "--jwks-url",
            &server.url,
            "--jwt-issuer",
            issuer,
        ];
        let directory = tempfile::tempdir().unwrap();
        let mut service = Binary::start(directory.path(), &[&given[..], &flags].concat()).await;
        let address = service.address().await;
        let client = |(header, claims): (Header, Json)| {
            let header = Header { kid: Some(pair.name.clone()), ..header };
            let token = jsonwebtoken::encode(&header, &claims, &pair.private).unwrap();
            app.client(Some(token)).at(address.clone())
        };
        let query = "{ viewer { subject role organization { name } } }";
        for (organization, name, given, role) in [
            (acme.id, "acme", "admin", "ADMIN"),
            (acme.id, "acme", "editor", "MEMBER"),
            (other.id, "other", "admin", "ADMIN"),
        ] {
            let (header, claims) = token(issuer, organization, given);
            let subject = claims["sub"].clone();
            let viewer = client((header, claims)).data(query, json!({})).await;
            assert_eq!(
                viewer["viewer"],
                json!({ "subject": subject, "role": role, "organization": { "name": name } })
            );
        }
        // another realm or tenant, another API, a logout token, and an expired token
        let (header, claims) = token("https://other.example/", acme.id, "admin");
        let mut refused = vec![(header, claims)];
        for (name, value) in [
            ("aud", json!(["account"])),
            ("exp", json!(Utc::now().timestamp() - 3_600)),
            ("sub", json!(null)),
        ] {
            let (header, mut claims) = token(issuer, acme.id, "admin");
            claims[name] = value;
            refused.push((header, claims));
        }
        let (header, claims) = token(issuer, acme.id, "admin");
        refused.push((Header { typ: Some("logout+jwt".to_owned()), ..header }, claims));
        for token in refused {
            let answer = client(token.clone()).ask(query, json!({})).await;
            assert_eq!(answer.code(), "UNAUTHENTICATED", "{token:?} {:#}", answer.body);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(service.terminate().await, 0);
    }
}
