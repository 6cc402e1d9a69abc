//! What several settings may be.

use std::{path::Path, time::Duration};

use jeton_oauth::clock::parse_duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!("`{text}` is not a duration: write a whole number and `s`, `m`, `h` or `d`, such as `90s`")
    })
}

pub(super) fn folder(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    let what = if path.exists() { "is not a folder" } else { "does not exist" };
    Err(format!("the folder `{}` {what}", path.display()))
}
