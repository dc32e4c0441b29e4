//! The limits of what one client, one organization and the process can use.

use std::{num::NonZeroU32, time::Duration};

use bytesize::ByteSize;
use campaigns_graphql::{Limits, Rate};
use campaigns_operation as operation;
use campaigns_scope::{ByteLimits, Options, Share};
use clap::Args;

use super::values::duration;
use crate::{Settings, Timeouts};

/// How many seconds of its rate an organization can use at once by default.
const BURST: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");

/// The bounds of `serve`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
pub(in crate::command) struct Bounds {
    /// Maximum depth of nested fields in an operation.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = operation::Limits::default().depth
    )]
    max_depth: usize,
    /// Maximum cost of an operation: its fields, multiplied by the rows that they return. Arguments
    /// of more than 4 KiB cost their bytes as well, for each object that has the field.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = operation::Limits::default().complexity
    )]
    max_complexity: usize,
    /// Maximum number of aliases in an operation.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = operation::Limits::default().aliases
    )]
    max_aliases: usize,
    /// Memory for parsed and validated operations, which are kept for the next request.
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    operation_cache: ByteSize,
    /// Maximum size of a request's body, and of a message on a socket.
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    max_body: ByteSize,
    /// Maximum memory of one operation: its input, the rows that it reads, and its response.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    max_operation_memory: ByteSize,
    /// Maximum memory of all operations, sockets and the live feed together.
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    max_memory: ByteSize,
    /// Percentage of the memory, executed operations and database connections that one organization
    /// can hold while no other organization holds any.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "50",
        value_parser = share
    )]
    organization_share: Share,
    /// Maximum number of connections to the database.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_connections: u32,
    /// Maximum number of operations that are executed at the same time; eight for each core by default.
    #[arg(long, value_name = "NUMBER")]
    max_executing: Option<usize>,
    /// Maximum number of operations of one organization that wait to be executed.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Options::new("").max_waiting
    )]
    max_waiting: usize,
    /// Maximum time that an operation waits to be executed. Once the first waiting operation of an
    /// organization has waited for half of it, further ones are refused at once.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration
    )]
    max_wait: Duration,
    /// Maximum cost of an organization's operations per second: their fields, multiplied by the
    /// rows that they request. Each response of a subscription counts, and waits if necessary.
    /// Unlimited by default.
    #[arg(long, value_name = "COST")]
    rate: Option<NonZeroU32>,
    /// Maximum cost of the operations that an organization can send at once, with --rate. Defaults
    /// to ten times the rate.
    #[arg(long, value_name = "COST", requires = "rate")]
    rate_burst: Option<NonZeroU32>,
    /// Maximum number of operations in a batch, a request that is an array of operations; 1
    /// disables batches.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Settings::default().max_batch
    )]
    max_batch: usize,
    /// Maximum number of TCP connections.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Settings::default().max_peers
    )]
    max_peers: usize,
    /// Maximum number of sockets that have not sent a valid token yet.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Settings::default().max_unknown_sockets
    )]
    max_unknown_sockets: usize,
    /// Maximum number of sockets of one organization.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Settings::default().max_sockets
    )]
    max_sockets: usize,
    /// Maximum number of simultaneous operations on one socket.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = Settings::default().max_operations
    )]
    max_operations: usize,
    /// Maximum memory of the messages that wait until the peer of a socket reads them.
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_socket_memory: ByteSize,
    /// Maximum time of an operation.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration
    )]
    query_timeout: Duration,
    /// Maximum time of a deletion, which runs in steps.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration
    )]
    delete_timeout: Duration,
    /// Maximum time for a client to send the header of a request.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration
    )]
    header_timeout: Duration,
    /// Maximum time for a client to send a body, or the rest of a message on a socket.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    body_timeout: Duration,
    /// Maximum time for a client to read the next part of a response or message. A whole response
    /// can take ten times as long.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    write_timeout: Duration,
    /// Maximum time that a connection can be idle between requests.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "75s",
        value_parser = duration
    )]
    idle_timeout: Duration,
}

impl Bounds {
    /// The options to connect to the database at this address.
    pub(in crate::command) fn options(&self, url: String) -> Options {
        let options = Options::new(url);
        Options {
            max_connections: self.max_connections,
            max_executing: self.max_executing.unwrap_or(options.max_executing),
            max_waiting: self.max_waiting,
            max_wait: self.max_wait,
            statement_timeout: Some(self.query_timeout),
            bytes: ByteLimits {
                operation: bytes(self.max_operation_memory),
                process: bytes(self.max_memory),
                share: self.organization_share,
            },
            ..options
        }
    }

    /// The settings of the service.
    pub(in crate::command) fn settings(&self) -> Settings {
        Settings {
            max_body: bytes(self.max_body),
            query_timeout: self.query_timeout,
            limits: Limits {
                operation: operation::Limits {
                    depth: self.max_depth,
                    complexity: self.max_complexity,
                    aliases: self.max_aliases,
                    kept: bytes(self.operation_cache),
                },
                deletion: self.delete_timeout,
                rate: self.rate.map(|per_second| Rate {
                    per_second,
                    burst: self.rate_burst.unwrap_or(per_second.saturating_mul(BURST)),
                }),
            },
            max_batch: self.max_batch,
            max_peers: self.max_peers,
            max_unknown_sockets: self.max_unknown_sockets,
            max_sockets: self.max_sockets,
            max_operations: self.max_operations,
            max_socket_bytes: bytes(self.max_socket_memory),
            timeouts: Timeouts {
                header: self.header_timeout,
                idle: self.idle_timeout,
                body: self.body_timeout,
                write: self.write_timeout,
            },
            ..Settings::default()
        }
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn share(text: &str) -> Result<Share, String> {
    let percent = text.trim_end_matches('%').trim();
    let share = percent.parse().ok().and_then(Share::percent);
    share.ok_or_else(|| "it must be 1 to 99 percent".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::command::arguments::Arguments;

    #[test]
    fn the_defaults_of_flags_are_those_of_the_library() {
        let arguments = Arguments::try_parse_from(["campaigns"]).unwrap();
        let bounds = arguments.serve.bounds;
        let settings = bounds.settings();
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
        let options = Options::new("sqlite::memory:");
        let timeout = Some(settings.query_timeout);
        assert_eq!(
            format!("{:?}", bounds.options("sqlite::memory:".to_owned())),
            format!("{:?}", Options { statement_timeout: timeout, ..options })
        );
    }
}
