//! A socket client that uses hardly any memory.

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A socket, read and written without buffers.
pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Opens a graphql-transport-ws socket, and waits for the acknowledgment.
    pub(crate) async fn open(address: &str, token: &str) -> Self {
        let host = address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        let mut peer = Self(stream);
        let payload = json!({ "Authorization": format!("Bearer {token}") });
        peer.say(&json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(peer.receive().await.expect("the socket is open")["type"], "connection_ack");
        peer
    }

    /// Starts an operation.
    pub(crate) async fn subscribe(&mut self, id: usize, query: &str, variables: Json) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "id": id.to_string(), "type": "subscribe", "payload": payload })).await;
    }

    /// Waits until the service has read everything so far, and returns the received messages.
    /// `None` if it has closed the socket.
    pub(crate) async fn catch_up(&mut self) -> Option<Vec<Json>> {
        self.say(&json!({ "type": "ping", "payload": { "mark": true } })).await;
        let mut received = Vec::new();
        loop {
            let message = self.receive().await?;
            if message["type"] == "pong" {
                return Some(received);
            }
            if message["type"] != "ping" {
                received.push(message);
            }
        }
    }

    /// Waits until the service has sent this number of responses to subscriptions.
    pub(crate) async fn receive_responses(&mut self, mut count: usize) {
        while count > 0 {
            let message = self.receive().await.expect("the socket is open");
            count -= usize::from(message["type"] == "next");
        }
    }

    async fn say(&mut self, message: &Json) {
        let text = message.to_string();
        // the mask of a client can be zero (RFC 6455, section 5.3)
        let mut frame = vec![0x81];
        match text.len() {
            length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            length @ 126..65_536 => {
                frame.push(0x80 | 0x7e);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(0x80 | 0x7f);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.into_bytes());
        // the service may have closed it
        self.0.write_all(&frame).await.ok();
    }

    async fn receive(&mut self) -> Option<Json> {
        loop {
            let kind = self.0.read_u8().await.ok()? & 0x0f;
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                length => usize::from(length),
            };
            let mut content = vec![0; length];
            self.0.read_exact(&mut content).await.unwrap();
            match kind {
                1 => return Some(serde_json::from_slice(&content).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }
}
