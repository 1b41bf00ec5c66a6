//! From a path to its page.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::health::{Health, HealthOptions};
use crate::metrics::{EDITION, FLUENT_BIT_VERSION, Registry};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// What the pages are made from.
#[derive(Debug)]
pub(super) struct Pages {
    registry: Arc<Registry>,
    health: Mutex<Health>,
}

impl Pages {
    pub(super) fn new(registry: Arc<Registry>, health: HealthOptions) -> Self {
        Self { registry, health: Mutex::new(Health::new(health)) }
    }

    /// Takes this second's failures into the health.
    pub(super) fn sample(&self) {
        self.health().sample(self.registry.failures());
    }

    /// The page at `path`, whatever the method and the query.
    pub(super) fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let now = SystemTime::now();
        let health = self.health();
        let (status, kind, body) = match path {
            "/" => (StatusCode::OK, Some(JSON), root()),
            "/api/v1/uptime" => {
                let seconds = self.registry.uptime(now).as_secs();
                (StatusCode::OK, Some(JSON), uptime(seconds))
            }
            "/api/v1/metrics" => (StatusCode::OK, Some(JSON), self.registry.json().to_string()),
            // Fluent Bit's chart scrapes the second; what is on both there is on this one.
            "/api/v1/metrics/prometheus" | "/api/v2/metrics/prometheus" => {
                (StatusCode::OK, Some(PROMETHEUS), self.registry.prometheus(now))
            }
            "/api/v1/health" if health.options.check => (verdict(&health), None, brief(&health)),
            "/api/v2/health" => (verdict(&health), Some(JSON), detailed(&health)),
            _ => (StatusCode::NOT_FOUND, None, String::new()),
        };
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = status;
        if let Some(kind) = kind {
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        answer
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/`: charts probe it, and tools read the version they know how to talk to.
fn root() -> String {
    json!({
        "fluent-bit": { "version": FLUENT_BIT_VERSION, "edition": EDITION, "flags": [] },
        "tailwater": { "version": env!("CARGO_PKG_VERSION") },
    })
    .to_string()
}

/// `/api/v1/uptime`: the seconds, and the sentence that Fluent Bit makes of them.
fn uptime(seconds: u64) -> String {
    let units = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let [days, hours, minutes, rest] =
        units.map(|(count, unit)| format!("{count} {unit}{}", if count > 1 { "s" } else { "" }));
    let sentence = format!("Fluent Bit has been running:  {days}, {hours}, {minutes} and {rest}");
    json!({ "uptime_sec": seconds, "uptime_hr": sentence }).to_string()
}

fn verdict(health: &Health) -> StatusCode {
    if health.is_good() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// `/api/v1/health`, which is there with `Health_Check On` only: one word.
fn brief(health: &Health) -> String {
    if health.is_good() { "ok\n" } else { "error\n" }.to_owned()
}

/// `/api/v2/health`, which is always there: the word and its reasons.
fn detailed(health: &Health) -> String {
    let (errors, retries_failed) = health.failures();
    json!({
        "status": brief(health).trim_end(),
        "errors": errors,
        "retries_failed": retries_failed,
        "error_limit": health.options.errors,
        "retry_failure_limit": health.options.retries_failed,
        "period_limit": health.options.period,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http_body_util::BodyExt as _;

    use super::*;

    /// Status, content type and body in one line.
    async fn check(pages: &Pages, path: &str, expected: &str) {
        let answer = pages.answer(path);
        let kind = answer.headers().get(CONTENT_TYPE).map_or("-", |kind| kind.to_str().unwrap());
        let head = format!("{} {kind} ", answer.status().as_u16());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = head + std::str::from_utf8(&body).unwrap();
        assert!(text.starts_with(expected), "{path}: {text}");
    }

    #[tokio::test]
    async fn pages_are_at_their_paths() {
        let mut registry = Registry::new(SystemTime::now());
        let es = registry.output("es.0", "es");
        let registry = Arc::new(registry);
        let pages = Pages::new(
            Arc::clone(&registry),
            HealthOptions { check: true, ..HealthOptions::default() },
        );
        check(&pages, "/", r#"200 application/json {"fluent-bit":{"#).await;
        check(&pages, "/api/v1/uptime", "200 application/json {").await;
        check(&pages, "/api/v1/metrics", r#"200 application/json {"filter":{},"#).await;
        check(
            &pages,
            "/api/v1/metrics/prometheus",
            "200 text/plain; version=0.0.4 # HELP fluentbit_",
        )
        .await;
        check(&pages, "/api/v2/metrics/prometheus", "200 text/plain; version=0.0.4 # HELP").await;
        for path in ["", "/api", "/api/v1/metrics/", "/api/v1/nothing", "//"] {
            check(&pages, path, "404 - ").await;
        }
        check(&pages, "/api/v1/health", "200 - ok\n").await;
        pages.sample();
        es.errors.add(6);
        pages.sample();
        check(&pages, "/api/v1/health", "500 - error\n").await;
        check(&pages, "/api/v2/health", "500 application/json {\"error_limit\":5,\"errors\":6,")
            .await;
        let without = Pages::new(registry, HealthOptions::default());
        check(&without, "/api/v1/health", "404 - ").await;
        check(&without, "/api/v2/health", "200 application/json {").await;
    }

    #[test]
    fn uptime_is_told_as_fluent_bit_tells_it() {
        for (seconds, expected) in [
            (0, "0 day, 0 hour, 0 minute and 0 second"),
            (90_061, "1 day, 1 hour, 1 minute and 1 second"),
            (180_122, "2 days, 2 hours, 2 minutes and 2 seconds"),
        ] {
            let sentence = format!("Fluent Bit has been running:  {expected}");
            let page: serde_json::Value = serde_json::from_str(&uptime(seconds)).unwrap();
            assert_eq!(page, json!({ "uptime_sec": seconds, "uptime_hr": sentence }));
        }
    }

    #[tokio::test]
    async fn a_clock_set_back_shows_no_uptime() {
        let ahead = SystemTime::now() + std::time::Duration::from_hours(1);
        let pages = Pages::new(Arc::new(Registry::new(ahead)), HealthOptions::default());
        check(&pages, "/api/v1/uptime", "200").await;
        assert_eq!(Registry::new(ahead).uptime(UNIX_EPOCH).as_secs(), 0);
    }
}
