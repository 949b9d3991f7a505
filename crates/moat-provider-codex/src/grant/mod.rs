//! Where credentials come from.

pub(crate) mod account;
pub(crate) mod import;
pub(crate) mod key;

use moat_provider_core::{Error, ErrorKind, GrantContext, Result, Secret};

/// The option that says where a credential comes from.
const SOURCE: &str = "source";

/// What stands in the metadata as the source of a token or key.
pub(crate) const FROM_ENVIRONMENT: &str = "env";
pub(crate) const FROM_PERSON: &str = "prompt";
pub(crate) const FROM_DEVICE: &str = "device";
pub(crate) const FROM_IMPORT: &str = "import";

/// The entry of the metadata with the account that a login is for.
pub(crate) const ACCOUNT: &str = "codex_account_id";
/// The entry of the metadata that names the plan as the vendor does: `plus`, `pro`, `business`.
pub(crate) const PLAN: &str = "codex_plan";
/// The entry of the metadata with the host that the vendor has for the account's workspace.
pub(crate) const BACKEND: &str = "codex_backend";
/// The entries of the metadata that say who pays for what a key does.
pub(crate) const ORGANIZATION_ID: &str = "openai_organization";
pub(crate) const PROJECT_ID: &str = "openai_project";

/// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
async fn tell(cx: &GrantContext, text: &str) {
    let _ = cx.terminal().tell(text).await;
}

/// Looks into a variable.
fn variable(cx: &GrantContext, name: &'static str) -> Result<Option<Secret>> {
    match cx.first_var(&[name]) {
        Ok(found) => Ok(found.map(|(_, value)| value)),
        // An embedder that gives no environment has nothing in it.
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error),
    }
}

fn unset(name: &'static str) -> Error {
    Error::new(ErrorKind::CredentialNotFound, format!("{name} is not set"))
        .with_hint(format!("export {name}, or choose another --{SOURCE}"))
}

/// Says what to do when there is nobody to ask.
fn unattended(error: Error, message: &'static str, hint: &'static str) -> Error {
    match error.kind() {
        kind @ (ErrorKind::NotInteractive | ErrorKind::PortMissing) => {
            Error::new(kind, message).with_hint(hint).with_source(error)
        }
        ErrorKind::Cancelled => error.with_hint(hint),
        _ => error,
    }
}
