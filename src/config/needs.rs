//! What of the settings a command needs.

/// Which folders a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededFolders {
    /// The key folder, unless a key is made, and the policies folder.
    Everything,
    /// The policies folder.
    Policies,
    /// The key folder.
    Keys,
    /// Neither.
    Nothing,
}
