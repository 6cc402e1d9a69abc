//! Small documents that are fetched by HTTP again and again: what all who fetch them have in common.

mod followed;
mod reach;

use std::{
    error::Error,
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicI64, AtomicU32, Ordering},
    time::Duration,
};

use reqwest::{
    Client, Response,
    header::{ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
    redirect,
};
use url::Url;

pub use self::{
    followed::{FailedFetch, FetchedValue, FollowTask, FollowTerms, Followed, FollowedSource, HeldDocument},
    reach::{AllowedAddress, ProxyUse, Reach},
};

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// The seconds after an attempt that failed; twice as many after each further one.
const SHORTEST_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 60;

/// Why no document came: for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// There is no connection, or it ended, or took too long.
    #[error("it cannot be fetched: {}", Chain(.0))]
    Connection(reqwest::Error),
    /// Another answer than a document; redirects are not followed.
    #[error("it is answered with status {0}")]
    Answer(u16),
    /// The answer is longer than the limit.
    #[error("the answer is longer than 1 MiB")]
    TooLong,
    /// The certificates of authorities cannot be used.
    #[error("the certificates of authorities cannot be used: {0}")]
    Authorities(&'static str),
    /// The address leads to where nothing may be fetched.
    #[error("it leads to {0}, an address of an internal network")]
    Forbidden(IpAddr),
    /// The token for the server cannot stand in a header.
    #[error("the token that is to be sent is not one")]
    Bearer,
}

/// The address may hold what no log should, and whoever asked knows it.
impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        Self::Connection(error.without_url())
    }
}

/// An error and what led to it: the first alone would not say whether it was the name, the port or TLS.
struct Chain<'a>(&'a reqwest::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How documents travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// By TLS alone, whatever happens.
    Https,
    /// Without protection; for this machine itself.
    Http,
    /// By TLS with whoever answers, whatever its certificate says; for this machine itself.
    InsecureHttps,
}

/// Fetches documents. It follows no redirects and reads 1 MiB at most.
pub struct Fetcher {
    client: Client,
    allowed: Option<AllowedAddress>,
}

/// What makes two answers the same (RFC 9110 section 8.8.3).
#[derive(Clone, Debug)]
pub struct Etag(HeaderValue);

/// What came.
#[non_exhaustive]
pub enum FetchedDocument {
    /// A document.
    New {
        /// As it is.
        body: Vec<u8>,
        /// By which it can be asked for again.
        etag: Option<Etag>,
        /// For how long it may be kept, in seconds, if that is said.
        max_age: Option<i64>,
    },
    /// The one that is known (RFC 9110 section 15.4.5).
    NotModified {
        /// For how much longer it may be kept, in seconds, if that is said.
        max_age: Option<i64>,
    },
}

impl Fetcher {
    /// The fetch of each document, as a whole, may take `timeout`.
    ///
    /// # Errors
    /// [`HttpError`] where TLS cannot be had, for want of certificate authorities.
    pub fn new(transport: Transport, timeout: Duration) -> Result<Self, HttpError> {
        Self::reaching(transport, timeout, Reach::default())
    }

    /// As [`Self::new`], and reaches servers in another way than the usual one.
    ///
    /// # Errors
    /// [`HttpError`] where TLS cannot be had by it.
    pub fn reaching(transport: Transport, timeout: Duration, reach: Reach<'_>) -> Result<Self, HttpError> {
        // a second call keeps the first provider
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder().timeout(timeout).redirect(redirect::Policy::none());
        let builder = match transport {
            Transport::Https => builder.https_only(true),
            // without TLS there is no need for certificate authorities, which a container may not have
            Transport::Http => builder.no_proxy().tls_certs_only([]),
            Transport::InsecureHttps => {
                builder.https_only(true).no_proxy().tls_certs_only([]).tls_danger_accept_invalid_certs(true)
            }
        };
        let allowed = reach.allowed;
        Ok(Self { client: reach.apply(transport, builder)?.build()?, allowed })
    }

    /// What is at `url` now, in one of the media types of `accept`, unless it is what `known` stands for.
    ///
    /// # Errors
    /// [`HttpError`] for everything but 200, and 304 where something is known.
    pub async fn get(
        &self,
        url: &str,
        accept: &'static str,
        known: Option<&Etag>,
    ) -> Result<FetchedDocument, HttpError> {
        let mut request = self.client.get(url).header(ACCEPT, accept);
        if let Some(Etag(etag)) = known {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let answer = request.send().await?;
        let max_age = max_age(answer.headers());
        match (answer.status().as_u16(), known) {
            (304, Some(_)) => Ok(FetchedDocument::NotModified { max_age }),
            (200, _) => {
                let etag = answer.headers().get(ETAG).cloned().map(Etag);
                Ok(FetchedDocument::New { body: read_body(answer).await?, etag, max_age })
            }
            (status, _) => Err(HttpError::Answer(status)),
        }
    }

    /// What is at `url` now, for whoever shows `bearer`, and the address that answered.
    ///
    /// # Errors
    /// [`HttpError`] for everything but 200.
    pub async fn get_as(
        &self,
        url: &Url,
        accept: &'static str,
        bearer: Option<&str>,
    ) -> Result<(Vec<u8>, Option<IpAddr>), HttpError> {
        // a name is judged when it is resolved
        if let (Some(is_allowed), Some(address)) = (self.allowed, reach::literal(url))
            && !is_allowed(address)
        {
            return Err(HttpError::Forbidden(address));
        }
        let mut request = self.client.get(url.clone()).header(ACCEPT, accept);
        if let Some(token) = bearer {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HttpError::Bearer)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let answer = request.send().await?;
        match answer.status().as_u16() {
            200 => {
                let peer = answer.remote_addr().map(|peer| peer.ip());
                Ok((read_body(answer).await?, peer))
            }
            status => Err(HttpError::Answer(status)),
        }
    }
}

/// For how many seconds an answer may be kept (RFC 9111 section 4.2); `None` where it does not say.
fn max_age(headers: &HeaderMap) -> Option<i64> {
    let said = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let lifetimes = said.flat_map(|value| value.split(',')).filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            "max-age" => seconds(value.trim().trim_matches('"')),
            _ => None,
        }
    });
    // how long it lay in caches on the way (RFC 9111 section 5.1)
    let age = headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?.trim())).unwrap_or(0);
    lifetimes.min().map(|lifetime| lifetime.saturating_sub(age).max(0))
}

