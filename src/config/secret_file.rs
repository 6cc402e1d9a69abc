//! Secrets that a setting names a file for.

use std::path::Path;

use jeton_oauth::text::unmarked;
use jeton_policy::files::{FileError, OpenFile};
use zeroize::Zeroizing;

use crate::private_file::{self, Readers};

/// The longest of them, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads the `what` of a file that holds nothing else, without the newline at its end. What is not as it should be,
/// and cannot be changed, comes to the warnings.
pub(super) fn read(path: &Path, what: &str, warnings: &mut Vec<String>) -> Result<Zeroizing<String>, String> {
    let file = path.display();
    let refused = |error: FileError| match error {
        error @ FileError::TooLong(_) => {
            format!("the file `{file}` {error}: write the {what} into it, and nothing else")
        }
        error => format!("the file `{file}` {error}"),
    };
    let opened = OpenFile::open(path, LONGEST).map_err(refused)?;
    // as for private keys
    match private_file::readers(path, opened.metadata()) {
        Ok(Readers::AsMeant) => {}
        Ok(Readers::Group) => warnings
            .push(format!("the file `{file}` is readable by its group too, and this mount is read-only")),
        Err(exposed) => return Err(format!("the file `{file}` is {}", exposed.of(&file))),
    }
    let bytes = Zeroizing::new(opened.read().map_err(refused)?);
    let text = str::from_utf8(unmarked(&bytes));
    let secret = without_newline(text.map_err(|_| format!("the file `{file}` is not text in UTF-8"))?);
    if secret.is_empty() {
        return Err(format!("the file `{file}` is empty: write the {what} into it"));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// The text without one newline at its end: editors and `echo` write one.
pub(super) fn without_newline(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}
