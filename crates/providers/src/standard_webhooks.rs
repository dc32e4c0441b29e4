//! Signatures of the Standard Webhooks specification 1.0.0, which Svix's customers send
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use chrono::TimeDelta;

use crate::{
    bounds::MAX_MESSAGE_ID,
    verify::{Attempt, Signed, Stop, base64, no_credentials, refused},
};

/// The tolerance that the specification recommends.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The number of signatures in a header that are read. During a rotation there are two.
const MAX_SIGNATURES: usize = 10;

/// Checks the signature. The ID of the delivery is the same in each retry.
pub(crate) fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    let header = |name| {
        let (svix, webhook) = (format!("svix-{name}"), format!("webhook-{name}"));
        attempt.header(&svix).or_else(|| attempt.header(&webhook))
    };
    let (Some(id), Some(timestamp), Some(signatures)) =
        (header("id"), header("timestamp"), header("signature"))
    else {
        return Err(no_credentials("a header of the signature is missing"));
    };
    if id.is_empty() || id.len() > MAX_MESSAGE_ID || id.contains('.') {
        return Err(refused("the ID of the delivery is malformed"));
    }
    attempt.unix_time(timestamp, TOLERANCE)?;
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", attempt.request.body]
        .map(|part| part as &[u8]);
    let mut holds = false;
    for signature in signatures.split(' ').take(MAX_SIGNATURES) {
        // a version is bound to its algorithm; unknown ones are skipped
        let (is_public, signature) = match signature.split_once(',') {
            Some(("v1", signature)) => (false, signature),
            Some(("v1a", signature)) => (true, signature),
            _ => continue,
        };
        let Ok(signature) = base64(signature) else { continue };
        for key in attempt.webhook.keys().iter().filter(|key| key.is_public() == is_public) {
            holds |= key.signed(&parts, &signature);
        }
    }
    if !holds {
        return Err(refused("no key of this webhook made the signature"));
    }
    Ok(Signed { delivery: id.to_owned(), ..attempt.body() })
}
