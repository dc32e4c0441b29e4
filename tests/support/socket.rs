//! A client of the socket protocol, which sends any message.

use std::time::Duration;

use axum::http::header;
use reqwest::header::HeaderValue;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::Client;

/// How long a test waits for a message on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The result of receiving.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// A message of the protocol.
    Message(Json),
    /// The service has closed it, with this code and reason.
    Closed(u16, String),
    /// The connection was lost without a close.
    Cut,
}

/// A socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens a socket with a subprotocol at this address, `http://…`.
    ///
    /// # Errors
    /// The response of the service, if it is not an upgrade.
    pub async fn open(
        address: &str,
        protocol: Option<&str>,
        origin: Option<&str>,
    ) -> Result<Self, tungstenite::Error> {
        let url = format!("{}/graphql", address.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        if let Some(protocol) = protocol {
            let protocol = HeaderValue::from_str(protocol).unwrap();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        let (stream, _) = connect_async(request).await?;
        Ok(Self { stream })
    }

    /// Opens one without sending a message.
    pub async fn silent(address: &str) -> Self {
        Self::open(address, Some("graphql-transport-ws"), None).await.unwrap()
    }

    /// Opens one for a client, and waits for the acknowledgment.
    pub async fn of(client: &Client) -> Self {
        let mut socket = Self::silent(&client.address).await;
        let token = client.token.as_ref().unwrap();
        let payload = json!({ "Authorization": format!("Bearer {token}") });
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.receive().await, Received::Message(json!({ "type": "connection_ack" })));
        socket
    }

    /// Sends a message of the protocol.
    pub async fn say(&mut self, message: Json) {
        self.say_text(message.to_string()).await;
    }

    /// Sends any text.
    pub async fn say_text(&mut self, text: impl Into<String>) {
        self.send(Message::Text(text.into().into())).await;
    }

    /// Sends any frame; the service may have closed the socket already.
    pub async fn send(&mut self, message: Message) {
        use async_graphql::futures_util::SinkExt;
        self.stream.send(message).await.ok();
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Json) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// The next message except pings.
    ///
    /// # Panics
    /// If nothing arrives in time.
    pub async fn receive(&mut self) -> Received {
        self.receive_within(PATIENCE).await.expect("something is received in time")
    }

    /// The next message except pings, or `None` if none arrives within this time.
    pub async fn receive_within(&mut self, patience: Duration) -> Option<Received> {
        use async_graphql::futures_util::StreamExt;
        let received = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Json = serde_json::from_str(&text).unwrap();
                        if message["type"] != "ping" {
                            return Received::Message(message);
                        }
                    }
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Received::Closed(frame.code.into(), frame.reason.to_string());
                    }
                    Some(Ok(Message::Close(None)) | Err(_)) | None => return Received::Cut,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(patience, received).await.ok()
    }

    /// The next message.
    ///
    /// # Panics
    /// If there is none.
    pub async fn message(&mut self) -> Json {
        match self.receive().await {
            Received::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The data of the next `next` of an operation.
    ///
    /// # Panics
    /// If something else arrives.
    pub async fn next(&mut self, id: &str) -> Json {
        let mut message = self.message().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        assert_eq!(message["payload"].get("errors"), None, "{message}");
        message["payload"]["data"].take()
    }

    /// The code of the close that comes next.
    ///
    /// # Panics
    /// If something else arrives.
    pub async fn closed(&mut self) -> u16 {
        match self.receive().await {
            Received::Closed(code, _) => code,
            other => panic!("{other:?}"),
        }
    }
}
