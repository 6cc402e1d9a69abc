//! `GET /`: where everything is, for whoever opens the address.

use std::fmt::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web::Data,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jeton_oauth::Issuer;
use ring::digest;
use serde::Serialize;

use super::discovery::PublishedMetadata;

/// What is told, in this order.
#[derive(Serialize)]
struct Directory<'d> {
    name: &'static str,
    version: &'static str,
    issuer: &'d Issuer,
    token_endpoint: String,
    introspection_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<&'d str>,
    jwks_uri: String,
    metadata: String,
    health: String,
    ready: String,
}

/// In which form it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DirectoryForm {
    Json,
    Html,
}

impl<'d> Directory<'d> {
    fn of(issuer: &'d Issuer, published: &'d PublishedMetadata) -> Self {
        let origin = issuer.as_str().strip_suffix(issuer.path()).unwrap_or(issuer.as_str());
        Self {
            name: "jeton",
            version: env!("CARGO_PKG_VERSION"),
            issuer,
            token_endpoint: issuer.endpoint("/oauth2/token"),
            introspection_endpoint: issuer.endpoint("/oauth2/introspect"),
            revocation_endpoint: published.revocation_endpoint(),
            jwks_uri: issuer.endpoint("/.well-known/jwks.json"),
            metadata: format!("{origin}{}", issuer.well_known_path("oauth-authorization-server")),
            health: format!("{origin}/healthz"),
            ready: format!("{origin}/readyz"),
        }
    }

    /// Without a script, and with nothing from elsewhere.
    fn page(&self) -> String {
        let Self { name, version, issuer, .. } = self;
        let mut rows = String::new();
        for (what, method, url) in [
            ("Tokens", "POST", Some(self.token_endpoint.as_str())),
            ("Introspection", "POST", Some(&self.introspection_endpoint)),
            ("Revocation", "POST", self.revocation_endpoint),
            ("Public keys", "GET", Some(&self.jwks_uri)),
            ("Metadata", "GET", Some(&self.metadata)),
            ("Alive", "GET", Some(&self.health)),
            ("Ready", "GET", Some(&self.ready)),
        ] {
            let Some(url) = url.map(escaped) else { continue };
            let place = if method == "GET" { format!("<a href=\"{url}\">{url}</a>") } else { url };
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{what}</th><td>{method}</td><td><code>{place}</code></td></tr>"
            );
        }
        let issuer = escaped(issuer.as_str());
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name} at {issuer}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{name} <small>{version}</small></h1>\n\
             <p>A token service for machines. It issues signed tokens that carry permissions.</p>\n\
             <p>Issuer: <code>{issuer}</code></p>\n<table>\n{rows}</table>\n</main>\n</body>\n</html>\n"
        )
    }
}

/// The look of the page: of the reader's own fonts and colours, on a phone too.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:48rem;padding:2rem 1rem}\
h1{margin:0 0 1rem}small{font-weight:400;opacity:.6}code{overflow-wrap:anywhere}\
table{border-collapse:collapse;margin-top:1.5rem}\
th,td{border-top:1px solid #8886;padding:.4rem 1rem .4rem 0;text-align:left;vertical-align:top}\
@media(max-width:36rem){th,td{border:0;display:block;padding:0}th{border-top:1px solid #8886;margin-top:.6rem;padding-top:.6rem}}";

pub(in crate::http) async fn get(
    request: HttpRequest,
    issuer: Data<Issuer>,
    metadata: Data<PublishedMetadata>,
) -> HttpResponse {
    let directory = Directory::of(&issuer, &metadata);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::VARY, "Accept"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    match DirectoryForm::wanted(request.headers()) {
        DirectoryForm::Json => response.json(directory),
        DirectoryForm::Html => response
            .insert_header((header::CONTENT_SECURITY_POLICY, content_security_policy()))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .content_type("text/html; charset=utf-8")
            .body(directory.page()),
    }
}

/// Nothing but our own style, which its hash names.
fn content_security_policy() -> String {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl DirectoryForm {
    /// A page for who would rather have one (RFC 9110 section 12.5.1), such as a browser; JSON for everybody else.
    fn wanted(headers: &HeaderMap) -> Self {
        let ranges: Vec<_> = headers
            .get_all(header::ACCEPT)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(MediaRange::parse)
            .collect();
        let quality = |kind, subtype| {
            let matching = ranges.iter().filter_map(|range| Some((range.specificity(kind, subtype)?, range)));
            matching.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, range)| range.quality)
        };
        if quality("text", "html") > quality("application", "json") { Self::Html } else { Self::Json }
    }
}

/// What somebody accepts, and how gladly.
struct MediaRange {
    kind: String,
    subtype: String,
    /// In thousandths.
    quality: u16,
}

impl MediaRange {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = quality.map_or(Some(1000), |(_, value)| quality_of(value))?;
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), quality })
    }

    /// How closely this names a type; `None` for another type.
    fn specificity(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind.as_str(), self.subtype.as_str()) {
            (own, own_subtype) if own == kind && own_subtype == subtype => Some(2),
            (own, "*") if own == kind => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    }
}

/// A weight (RFC 9110 section 12.4.2) in thousandths.
fn quality_of(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}
