//! Webhooks of mail providers: from a request to an answer.
//!
//! 1. The token in the path gives the webhook and the scope of its organization, without a look at the rest.
//! 2. The raw body is read, within the organization's budget, and an execution permit is waited for.
//! 3. The signature is verified over the raw bytes (`judge`). A certificate of Amazon SNS that is needed for that comes
//!    from a file, a cache, or the one fetch that the rule allows (`certificates`).
//! 4. The events are recorded in one transaction, in the intake of the process.
//!
//! **Invariants.** The organization comes from the path alone. A request that is refused stores nothing but its count.
//! Whatever passes by itself is answered with 503, never with 429 or another status that ends a provider's retries.
//! Neither the log nor a metric has an address, a payload, a token or a key.

mod certificates;
mod judge;

use std::{sync::Arc, time::Instant};

use axum::{body::Body, response::Response};
use campaigns_delivery::{RecordError, WebhookOutcome, WebhookRequest};
use campaigns_operation::run_at_low_priority;
use campaigns_providers::{Provider, Refusal, Situation};
use campaigns_scope::{Error as ScopeError, Scope, Webhook};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};

use crate::{
    App,
    http::{read_body, too_large},
    listen::peer::Peer,
};
pub(crate) use certificates::Certificates;
use judge::{Configured, Judgement, NotConfigured, Received};

/// A body of this size is read on a thread of its own.
const LARGE: usize = 64 * 1024;
/// How long a provider should wait, in seconds, if it heeds that at all.
const RETRY_AFTER: u64 = 5;

/// The answer to a request.
struct Answer {
    status: u16,
    /// A text for the people who read the provider's log.
    text: String,
    challenge: Option<&'static str>,
}

