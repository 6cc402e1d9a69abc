//! The memory of this process, in which private keys and secrets stand, is for nobody else.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps off, and keeps other processes of the same user out of the memory of this one.
///
/// # Errors
/// What the system refused.
pub(super) fn keep_private() -> io::Result<()> {
    let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // a program that `kernel.core_pattern` names gets a dump whatever the limit is, and a debugger needs none
    #[cfg(target_os = "linux")]
    let none =
        none.and(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    Ok(none?)
}
