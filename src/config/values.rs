//! What several settings may be.

use std::{net::SocketAddr, path::Path, time::Duration};

use jeton_oauth::clock::parse_duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!("`{text}` is not a duration: write a whole number and `s`, `m`, `h` or `d`, such as `90s`")
    })
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an address and port: write it as `127.0.0.1:8080` or `[::1]:8080`")
    })
}

pub(super) fn folder(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    let what = if path.exists() { "is not a folder" } else { "does not exist" };
    Err(format!("the folder `{}` {what}", path.display()))
}
