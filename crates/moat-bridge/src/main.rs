//! The first process in a sandbox of moat.

use std::process::ExitCode;

fn main() -> ExitCode {
    moat_bridge::main()
}