impl Answer {
    fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), challenge: None }
    }

    fn unavailable() -> Self {
        Self::new(503, "The service cannot take this now. Try again later.")
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text + "\n"));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == 503 {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        if self.status == 405 {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Answers a request to the path of a webhook.
pub(crate) async fn answer(app: App, token: String, parts: Parts, body: Body) -> Response {
    let (peer, method) = (Peer::of(&parts.extensions), parts.method.clone());
    let (provider, answer) = match app.database.webhook(&token).await {
        Ok(Some(webhook)) => {
            peer.back_off(webhook.organization).await;
            let organization = webhook.organization;
            let provider = webhook.provider.parse::<Provider>().ok();
            let answer = match provider {
                // a newer version created it
                None => Answer::unavailable(),
                Some(provider) => app.answer_webhook(webhook, provider, &token, parts, body).await,
            };
            if answer.status == 503 {
                peer.record_refusal(organization, std::time::Duration::from_secs(RETRY_AFTER));
            }
            (provider, answer)
        }
        Ok(None) => (None, Answer::new(404, "There is no such webhook.")),
        Err(error) => {
            log_failure(None, &error.into());
            (None, Answer::unavailable())
        }
    };
    let outcome = match answer.status {
        200 if method != Method::POST => "probe",
        200 => "accepted",
        404 if provider.is_none() => "unknown",
        503 => "unavailable",
        _ => "refused",
    };
    let provider = provider.map_or("", Provider::name);
    if outcome == "accepted" {
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds is exact")]
        let now = app.clock.now().timestamp() as f64;
        metrics::gauge!("campaigns_webhook_accepted_at_seconds", "provider" => provider).set(now);
    }
    metrics::counter!("campaigns_webhook_requests_total", "provider" => provider, "outcome" => outcome)
        .increment(1);
    answer.into_response()
}

impl App {
    async fn answer_webhook(
        &self,
        webhook: Webhook,
        provider: Provider,
        token: &str,
        parts: Parts,
        body: Body,
    ) -> Answer {
        let status = |situation| provider.status(situation);
        match parts.method {
            Method::GET | Method::HEAD => {
                return Answer::new(status(Situation::Probe), "This is a webhook. Post to it.");
            }
            Method::POST => {}
            _ => return Answer::new(405, "Post events to this webhook."),
        }
        let scope = match self.database.enter_webhook(&webhook).await {
            Ok(scope) => scope,
            Err(error) => {
                log_failure(Some(&webhook), &error.into());
                return Answer::unavailable();
            }
        };
        if !webhook.is_enabled {
            let answer = Answer::new(status(Situation::Disabled), "This webhook is disabled.");
            return self.refuse(&scope, &webhook, "the webhook is disabled", answer).await;
        }
        let budget = scope.operation_budget();
        let (max, time) = (self.settings.max_body, self.settings.timeouts.body);
        let body = match read_body(body, max, time, &budget).await {
            Ok(body) => body,
            Err(unread) if too_large(&unread) => {
                let answer = Answer::new(status(Situation::TooLarge), "The body is too large.");
                return self.refuse(&scope, &webhook, "the body is too large", answer).await;
            }
            Err(_) => return Answer::unavailable(),
        };
        let deadline = Instant::now() + self.settings.query_timeout;
        let scope = scope.operation(deadline, Some(Arc::clone(&budget)));
        let is_large = body.len() > LARGE;
        let Ok(_permit) = scope.execution_permit(is_large, deadline).await else {
            return Answer::unavailable();
        };
        let url = self.settings.public_url.as_ref();
        let url = url.map(|url| format!("{url}/webhooks/{token}"));
        let configured = match Configured::new(provider, &webhook, &self.settings.keyring, url) {
            Ok(configured) => Arc::new(configured),
            Err(NotConfigured(why)) => {
                tracing::error!(webhook = %webhook.id, "a webhook cannot be used: {why}");
                return Answer::unavailable();
            }
        };
        // what is read of the body
        if budget.draw(2 * body.len()).is_err() {
            return Answer::unavailable();
        }
        let judgement = self.judge(&webhook, &configured, &parts.headers, body).await;
        self.act(&scope, &webhook, judgement).await
    }

    /// Verifies and reads a request, with a certificate if it needs one.
    async fn judge(
        &self,
        webhook: &Webhook,
        configured: &Arc<Configured>,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Judgement {
        let received = Received { headers: headers.clone(), body, at: self.clock.now() };
        let received = Arc::new(received);
        let judgement = self.judge_with(configured, &received, None).await;
        let Judgement::NeedsCertificate(url) = judgement else { return judgement };
        match self.certificates.get(webhook.id, &url).await {
            Some(pem) => self.judge_with(configured, &received, Some((url, pem))).await,
            None => Judgement::NeedsCertificate(url),
        }
    }

    async fn judge_with(
        &self,
        configured: &Arc<Configured>,
        received: &Arc<Received>,
        certificate: Option<(String, Arc<[u8]>)>,
    ) -> Judgement {
        let (configured, received) = (Arc::clone(configured), Arc::clone(received));
        let agents = Arc::clone(&self.settings.machine_agents);
        if received.body.len() <= LARGE {
            return configured.judge(&received, certificate.as_ref(), &agents);
        }
        let work = async move { configured.judge(&received, certificate.as_ref(), &agents) };
        run_at_low_priority(work).await
    }

    /// Does what a judgement says.
    async fn act(&self, scope: &Scope, webhook: &Webhook, judgement: Judgement) -> Answer {
        let (once, outcomes) = match judgement {
            Judgement::Taken { once, outcomes } => (once, outcomes),
            Judgement::Refused(refusal) => return self.refused(scope, webhook, &refusal).await,
            // without a certificate now, the same request can succeed later
            Judgement::NeedsCertificate(_) => return Answer::unavailable(),
            Judgement::Confirm(url) => {
                if !self.certificates.confirm(&url).await {
                    return Answer::unavailable();
                }
                tracing::info!(webhook = %webhook.id, "the subscription to a topic is confirmed");
                (None, Vec::new())
            }
        };
        let received_at = self.clock.now();
        let request = WebhookRequest { webhook: webhook.id, received_at, once, outcomes };
        match self.intake.take_webhook(scope, request).await {
            Ok(outcome) if outcome.is_token_seen => {
                let provider = webhook.provider.parse().unwrap_or(Provider::Mailgun);
                self.refused(scope, webhook, &Refusal::token_seen(provider)).await
            }
            Ok(outcome) => {
                count(outcome);
                if outcome.recorded > 0 {
                    self.feed.wake();
                    self.api.notify_changed(scope.organization());
                }
                tracing::debug!(webhook = %webhook.id, ?outcome, "a webhook's request was taken");
                Answer::new(200, "OK")
            }
            Err(error) => {
                log_failure(Some(webhook), &error);
                Answer::unavailable()
            }
        }
    }

    async fn refused(&self, scope: &Scope, webhook: &Webhook, refusal: &Refusal) -> Answer {
        let answer = Answer {
            challenge: refusal.challenge(),
            ..Answer::new(refusal.status(), format!("Refused: {}.", refusal.reason()))
        };
        self.refuse(scope, webhook, refusal.reason(), answer).await
    }

    /// Counts a refusal. If that fails, the provider should try again: the refusal itself would end its retries.
    async fn refuse(
        &self,
        scope: &Scope,
        webhook: &Webhook,
        reason: &str,
        answer: Answer,
    ) -> Answer {
        tracing::info!(webhook = %webhook.id, provider = webhook.provider, reason, "a webhook's request was refused");
        let refused = self.intake.refuse_webhook(scope, webhook.id, reason, self.clock.now());
        match refused.await {
            Ok(()) => answer,
            Err(error) => {
                log_failure(Some(webhook), &error.into());
                Answer::unavailable()
            }
        }
    }
}

/// Counts what became of events.
fn count(outcome: WebhookOutcome) {
    let WebhookOutcome { recorded, repeated, ignored, unmatched, unreadable, .. } = outcome;
    for (name, number) in [
        ("recorded", recorded),
        ("repeated", repeated),
        ("ignored", ignored),
        ("unmatched", unmatched),
        ("unreadable", unreadable),
    ] {
        metrics::counter!("campaigns_webhook_events_total", "outcome" => name)
            .increment(number as u64);
    }
}

/// Logs why a request could not be taken.
fn log_failure(webhook: Option<&Webhook>, error: &RecordError) {
    let webhook = webhook.map(|webhook| webhook.id.to_string());
    match error {
        RecordError::Scope(
            ScopeError::Database(_) | ScopeError::Refused { .. } | ScopeError::Stopped { .. },
        ) => {
            tracing::error!(webhook, %error, "a webhook's request failed");
        }
        error => tracing::warn!(webhook, %error, "a webhook's request could not be taken now"),
    }
}
