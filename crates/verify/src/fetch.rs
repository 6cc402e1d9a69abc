//! Small documents that are fetched by HTTP again and again: what all who fetch them have in common.

mod discovery;
mod followed;
mod reach;

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    net::IpAddr,
    sync::atomic::{AtomicI64, AtomicU32, Ordering},
    time::Duration,
};

use flate2::write::GzDecoder;
use jeton_oauth::Issuer;
use reqwest::{
    Client, RequestBuilder, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
        HeaderMap, HeaderValue, IF_NONE_MATCH,
    },
    redirect,
};
use url::{Url, form_urlencoded};

pub use self::{
    discovery::{Discovery, DiscoveryError, IssuerMetadata},
    followed::{FailedFetch, FetchedValue, FollowTask, FollowTerms, Followed, FollowedSource, HeldDocument},
    reach::{AllowedAddress, ProxyUse, Reach},
};

const MIB: usize = 1024 * 1024;
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
    /// The answer is longer than so many bytes.
    #[error("the answer is longer than {} MiB", .0 / MIB)]
    TooLong(usize),
    /// The answer was packed on the way, and cannot be unpacked.
    #[error("the answer is packed in another way than it says")]
    Packed,
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

impl Transport {
    /// How the documents of an issuer travel; `None` where they would over an unprotected network.
    pub fn of(issuer: &Issuer) -> Option<Self> {
        if issuer.as_str().starts_with("https://") {
            return Some(Self::Https);
        }
        issuer.is_loopback().then_some(Self::Http)
    }
}

/// Fetches documents. It follows no redirects and reads 1 MiB at most, unless it is to read long ones.
pub struct Fetcher {
    client: Client,
    allowed: Option<AllowedAddress>,
    /// The longest answer that is read, in bytes.
    longest: usize,
    packing: Packing,
}

/// Whether documents may be packed on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
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
        /// For how long it lay in caches on the way, in seconds (RFC 9111 section 5.1).
        age: i64,
        /// What it says that it is, in small letters and without parameters.
        media_type: String,
    },
    /// The one that is known (RFC 9110 section 15.4.5).
    NotModified {
        /// For how much longer it may be kept, in seconds, if that is said.
        max_age: Option<i64>,
        /// For how long it lay in caches on the way, in seconds (RFC 9111 section 5.1).
        age: i64,
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
        let client = reach.apply(transport, builder)?.build()?;
        Ok(Self { client, allowed, longest: MIB, packing: Packing::None })
    }

    /// Reads documents of up to so many bytes, which may be packed on the way (gzip).
    #[must_use]
    pub fn reading_long(self, longest: usize) -> Self {
        Self { longest, packing: Packing::Gzip, ..self }
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
        self.get_by(self.client.get(url).header(ACCEPT, accept), known).await
    }

    /// As [`Self::get`], for whoever shows `bearer`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_known_as(
        &self,
        url: &Url,
        accept: &'static str,
        known: Option<&Etag>,
        bearer: Option<&str>,
    ) -> Result<FetchedDocument, HttpError> {
        let request = self.client.get(url.clone()).header(ACCEPT, accept);
        self.get_by(with_bearer(request, bearer)?, known).await
    }

    async fn get_by(
        &self,
        mut request: RequestBuilder,
        known: Option<&Etag>,
    ) -> Result<FetchedDocument, HttpError> {
        if let Some(Etag(etag)) = known {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if self.packing == Packing::Gzip {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        let answer = request.send().await?;
        let age = age(answer.headers());
        let max_age = max_age(answer.headers()).map(|lifetime| lifetime.saturating_sub(age).max(0));
        match (answer.status().as_u16(), known) {
            (304, Some(_)) => Ok(FetchedDocument::NotModified { max_age, age }),
            (200, _) => {
                let etag = answer.headers().get(ETAG).cloned().map(Etag);
                let media_type = media_type(answer.headers());
                let body = self.read_body(answer).await?;
                Ok(FetchedDocument::New { body, etag, max_age, age, media_type })
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
        let request = self.client.get(url.clone()).header(ACCEPT, accept);
        let answer = with_bearer(request, bearer)?.send().await?;
        match answer.status().as_u16() {
            200 => {
                let peer = answer.remote_addr().map(|peer| peer.ip());
                Ok((self.read_body(answer).await?, peer))
            }
            status => Err(HttpError::Answer(status)),
        }
    }

    /// What a client is answered that sends a form, whatever the status (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// [`HttpError`] where nothing was answered.
    pub async fn post_form(
        &self,
        url: &Url,
        (client, secret): (&str, &str),
        form: &[(&str, &str)],
    ) -> Result<(u16, Vec<u8>), HttpError> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(url.clone()).header(ACCEPT, "application/json");
        let request = request.basic_auth(encoded(client), Some(encoded(secret)));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, self.read_body(answer).await?))
    }

    /// Reads an answer as far as it is short enough, and unpacks it.
    async fn read_body(&self, mut answer: Response) -> Result<Vec<u8>, HttpError> {
        let is_packed = self.packing == Packing::Gzip
            && answer.headers().get(CONTENT_ENCODING).is_some_and(|it| it == "gzip");
        let mut body = ShortBody { bytes: Vec::new(), longest: self.longest };
        if !is_packed {
            while let Some(chunk) = answer.chunk().await? {
                body.take(&chunk)?;
            }
            return Ok(body.bytes);
        }
        let mut packed = GzDecoder::new(body);
        while let Some(chunk) = answer.chunk().await? {
            packed.write_all(&chunk).map_err(|error| self.unpacking(&error))?;
        }
        Ok(packed.finish().map_err(|error| self.unpacking(&error))?.bytes)
    }

    fn unpacking(&self, error: &io::Error) -> HttpError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => HttpError::TooLong(self.longest),
            _ => HttpError::Packed,
        }
    }
}

