//! The page of the console: the files of `assets/`, from the binary.

use std::io::Write;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header,
    web::{Bytes, Data, Path},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use ring::digest;

use crate::http::{EndpointProblem, ProblemKind, has_current, takes_gzip};

/// The files below `assets/`, each with what it holds.
macro_rules! files {
    ($($path:literal,)*) => { &[$(($path, include_bytes!(concat!("assets/", $path)))),*] };
}

/// Every file. A test holds that none of the folder is missing.
const FILES: &[(&str, &[u8])] = files![
    "api.js",
    "dom.js",
    "explanation.js",
    "grid.js",
    "icon.svg",
    "index.html",
    "main.js",
    "parts.js",
    "style.css",
    "views/clients.js",
    "views/diff.js",
    "views/explain.js",
    "views/keys.js",
    "views/live.js",
    "views/matrix.js",
    "views/overview.js",
    "views/routes.js",
    "views/token.js",
    "views/try.js",
];

/// The file that answers for the folder.
const INDEX: &str = "index.html";

/// What a file holds, if there is one by this path below `assets/`.
pub(crate) fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, content)| *content)
}

/// The files as they are sent.
pub(super) struct Assets(Vec<Asset>);

/// A file as it is sent.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: Bytes,
    /// The same, compressed (RFC 1952).
    gzipped: Bytes,
    /// Weak, for it stands for both (RFC 9110 section 8.8.3).
    etag: String,
}

impl Assets {
    /// Compresses each file once.
    pub(super) fn compressed() -> Self {
        Self(FILES.iter().map(|(path, content)| Asset::of(path, content)).collect())
    }

    fn find(&self, path: &str) -> Option<&Asset> {
        let path = if path.is_empty() { INDEX } else { path };
        self.0.iter().find(|asset| asset.path == path)
    }
}

impl Asset {
    fn of(path: &'static str, content: &'static [u8]) -> Self {
        let content = as_sent(path, content);
        let hash = digest::digest(&digest::SHA256, &content);
        Self {
            path,
            content_type: content_type(path),
            gzipped: gzip(&content).into(),
            content: content.into(),
            etag: format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash)),
        }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let has_current = has_current(request, &self.etag);
        let mut response = if has_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "Accept-Encoding"))
            .insert_header((header::ETAG, self.etag.as_str()));
        if has_current {
            return response.finish();
        }
        response.content_type(self.content_type);
        if takes_gzip(request) {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            return response.body(self.gzipped.clone());
        }
        response.body(self.content.clone())
    }
}

/// A script or style sheet without comments and indents, which a browser has no use for. Each line keeps its number, so
/// that an error in the browser names the line of the file.
fn as_sent(path: &str, content: &[u8]) -> Vec<u8> {
    let has_comments = matches!(ending(path), "js" | "css");
    let (Ok(text), true) = (std::str::from_utf8(content), has_comments) else {
        return content.to_vec();
    };
    let mut sent = String::with_capacity(text.len());
    let mut is_within_comment = false;
    for line in text.lines().map(str::trim) {
        is_within_comment |= line.starts_with("/*");
        if !is_within_comment && !line.starts_with("//") {
            sent.push_str(line);
        }
        is_within_comment &= !line.ends_with("*/");
        sent.push('\n');
    }
    sent.into_bytes()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // memory takes whatever is written
    let _ = gzip.write_all(content);
    gzip.finish().unwrap_or_default()
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// By the end of the name.
fn content_type(path: &str) -> &'static str {
    match ending(path) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

pub(super) async fn get(request: HttpRequest, path: Path<String>, assets: Data<Assets>) -> HttpResponse {
    match assets.find(&path) {
        Some(asset) => asset.answer(&request),
        None => EndpointProblem::new(ProblemKind::NotFound, &request).error_response(),
    }
}

/// To the page, whose files are named relative to its address.
pub(super) async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "console/")).finish()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/assets")
    }

    fn collect(dir: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else {
                into.insert(path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let mut of_folder = BTreeSet::new();
        collect(&folder(), &mut of_folder);
        let served: BTreeSet<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(of_folder, served, "name each file in `FILES`");
    }

    #[test]
    fn every_file_has_a_content_type() {
        for (path, _) in FILES {
            assert_ne!(content_type(path), "application/octet-stream", "{path}");
        }
    }

    #[test]
    fn the_page_is_small() {
        let (mut whole, mut gzipped) = (0, 0);
        for Asset { content, gzipped: compressed, .. } in Assets::compressed().0 {
            whole += content.len();
            gzipped += compressed.len();
        }
        assert!(whole <= 150 * 1024, "{whole} bytes");
        assert!(gzipped <= 50 * 1024, "{gzipped} bytes with gzip");
    }

    #[test]
    fn a_script_is_sent_without_comments_and_indents() {
        let script = "// why\nfunction a() {\n  // why not\n  return \"// a text\"; // the end\n}\n";
        assert_eq!(
            as_sent("a.js", script.as_bytes()),
            b"\nfunction a() {\n\nreturn \"// a text\"; // the end\n}\n"
        );
        let style = "/* one */\na { b: c; }\n/* two\n   d { } */\n  e { f: g; } /* three */\n";
        assert_eq!(as_sent("a.css", style.as_bytes()), b"\na { b: c; }\n\n\ne { f: g; } /* three */\n");
        assert_eq!(as_sent("a.html", b"  // x\n"), b"  // x\n");
    }

    /// Within such a text, a comment or an indent would be none.
    #[test]
    fn no_text_of_a_script_goes_over_lines() {
        for (path, content) in FILES.iter().filter(|(path, _)| ending(path) == "js") {
            for (at, line) in std::str::from_utf8(content).unwrap().lines().enumerate() {
                let ticks = line.replace("\"`\"", "").replace("\\`", "").matches('`').count();
                assert_eq!(ticks % 2, 0, "{path}:{}: {line}", at + 1);
            }
        }
    }
}
