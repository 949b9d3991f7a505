//! The `moat` command with the providers of this project.

use std::process::ExitCode;

fn main() -> ExitCode {
    moat_cli::main(moat_providers::builtin)
}
