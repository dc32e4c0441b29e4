//! What a user sees, over HTTP and on both databases.

#![expect(clippy::disallowed_methods, reason = "a test looks past the door, too")]

mod http_protocol;
