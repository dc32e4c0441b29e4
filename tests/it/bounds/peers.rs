//! Bounds on connections, with and without a token.

use std::time::{Duration, Instant};

use campaigns_server::{Settings, Timeouts};
use campaigns_tests::{Backend, Received, Socket, TestApp, until};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{self, Message};

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address.trim_start_matches("http://")).await.unwrap()
}

/// Reads until the service ends the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read))
        .await
        .expect("the service ends the connection")
        .ok();
    String::from_utf8_lossy(&read).into_owned()
}

fn timeouts(time: Duration) -> Timeouts {
    Timeouts { header: time, idle: time * 2, body: time, write: time }
}

const SHORT: Duration = Duration::from_millis(300);

async fn impatient() -> TestApp {
    let settings = Settings { timeouts: timeouts(SHORT), ..Settings::default() };
    TestApp::on(Backend::Sqlite).settings(settings).start().await
}

#[tokio::test]
async fn an_incomplete_header_is_cut_off() {
    let app = impatient().await;
    for header in ["", "GET /healthz HTTP/1.1\r\nHost: x\r\n", "POST /graphql HT"] {
        let mut stream = connect(&app).await;
        stream.write_all(header.as_bytes()).await.unwrap();
        let started = Instant::now();
        assert_eq!(rest(&mut stream).await, "", "{header:?}");
        assert!(started.elapsed() >= SHORT / 2, "{header:?}");
    }
}

#[tokio::test]
async fn a_header_that_comes_byte_by_byte_has_one_deadline() {
    let app = impatient().await;
    let mut stream = connect(&app).await;
    let started = Instant::now();
    while stream.write_all(b"G").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_connection_may_be_idle_between_requests_for_longer_than_a_header_takes() {
    let app = impatient().await;
    let mut stream = connect(&app).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request).await.unwrap();
        let mut read = [0; 1024];
        let count = stream.read(&mut read).await.unwrap();
        assert!(read[..count].starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(SHORT + SHORT / 2).await;
    }
    assert_eq!(rest(&mut stream).await, "");
}

/// Requests that are refused before their bodies are read, with the status of the response.
const REFUSED: [(&str, &str); 4] = [
    ("POST /graphql HTTP/1.1\r\nContent-Type: application/json", "401"),
    (
        "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}",
        "413",
    ),
    ("POST /healthz HTTP/1.1", "405"),
    ("PUT /nothing HTTP/1.1", "404"),
];

#[tokio::test]
async fn a_response_before_the_end_of_its_request_reaches_a_peer_that_is_still_sending() {
    const SIZE: usize = 12_000_000;
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let token = acme.member.token.clone().unwrap();
    for (head, status) in REFUSED {
        let head = head.replace("{token}", &token);
        // for a client that waits for the response, and for one that sends everything before it
        // reads
        for sent in [0, 1_000, 500_000, SIZE] {
            let mut stream = connect(&app).await;
            let head = format!("{head}\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b' '; sent]).await.unwrap();
            let mut read = Vec::new();
            let reading = stream.read_to_end(&mut read);
            let ended = tokio::time::timeout(Duration::from_secs(10), reading).await;
            ended.expect("the service ends the connection").expect("no reset");
            let read = String::from_utf8(read).unwrap();
            assert!(read.starts_with(&format!("HTTP/1.1 {status}")), "{sent} {read}");
            assert!(read.contains("\r\nconnection: close\r\n"), "{sent} {read}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_goes_on_sending_after_its_response_is_cut_off() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let mut stream = connect(&app).await;
    let head =
        format!("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", u64::MAX / 2);
    stream.write_all(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    let chunk = vec![b' '; 10_000];
    while stream.write_all(&chunk).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "it is read for ever");
    }
    assert!(started.elapsed() > Duration::from_secs(1), "what is on its way is read");
}

#[tokio::test]
async fn a_small_request_that_is_refused_does_not_end_its_connection() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let mut stream = connect(&app).await;
    for (head, status) in REFUSED {
        if head.contains("{token}") {
            continue;
        }
        for _ in 0..3 {
            let request =
                format!("{head}\r\nHost: x\r\nContent-Length: 200\r\n\r\n{}", " ".repeat(200));
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut read = [0; 4096];
            let count = stream.read(&mut read).await.unwrap();
            let read = String::from_utf8_lossy(&read[..count]);
            assert!(read.starts_with(&format!("HTTP/1.1 {status}")), "{read}");
            assert!(!read.contains("connection: close"), "{read}");
        }
    }
}

#[tokio::test]
async fn an_incomplete_body_is_cut_off() {
    let app = impatient().await;
    let acme = app.organization("acme").await;
    let token = acme.member.token.as_ref().unwrap();
    let mut stream = connect(&app).await;
    let header = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"query\":"
    );
    stream.write_all(header.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"TIMEOUT\""), "{answer}");
}

