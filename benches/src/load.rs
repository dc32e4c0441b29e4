//! Cheap HTTP clients that send each request as soon as the previous one is answered. The requests
//! are built in advance, and of a response only its status and length are parsed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value as Json, json};

use crate::{number, percentile, yield_to_the_service};

/// The results of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Requests a second, of all clients together.
    pub(crate) per_second: f64,
    /// In milliseconds.
    pub(crate) median: f64,
    /// In milliseconds.
    pub(crate) p99: f64,
}

/// The results of a flood.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flood {
    /// Executed requests a second.
    pub(crate) answered: f64,
    /// Requests a second that were refused with 429 or 503.
    pub(crate) refused: f64,
}

/// The bytes of a request.
pub(crate) fn request(address: &str, token: &str, query: &str, variables: &Json) -> Vec<u8> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    post(address, "/graphql", &[("authorization", format!("Bearer {token}"))], &body)
}

/// The bytes of a request with a body of JSON.
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let host = address.trim_start_matches("http://");
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        headers.collect::<String>(),
        body.len()
    )
    .into_bytes()
}

/// Sends requests by a number of clients for some time. Each client sends one request after the other,
/// taken from `requests` in turn, and has a thread, which the kernel wakes directly.
pub(crate) async fn of(
    address: &str,
    requests: Vec<Vec<u8>>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Load> {
    let requests = Arc::new(requests);
    let started = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (requests, address) = (Arc::clone(&requests), address.to_owned());
            std::thread::spawn(move || {
                let mut connection = Connection::open(&address)?;
                let mut times = Vec::new();
                let mut turn = client;
                while started.elapsed() < time {
                    let asked = Instant::now();
                    connection.request(&requests[turn % requests.len()])?;
                    times.push(asked.elapsed().as_secs_f64() * 1_000.0);
                    turn += clients;
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let joined = tokio::task::spawn_blocking(move || {
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        anyhow::Ok(times)
    });
    let mut times = joined.await??;
    let per_second = number(times.len()) / started.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok(Load { per_second, median: percentile(&times, 0.5), p99: percentile(&times, 0.99) })
}

/// Sends a request by low-priority clients for some time. Each client sends it again as soon as it is
/// answered or refused.
pub(crate) async fn flood(
    address: String,
    request: Vec<u8>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Flood> {
    let request = Arc::new(request);
    let started = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let (request, address) = (Arc::clone(&request), address.clone());
            let ask = move || {
                yield_to_the_service();
                let mut connection = Connection::open(&address)?;
                let (mut answered, mut refused) = (0, 0);
                while started.elapsed() < time {
                    match connection.send(&request)? {
                        200 => answered += 1,
                        429 | 503 => refused += 1,
                        status => bail!("a status {status}"),
                    }
                }
                Ok((answered, refused))
            };
            std::thread::Builder::new().stack_size(1 << 18).spawn(ask)
        })
        .collect();
    let joined = tokio::task::spawn_blocking(move || {
        let mut all = Flood::default();
        for thread in threads {
            let joined = thread?.join();
            let (answered, refused) =
                joined.map_err(|_| anyhow::anyhow!("a client panicked"))??;
            all.answered += number(answered);
            all.refused += number(refused);
        }
        anyhow::Ok(all)
    });
    let Flood { answered, refused } = joined.await??;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Flood { answered: answered / seconds, refused: refused / seconds })
}

/// A persistent HTTP connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address.trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 1 << 16] })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// Fails if the response has errors.
    pub(crate) fn request(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let status = self.send(request)?;
        let start = &self.buffer[..self.buffer.len().min(1_000)];
        ensure!(
            status == 200 && find(start, b"\"errors\"").is_none(),
            "{}",
            String::from_utf8_lossy(start)
        );
        Ok(())
    }

    /// Sends a request, reads the whole response, and returns its status.
    fn send(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request)?;
        let mut read = 0;
        let (status, end) = loop {
            read += self.more(read)?;
            if let Some(end) = find(&self.buffer[..read], b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?;
                let status = head.split(' ').nth(1).context("a status")?.parse()?;
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse::<usize>())
                });
                break (status, end + 4 + length.context("a length")??);
            }
        };
        while read < end {
            read += self.more(read)?;
        }
        Ok(status)
    }

    fn more(&mut self, read: usize) -> anyhow::Result<usize> {
        if read == self.buffer.len() {
            self.buffer.resize(read * 2, 0);
        }
        let more = self.stream.read(&mut self.buffer[read..])?;
        ensure!(more > 0, "the connection was closed");
        Ok(more)
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
