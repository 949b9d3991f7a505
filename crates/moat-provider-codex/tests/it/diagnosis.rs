//! What a check of the machine says.

use moat_provider_codex::{Codex, OpenAi};
use moat_provider_core::{DiagnosableProvider, Finding};
use moat_provider_testkit::{Ports, block_on};

use crate::support::granted;

#[test]
fn a_login_that_ends_by_itself_is_mentioned() {
    let ports = Ports::bare();
    for (what, finding, part) in [
        ("device", Finding::Good, "a ChatGPT login of its own (pro)"),
        ("prompt", Finding::Good, "an access token of a ChatGPT account (pro)"),
        ("import", Finding::Warning, "is not renewed"),
        ("openai", Finding::Good, "an API key"),
    ] {
        let granted = [granted(what).info().clone()];
        let (codex, openai) = (Codex::new(), OpenAi::new());
        let provider: &dyn DiagnosableProvider = match what {
            "openai" => &openai,
            _ => &codex,
        };
        let found = block_on(provider.diagnose(&ports.grant_context(), &granted));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].finding(), finding, "{found:?}");
        assert!(found[0].detail().contains(part), "{found:?}");
    }
}
