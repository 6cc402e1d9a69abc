//! The command `jeton`.

use std::process::ExitCode;

fn main() -> ExitCode {
    jeton::cli::run()
}
