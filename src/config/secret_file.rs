//! Secrets that a setting names a file for.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use zeroize::Zeroizing;

/// Reads the `what` of a file that holds nothing else, without the newline at its end.
pub(super) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, String> {
    let file = path.display();
    let unreadable = |error| format!("the file `{file}` cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    // as for private keys: what another owns, its group may read, for that is how a mounted Secret comes
    let mode = metadata.permissions().mode();
    let by = match metadata.uid() == rustix::process::geteuid().as_raw() {
        _ if mode & 0o006 != 0 => Some("everyone"),
        true if mode & 0o060 != 0 => Some("its group"),
        _ => None,
    };
    if let Some(by) = by {
        return Err(format!("the file `{file}` is readable by {by}: run `chmod 600 {file}`"));
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