#[tokio::test]
async fn an_unread_response_is_dropped() {
    let app = impatient().await;
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let body = "x".repeat(500_000);
    for _ in 0..30 {
        app.run(&format!(
            "INSERT INTO campaigns (org_id, name, body) VALUES ({org}, 'x', '{body}')"
        ))
        .await;
    }
    let token = acme.member.token.as_ref().unwrap();
    let query = json!({ "query": "{ campaigns { nodes { body } } }" }).to_string();
    let mut stream = connect(&app).await;
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{query}",
        query.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let held = || app.service_database.budgets().process().held();
    until("it is answered", Duration::from_secs(20), async || held() > 10_000_000).await;
    // the connection is closed and its bytes are returned, although the response is not read
    until("it is given up", Duration::from_secs(10), async || held() == 0).await;
    let read = rest(&mut stream).await;
    assert!(read.starts_with("HTTP/1.1 200") && read.len() < 15_000_000);
}

#[tokio::test]
async fn the_number_of_open_connections_is_bounded() {
    let settings = Settings { max_peers: 2, timeouts: timeouts(SHORT * 3), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let (one, _two, mut three) = (connect(&app).await, connect(&app).await, connect(&app).await);
    three
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, three.read(&mut byte)).await.is_err());
    drop(one);
    assert!(rest(&mut three).await.contains("200 OK"));
}

#[tokio::test]
async fn an_unauthenticated_socket_can_send_16_kib() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let mut large = Socket::silent(&app.address).await;
    large.say_text("x".repeat(17_000)).await;
    assert_eq!(large.closed().await, 1009);
    // the rest of a message that is too long is not buffered
    let mut huge = Socket::silent(&app.address).await;
    huge.say_text("x".repeat(7_000_000)).await;
    assert!(matches!(huge.receive().await, Received::Closed(1009, _) | Received::Cut));
    // neither many small messages nor pings with unread pongs bypass the bound
    let mut many = Socket::silent(&app.address).await;
    for _ in 0..200 {
        many.say(json!({ "type": "ping", "payload": { "x": "y".repeat(100) } })).await;
    }
    until("it is closed", Duration::from_secs(10), async || {
        !matches!(many.receive().await, Received::Message(_))
    })
    .await;
    let mut pings = Socket::silent(&app.address).await;
    for _ in 0..1_000 {
        pings.send(Message::Ping(vec![0; 100].into())).await;
    }
    assert!(matches!(pings.receive().await, Received::Closed(1009, _) | Received::Cut));
    // an authenticated peer can send more
    let mut known = Socket::of(&acme.member).await;
    let query = format!("{{ __typename # {}\n }}", "x".repeat(50_000));
    known.subscribe("1", &query, json!({})).await;
    assert_eq!(known.next("1").await, json!({ "__typename": "Query" }));
}

#[tokio::test]
async fn the_number_of_unauthenticated_sockets_is_bounded() {
    let settings = Settings { max_unknown_sockets: 3, ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    // authenticated sockets do not count
    let known = [Socket::of(&acme.member).await, Socket::of(&acme.member).await];
    let mut unknown = Vec::new();
    for _ in 0..3 {
        unknown.push(Socket::silent(&app.address).await);
    }
    let refused =
        Socket::open(&app.address, Some("graphql-transport-ws"), None).await.err().unwrap();
    match refused {
        tungstenite::Error::Http(response) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    unknown.pop();
    until("there is room again", Duration::from_secs(5), async || {
        Socket::open(&app.address, Some("graphql-transport-ws"), None).await.is_ok()
    })
    .await;
    drop(known);
}

#[tokio::test]
async fn an_incomplete_message_is_cut_off() {
    let settings = Settings {
        timeouts: timeouts(SHORT),
        socket_ping: Duration::from_millis(100),
        ..Settings::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let token = acme.member.token.as_ref().unwrap();
    let mut stream = connect(&app).await;
    stream
        .write_all(
            b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
        )
        .await
        .unwrap();
    let frame = |length: usize, payload: &[u8]| {
        // a text frame with a mask of zeros
        let mut frame = vec![0x81, 0x80 | 127];
        frame.extend((length as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    };
    let init = json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer \
        {token}") } });
    let init = init.to_string();
    stream.write_all(&frame(init.len(), init.as_bytes())).await.unwrap();
    let mut read = String::new();
    while !read.contains("connection_ack") {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await.unwrap();
        read.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    // a tenth of a message of one megabyte, which is drawn from the organization's budget meanwhile
    stream.write_all(&frame(1_000_000, &vec![b' '; 100_000])).await.unwrap();
    let held = || acme.scope.budget().held();
    until("it has come", Duration::from_secs(5), async || held() > 90_000).await;
    rest(&mut stream).await;
    until("it is given back", Duration::from_secs(5), async || held() == 0).await;
}
