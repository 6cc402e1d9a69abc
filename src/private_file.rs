//! Files that hold a secret: who beside us can read them.

use std::{
    fmt::Display,
    fs::Metadata,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::fs::StatVfsMountFlags;

/// Why such a file is not read: somebody else can read or replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposed {
    by: &'static str,
    mount: Mount,
}

/// Who can read a file that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner; or a group too, where the file is somebody else's, for that is how we can.
    AsMeant,
    /// Its group too, and its mode cannot be changed here.
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Us,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mount {
    Writable,
    ReadOnly,
}

/// Looks at the mode of a file that was found at `path`.
pub(crate) fn readers(path: &Path, metadata: &Metadata) -> Result<Readers, Exposed> {
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let is_read_only =
        rustix::fs::statvfs(path).is_ok_and(|volume| volume.f_flag.contains(StatVfsMountFlags::RDONLY));
    judge(
        metadata.permissions().mode(),
        if is_ours { Owner::Us } else { Owner::Other },
        if is_read_only { Mount::ReadOnly } else { Mount::Writable },
    )
}

fn judge(mode: u32, owner: Owner, mount: Mount) -> Result<Readers, Exposed> {
    if mode & 0o006 != 0 {
        return Err(Exposed { by: "everyone", mount });
    }
    match (owner, mount) {
        _ if mode & 0o060 == 0 => Ok(Readers::AsMeant),
        // a mounted Secret is root's, and its group is how the process may read it
        (Owner::Other, _) => Ok(Readers::AsMeant),
        // the same for a process that is root
        (Owner::Us, Mount::ReadOnly) => Ok(Readers::Group),
        (Owner::Us, Mount::Writable) => Err(Exposed { by: "its group", mount }),
    }
}

impl Exposed {
    /// Who can read it, and what to do about the file.
    pub(crate) fn of(self, file: &impl Display) -> String {
        let by = self.by;
        match self.mount {
            Mount::Writable => format!("readable by {by}: run `chmod 600 {file}`"),
            Mount::ReadOnly => {
                format!("readable by {by}: mount it with mode 0440 (`defaultMode` of a Secret)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_read_is_taken_where_it_cannot_be_otherwise() {
        use Mount::{ReadOnly, Writable};
        use Owner::{Other, Us};
        let refused = |by, mount| Err(Exposed { by, mount });
        for (name, mode, owner, mount, outcome) in [
            ("as jeton writes it", 0o600, Us, Writable, Ok(Readers::AsMeant)),
            ("for reading alone", 0o400, Us, ReadOnly, Ok(Readers::AsMeant)),
            ("a Secret for a user", 0o440, Other, ReadOnly, Ok(Readers::AsMeant)),
            ("somebody else's, in a folder", 0o440, Other, Writable, Ok(Readers::AsMeant)),
            ("a Secret for root", 0o440, Us, ReadOnly, Ok(Readers::Group)),
            ("a Secret for root, to be written", 0o660, Us, ReadOnly, Ok(Readers::Group)),
            ("our own", 0o440, Us, Writable, refused("its group", Writable)),
            ("our own, to be written", 0o620, Us, Writable, refused("its group", Writable)),
            ("a Secret as it is by default", 0o644, Us, ReadOnly, refused("everyone", ReadOnly)),
            ("the same for a user", 0o444, Other, ReadOnly, refused("everyone", ReadOnly)),
            ("everybody's", 0o604, Other, Writable, refused("everyone", Writable)),
            ("written by everybody", 0o602, Us, ReadOnly, refused("everyone", ReadOnly)),
        ] {
            assert_eq!(judge(0o100_000 | mode, owner, mount), outcome, "{name}");
        }
    }
}
