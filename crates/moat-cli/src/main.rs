//! The `moat` command with the providers of this project. Under the name of the bridge it is the
//! first process of a sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    if moat_bridge::is_meant() {
        return moat_bridge::main();
    }
    moat_cli::main(moat_providers::builtin)
}