/// A document as far as it came.
struct ShortBody {
    bytes: Vec<u8>,
    longest: usize,
}

impl ShortBody {
    fn take(&mut self, chunk: &[u8]) -> Result<(), HttpError> {
        if self.bytes.len() + chunk.len() > self.longest {
            return Err(HttpError::TooLong(self.longest));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Write for ShortBody {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.take(chunk).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with_bearer(request: RequestBuilder, bearer: Option<&str>) -> Result<RequestBuilder, HttpError> {
    let Some(token) = bearer else { return Ok(request) };
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HttpError::Bearer)?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

/// The media type of an answer without its parameters; empty where it does not say.
fn media_type(headers: &HeaderMap) -> String {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// For how many seconds an answer may be kept since it was made (RFC 9111 section 4.2.1); `None` where it does not say.
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
    lifetimes.min()
}

/// How many seconds ago an answer was made, as caches on the way say; of several, the first counts (RFC 9111
/// section 5.1).
fn age(headers: &HeaderMap) -> i64 {
    headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?.split(',').next()?.trim())).unwrap_or(0)
}

/// A `delta-seconds` (RFC 9111 section 1.2.2); a number that is too long for an `i64` counts as the largest.
fn seconds(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
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

    use super::{FetchSchedule, age, max_age};

    #[test]
    fn rfc_9111_4_2_the_lifetime_is_what_the_header_says() {
        for (said, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["public"], None),
            (&["max-age=60"], Some(60)),
            (&[r#"public, Max-Age = "60" , immutable"#], Some(60)),
            (&["s-maxage=5, max-age=60"], Some(60)),
            (&["max-age=60, max-age=30"], Some(30)),
            (&["public", "max-age=60"], Some(60)),
            (&["max-age=60, no-store"], Some(0)),
            (&["no-cache"], Some(0)),
            (&["max-age=0"], Some(0)),
            (&["max-age"], None),
            (&["max-age=-1"], None),
            (&["max-age=1.5"], None),
            (&["max-age=99999999999999999999"], Some(i64::MAX)),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            assert_eq!(max_age(&headers), expected, "{said:?}");
        }
    }

    #[test]
    fn rfc_9111_5_1_the_age_is_what_the_header_says() {
        for (said, expected) in [
            ("20", 20),
            (" 20 ", 20),
            ("20, 30", 20),
            ("20, x", 20),
            ("soon", 0),
            ("-1", 0),
            ("1.5", 0),
            ("", 0),
        ] {
            let headers = HeaderMap::from_iter([(AGE, said.parse().unwrap())]);
            assert_eq!(age(&headers), expected, "{said:?}");
        }
        assert_eq!(age(&HeaderMap::new()), 0);
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
