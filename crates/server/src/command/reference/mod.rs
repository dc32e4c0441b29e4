//! `campaigns reference`: the tables of `docs/` that are made from the program, in Markdown. `just docs`
//! writes them into the pages.

mod flags;
mod markdown;

use campaigns_graphql::Code;

use super::{
    arguments::{Reference, Table},
    output,
};
use markdown::table;

use crate::{http::status::status, metrics, socket::CloseCode};

pub(super) fn run(arguments: &Reference) -> anyhow::Result<()> {
    Ok(output::text(match arguments.table {
        Table::Flags => flags::tables(),
        Table::Errors => errors(),
        Table::CloseCodes => close_codes(),
        Table::Metrics => metrics(),
    })?)
}

fn errors() -> String {
    let rows = Code::ALL.map(|code| {
        let [once, again] = [false, true].map(|is_retryable| status(code, is_retryable).as_u16());
        let status = if once == again {
            once.to_string()
        } else {
            format!("{once}, or {again} if retryable")
        };
        [format!("`{}`", code.as_str()), status, code.meaning().to_owned()]
    });
    table(["code", "HTTP status", "meaning"], rows)
}

fn close_codes() -> String {
    let rows = CloseCode::ALL.iter().map(|(code, meaning, client)| {
        [code.number().to_string(), meaning.trim().to_owned(), (*client).to_owned()]
    });
    table(["code", "reason", "what a client does"], rows)
}

fn metrics() -> String {
    let mut metrics: Vec<_> = metrics::described().collect();
    metrics.sort_unstable_by_key(|metric| metric.name);
    let rows = metrics.into_iter().map(|metric| {
        [format!("`{}`", metric.name), metric.kind.to_owned(), metric.meaning.to_owned()]
    });
    table(["metric", "type", "meaning"], rows)
}
