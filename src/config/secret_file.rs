//! Secrets that a setting names a file for.

use std::{fs, path::Path};

use zeroize::Zeroizing;

use crate::private_file::{self, Readers};

/// Reads the `what` of a file that holds nothing else, without the newline at its end. What is not as it should be,
/// and cannot be changed, comes to the warnings.
pub(super) fn read(path: &Path, what: &str, warnings: &mut Vec<String>) -> Result<Zeroizing<String>, String> {
    let file = path.display();
    let unreadable = |error| format!("the file `{file}` cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    // as for private keys
    match private_file::readers(path, &metadata) {
        Ok(Readers::AsMeant) => {}
        Ok(Readers::Group) => warnings
            .push(format!("the file `{file}` is readable by its group too, and this mount is read-only")),
        Err(exposed) => return Err(format!("the file `{file}` is {}", exposed.of(path))),
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let secret = without_newline(&text);
    if secret.is_empty() {
        return Err(format!("the file `{file}` is empty: write the {what} into it"));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// The text without one newline at its end: editors and `echo` write one.
pub(super) fn without_newline(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}
