//! The content security policies of the pages: nothing from another host, and no inline script.
//! Pages can connect to the issuer at which people sign in.

use crate::Issuer;

/// The policy of a page: its own files, the API, and style elements that have the nonce.
pub(crate) fn of_page(nonce: &str, issuer: Option<&Issuer>) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; font-src 'self'; connect-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        connections(issuer)
    )
}

/// The policy of GraphiQL. Its editor positions each line by a `style` attribute, runs workers, and
/// its style sheet has fonts inside.
pub(crate) fn of_graphiql(nonce: &str, issuer: Option<&Issuer>) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
         connect-src {}; worker-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        connections(issuer)
    )
}

fn connections(issuer: Option<&Issuer>) -> String {
    issuer.map_or("'self'".to_owned(), |Issuer { origin, .. }| format!("'self' {origin}"))
}
