//! The address that a service listens on.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    str::FromStr,
};

use anyhow::Context;
use tokio::net::{TcpListener, lookup_host};

/// An IP address or a name, and a port.
#[derive(Clone, Debug)]
pub(in crate::command) enum ListenAddress {
    Ip(SocketAddr),
    /// With its port, as `localhost:8080`.
    Name(String),
}

impl ListenAddress {
    /// Whether no other machine can reach it.
    ///
    /// # Errors
    /// If the name has no address.
    pub(in crate::command) async fn is_local(&self) -> anyhow::Result<bool> {
        let addresses = self.addresses().await?;
        Ok(addresses.iter().all(|address| address.ip().to_canonical().is_loopback()))
    }

    /// Listens on the first of its addresses that is available.
    ///
    /// # Errors
    /// If there is none.
    pub(in crate::command) async fn bind(&self) -> anyhow::Result<TcpListener> {
        let addresses = self.addresses().await?;
        let listener = TcpListener::bind(addresses.as_slice()).await;
        listener.with_context(|| format!("cannot listen on {self}"))
    }

    async fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        match self {
            Self::Ip(address) => Ok(vec![*address]),
            Self::Name(name) => {
                let found = lookup_host(name).await;
                Ok(found.with_context(|| format!("cannot find the address of {name}"))?.collect())
            }
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let is_in_names = |of: char| of.is_ascii_alphanumeric() || matches!(of, '.' | '-' | '_');
        match text.rsplit_once(':') {
            Some((name, port))
                if !name.is_empty()
                    && name.chars().all(is_in_names)
                    && port.parse::<u16>().is_ok() =>
            {
                Ok(Self::Name(text.to_owned()))
            }
            _ => Err("it must be an address and a port, such as 127.0.0.1:8080 or localhost:8080"),
        }
    }
}

impl Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn an_address_is_an_ip_or_a_name_and_a_port() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:8080", "db-1.example:65535"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "8080",
            ":8080",
            "here",
            "::1:80",
            "localhost:",
            "localhost:65536",
            "http://localhost:80",
            "me:hunter2@localhost:80",
            "a b:1",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_that_other_machines_can_reach_is_not_local() {
        for (text, is_local) in [
            ("127.0.0.1:0", true),
            ("127.8.9.10:0", true),
            ("[::1]:0", true),
            ("[::ffff:127.0.0.1]:0", true),
            ("localhost:0", true),
            ("0.0.0.0:0", false),
            ("[::]:0", false),
            ("192.0.2.1:0", false),
            ("[::ffff:192.0.2.1]:0", false),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.is_local().await.unwrap(), is_local, "{text}");
        }
    }
}
