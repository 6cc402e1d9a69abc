//! The files that a fetch needs, read anew for each: platforms replace them while the server runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, JwsError};
use jeton_oauth::text::{printable, unmarked};
use jeton_policy::files::{self, FileError};
use zeroize::Zeroizing;

/// The longest file of authorities, in bytes.
const LONGEST_AUTHORITIES: u64 = 1024 * 1024;
/// The longest token file, in bytes: a token and a line break.
const LONGEST_TOKEN: u64 = CompactJws::LONGEST as u64 + 2;

/// A file that cannot be used for a fetch: for the log and for operators.
#[derive(Debug, thiserror::Error)]
#[error("`{field}: {}` {reason}", printable(&.path.to_string_lossy()))]
pub(super) struct BadFile {
    /// What names it in the policies.
    field: &'static str,
    path: PathBuf,
    #[source]
    reason: Unusable,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("is in none of the folders of the setting `federation.token_dirs`")]
    OutsideTokenDirs,
    #[error("holds no JWT: {0}")]
    NotAToken(#[from] JwsError),
    #[error("holds no JWT: it is not text")]
    NotText,
}

/// Reads the authorities that sign the certificate of the server.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<u8>, BadFile> {
    files::read(path, LONGEST_AUTHORITIES).map_err(|error| BadFile {
        field: "ca_file",
        path: path.to_owned(),
        reason: error.into(),
    })
}

/// Reads the token that the server asks for. An edit of the policies can name any path: the file must be where the
/// settings let tokens be, wherever links lead, and hold one JWT and nothing else.
pub(super) fn read_token(path: &Path, token_dirs: &[PathBuf]) -> Result<Zeroizing<String>, BadFile> {
    token_of(path, token_dirs).map_err(|reason| BadFile {
        field: "token_file",
        path: path.to_owned(),
        reason,
    })
}

fn token_of(path: &Path, token_dirs: &[PathBuf]) -> Result<Zeroizing<String>, Unusable> {
    let real = fs::canonicalize(path).map_err(FileError::Io)?;
    let is_within = |dir: &PathBuf| fs::canonicalize(dir).is_ok_and(|dir| real.starts_with(dir));
    if !token_dirs.iter().any(is_within) {
        return Err(Unusable::OutsideTokenDirs);
    }
    let bytes = Zeroizing::new(files::read(&real, LONGEST_TOKEN)?);
    let text = std::str::from_utf8(unmarked(&bytes)).map_err(|_| Unusable::NotText)?;
    let token = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text);
    let parts = CompactJws::parse(token)?;
    parts.raw_header().and_then(|_| parts.payload())?;
    BASE64_URL_SAFE_NO_PAD.decode(parts.signature).map_err(|_| JwsError::NotBase64Url)?;
    Ok(Zeroizing::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// `{}` three times: what it says does not matter.
    const TOKEN: &str = "e30.e30.e30";

    struct Folders {
        dir: TempDir,
    }

    impl Folders {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            for name in ["tokens", "tokens/deep", "elsewhere", "tokens-too"] {
                fs::create_dir(dir.path().join(name)).unwrap();
            }
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn read(&self, name: &str) -> Result<Zeroizing<String>, BadFile> {
            read_token(&self.path(name), &[self.path("tokens")])
        }

        #[track_caller]
        fn check(&self, name: &str, expected: Result<&str, &str>) {
            match (self.read(name), expected) {
                (Ok(token), Ok(expected)) => assert_eq!(*token, expected, "{name}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
                (read, _) => panic!("{name}: {:?}", read.map(|token| token.len())),
            }
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = Folders::new().path("ca.pem");
        let error = read_authorities(&missing).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`ca_file: {}` cannot be read: ", missing.display())), "{error}");
    }

    #[test]
    fn only_a_token_of_the_folders_is_read() {
        let folders = Folders::new();
        for (name, text) in [
            ("tokens/plain", TOKEN.to_owned()),
            ("tokens/line", format!("{TOKEN}\n")),
            ("tokens/crlf", format!("{TOKEN}\r\n")),
            ("tokens/deep/token", TOKEN.to_owned()),
            ("tokens/two", format!("{TOKEN}\n{TOKEN}\n")),
            ("tokens/spaced", format!(" {TOKEN}")),
            ("tokens/secret", "hunter2".to_owned()),
            ("tokens/dots", "a.b.c".to_owned()),
            ("tokens/behind", format!("{TOKEN} more")),
            ("tokens/empty", String::new()),
            ("tokens/long", format!("e30.{}.e30", "A".repeat(9000))),
            ("elsewhere/token", TOKEN.to_owned()),
            ("tokens-too/token", TOKEN.to_owned()),
        ] {
            fs::write(folders.path(name), text).unwrap();
        }
        symlink(folders.path("elsewhere/token"), folders.path("tokens/out")).unwrap();
        symlink(folders.path("tokens/deep"), folders.path("tokens/..data")).unwrap();
        symlink("..data/token", folders.path("tokens/mounted")).unwrap();
        symlink(folders.path("tokens/plain"), folders.path("elsewhere/in")).unwrap();
        symlink(folders.path("tokens/nothing"), folders.path("tokens/dangling")).unwrap();
        for name in ["plain", "line", "crlf", "deep/token", "mounted"] {
            folders.check(&format!("tokens/{name}"), Ok(TOKEN));
        }
        folders.check("elsewhere/in", Ok(TOKEN));
        folders.check("tokens/../tokens/plain", Ok(TOKEN));
        for name in ["elsewhere/token", "tokens/out", "tokens-too/token", "tokens/../elsewhere/token"] {
            folders.check(name, Err("federation.token_dirs"));
        }
        for name in ["two", "spaced", "secret", "dots", "behind", "empty"] {
            folders.check(&format!("tokens/{name}"), Err("holds no JWT"));
        }
        folders.check("tokens/long", Err("holds more than"));
        folders.check("tokens/nothing", Err("cannot be read"));
        folders.check("tokens/dangling", Err("cannot be read"));
        folders.check("tokens/deep", Err("is a folder"));
        let error = read_token(&folders.path("tokens/plain"), &[]).unwrap_err().to_string();
        let named =
            format!("`token_file: {}` is in none of the folders", folders.path("tokens/plain").display());
        assert!(error.starts_with(&named), "{error}");
        let linked = folders.path("linked");
        symlink(folders.path("tokens"), &linked).unwrap();
        assert!(read_token(&folders.path("tokens/plain"), &[linked]).is_ok(), "a folder may be a link");
    }
}
