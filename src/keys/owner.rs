//! Whose the files in a key folder are: an order that somebody else gives must leave them readable for the server.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::{KeyError, keyring_file::KEYRING};

/// The user root, by number as all users here.
const ROOT: u32 = 0;

/// To whom new files of this folder are to be given, where that is not who we are.
///
/// # Errors
/// [`KeyError::NotOwner`] where only another user can write what its server can read.
pub(super) fn of_new_files(dir: &Path) -> Result<Option<u32>, KeyError> {
    let uid = |path: &Path| fs::metadata(path).map_or(ROOT, |metadata| metadata.uid());
    let own = rustix::process::geteuid().as_raw();
    let owner = owner(uid(&dir.join(KEYRING)), uid(dir));
    give_to(owner, own).map_err(|owner| KeyError::NotOwner { dir: dir.to_owned(), owner, own })
}

/// Who reads the keys: whose the ring is, for that is who wrote it, or else the folder; `None` where both are
/// root's, as in a volume that a group may write.
fn owner(of_ring: u32, of_dir: u32) -> Option<u32> {
    [of_ring, of_dir].into_iter().find(|uid| *uid != ROOT)
}

/// To whom `own` gives what it writes for `owner`, or the owner that it cannot write for: nobody but root may
/// give files away.
fn give_to(owner: Option<u32>, own: u32) -> Result<Option<u32>, u32> {
    match owner {
        Some(owner) if own == ROOT => Ok(Some(owner)),
        Some(owner) if owner != own => Err(owner),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_given_to_who_reads_them() {
        const SERVER: u32 = 1000;
        const OTHER: u32 = 1001;
        for (name, of_ring, of_dir, own, outcome) in [
            ("the server itself", SERVER, SERVER, SERVER, Ok(None)),
            ("root for the server", SERVER, SERVER, ROOT, Ok(Some(SERVER))),
            ("root, of a folder without a ring", ROOT, SERVER, ROOT, Ok(Some(SERVER))),
            ("root, where root wrote the ring before", ROOT, SERVER, ROOT, Ok(Some(SERVER))),
            ("root, of a volume that a group writes", SERVER, ROOT, ROOT, Ok(Some(SERVER))),
            ("a server on such a volume", SERVER, ROOT, SERVER, Ok(None)),
            ("the first on such a volume", ROOT, ROOT, SERVER, Ok(None)),
            ("root for itself", ROOT, ROOT, ROOT, Ok(None)),
            ("a server in somebody else's folder", SERVER, OTHER, SERVER, Ok(None)),
            ("another user", SERVER, SERVER, OTHER, Err(SERVER)),
            ("another user, of a folder without a ring", ROOT, SERVER, OTHER, Err(SERVER)),
            ("the owner of a folder in which a server writes", SERVER, OTHER, OTHER, Err(SERVER)),
        ] {
            assert_eq!(give_to(owner(of_ring, of_dir), own), outcome, "{name}");
        }
    }
}