/// A `delta-seconds` (RFC 9111 section 1.2.2); what is longer than any number is very long.
fn seconds(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}

/// Reads an answer as far as it is short enough.
async fn read_body(mut answer: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// When a document is fetched next: at its time, and later and later while that fails. All times are in seconds
/// since 1970.
///
/// One task at a time changes it; everybody may look.
pub struct FetchSchedule {
    /// When that was settled.
    since: AtomicI64,
    due_at: AtomicI64,
    /// How many attempts failed since the last that did not.
    failures: AtomicU32,
}

impl FetchSchedule {
    /// Due from `now` on.
    pub fn due(now: i64) -> Self {
        Self { since: AtomicI64::new(now), due_at: AtomicI64::new(now), failures: AtomicU32::new(0) }
    }

    /// Whether it is time.
    pub fn is_due(&self, now: i64) -> bool {
        // before it was settled: the clock was set back, and how far off the time is nobody knows
        self.due_at.load(Ordering::Relaxed) <= now || now < self.since.load(Ordering::Relaxed)
    }

    /// The seconds until it is time.
    pub fn due_in(&self, now: i64) -> i64 {
        if self.is_due(now) { 0 } else { self.due_at.load(Ordering::Relaxed).saturating_sub(now) }
    }

    /// Puts it off. Returns how many attempts had failed.
    pub fn note_success(&self, now: i64, pause: i64) -> u32 {
        self.put_off(now, pause);
        self.failures.swap(0, Ordering::Relaxed)
    }

    /// Puts it off, longer each time. Returns how many attempts had failed before this one.
    pub fn note_failure(&self, now: i64) -> u32 {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        self.put_off(now, (SHORTEST_PAUSE << failures.min(8)).min(LONGEST_PAUSE));
        failures
    }

    fn put_off(&self, now: i64, pause: i64) {
        self.since.store(now, Ordering::Relaxed);
        self.due_at.store(now.saturating_add(pause), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};

    use super::{FetchSchedule, max_age};

    #[test]
    fn rfc_9111_4_2_the_lifetime_is_what_the_header_says() {
        for (said, age, expected) in [
            (&[][..], None, None),
            (&[""], None, None),
            (&["public"], None, None),
            (&["max-age=60"], None, Some(60)),
            (&[r#"public, Max-Age = "60" , immutable"#], None, Some(60)),
            (&["s-maxage=5, max-age=60"], None, Some(60)),
            (&["max-age=60, max-age=30"], None, Some(30)),
            (&["public", "max-age=60"], None, Some(60)),
            (&["max-age=60, no-store"], None, Some(0)),
            (&["no-cache"], None, Some(0)),
            (&["max-age=0"], None, Some(0)),
            (&["max-age"], None, None),
            (&["max-age=-1"], None, None),
            (&["max-age=1.5"], None, None),
            (&["max-age=99999999999999999999"], None, Some(i64::MAX)),
            (&["max-age=60"], Some("20"), Some(40)),
            (&["max-age=60"], Some("90"), Some(0)),
            (&["max-age=60"], Some("soon"), Some(60)),
            (&["public"], Some("20"), None),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            age.map(|age| headers.insert(AGE, age.parse().unwrap()));
            assert_eq!(max_age(&headers), expected, "{said:?}, {age:?}");
        }
    }

    #[test]
    fn it_is_tried_again_later_and_later() {
        let (mut now, schedule) = (1000, FetchSchedule::due(1000));
        for (failed, pause) in [5, 10, 20, 40, 60, 60].into_iter().enumerate() {
            assert!(schedule.is_due(now), "after {failed} attempts");
            assert_eq!(schedule.note_failure(now), u32::try_from(failed).unwrap());
            assert_eq!(schedule.due_in(now), pause);
            now += pause;
        }
        for _ in 0..1000 {
            schedule.note_failure(now);
        }
        assert_eq!(schedule.due_in(now), 60);
        assert_eq!(schedule.note_success(now, 300), 1006);
        assert_eq!(schedule.note_success(now, 300), 0);
        assert_eq!(schedule.due_in(now), 300);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_waiting() {
        let schedule = FetchSchedule::due(1000);
        schedule.note_success(1000, 300);
        assert!(!schedule.is_due(1000) && !schedule.is_due(1299) && schedule.is_due(1300));
        assert!(schedule.is_due(999));
        assert_eq!(schedule.due_in(999), 0);
    }
}
