//! `Retry-After`: when a destination wants to be asked again (RFC 9110, 10.2.3).

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;
use std::time::{Duration, SystemTime};

/// No answer makes an output wait longer: a wrong clock at the other end, or a date of next year, must not
/// end delivery. As long as the longest rate limit of the hosted stores.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// A shorter wait is none: a destination that says 0 is still busy.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// The wait that an answer asks for, in seconds or by a date; `None` if it says nothing that can be read.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(asked.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use std::time::UNIX_EPOCH;

    #[test]
    fn seconds_and_dates_within_reason() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("7", Some(7)),
            (" 30 ", Some(30)),
            ("0", Some(1)),
            ("99999999999999999999999", Some(600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(1)),
            ("Tue, 06 Nov 1984 08:49:37 GMT", Some(1)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(read(&headers, now), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(read(&HeaderMap::new(), now), None);
    }
}
