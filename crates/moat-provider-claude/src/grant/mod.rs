//! Where credentials come from.

pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod subscription;

use moat_provider_core::{Error, ErrorKind, GrantContext, GrantOption};

/// The option that says where a credential comes from.
const SOURCE: &str = "source";

/// What stands in the metadata as the source of a token or key.
pub(crate) const FROM_ENVIRONMENT: &str = "env";
pub(crate) const FROM_PERSON: &str = "prompt";
pub(crate) const FROM_SETUP_TOKEN: &str = "setup-token";
pub(crate) const FROM_LOGIN: &str = "import";

/// The entry of the metadata that names the plan, as Claude Code does: `max`, `pro`, `team`.
pub(crate) const SUBSCRIPTION_TYPE: &str = "claude_subscription_type";
/// The entry of the metadata that names the tier of rate limits.
pub(crate) const RATE_LIMIT_TIER: &str = "claude_rate_limit_tier";

fn source_option(
    words: impl IntoIterator<Item = &'static str>,
    help: &'static str,
) -> Vec<GrantOption> {
    vec![GrantOption::choice(SOURCE, words, help)]
}

/// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
async fn tell(cx: &GrantContext, text: &str) {
    let _ = cx.terminal().tell(text).await;
}

fn is_unattended(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotInteractive | ErrorKind::PortMissing)
}

/// Says what to do when there is nobody to ask.
fn unattended(error: Error, message: &'static str, hint: &'static str) -> Error {
    match error.kind() {
        kind if is_unattended(kind) => Error::new(kind, message).with_hint(hint).with_source(error),
        ErrorKind::Cancelled => error.with_hint(hint),
        _ => error,
    }
}
