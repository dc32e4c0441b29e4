//! Webhooks of providers, from the bytes of a request to its reports.

mod answers;
mod bounds;
mod damage;
mod expected;
mod keys;
mod machines;
mod meanings;
mod repeats;
mod senders;
mod signatures;
