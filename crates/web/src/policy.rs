//! The content security policies of the pages: no files from other hosts, and no inline scripts. Pages
//! can also connect to the issuer for sign-in.

use crate::Issuer;

/// The policy of a page: its own files, the API, and style elements with the nonce.
pub(crate) fn of_page(nonce: &str, issuer: Option<&Issuer>) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; font-src 'self'; connect-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        connections(issuer)
    )
}

/// The policy of GraphiQL. Its editor positions lines by `style` attributes and runs workers, and its
/// style sheet contains fonts.
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
