//! Clients that send HTTP requests as fast as they are answered, at as little cost as possible:
//! each writes a request that is made beforehand, and reads as many bytes as the response
//! announces.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value as Json, json};

use crate::{number, percentile, yield_to_the_service};

/// How a load was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Requests a second, of all clients together.
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) median: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
}

/// How a flood was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flood {
    /// Requests that were executed, a second.
    pub(crate) answered: f64,
    /// Requests that were refused with 429 or 503, a second.
    pub(crate) refused: f64,
}

/// A request, as its bytes.
pub(crate) fn request(address: &str, token: &str, query: &str, variables: &Json) -> Vec<u8> {
    let host = address.trim_start_matches("http://");
    let body = json!({ "query": query, "variables": variables }).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A number of clients send requests for some time, each one after the other, taken in turn. Each
/// is a thread, which the kernel wakes directly.
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
                    connection.is_answered(&requests[turn % requests.len()])?;
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

/// A number of low-priority clients send requests for some time, each again as soon as it is
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
                    match connection.ask(&request)? {
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

/// A connection that is kept.
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

    /// Sends a request, whose response has to be one without an error.
    pub(crate) fn is_answered(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let status = self.ask(request)?;
        let start = &self.buffer[..self.buffer.len().min(1_000)];
        ensure!(
            status == 200 && find(start, b"\"errors\"").is_none(),
            "{}",
            String::from_utf8_lossy(start)
        );
        Ok(())
    }

    /// Sends a request and waits for the whole response; its status.
    fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
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
