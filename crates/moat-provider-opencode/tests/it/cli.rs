//! Flags of the agent's command.

use clap::Command;
use moat_provider_core::AgentProvider;
use moat_provider_opencode::OpenCode;
use moat_provider_testkit::golden;

fn command() -> Command {
    OpenCode::new().register_cli(Command::new("opencode"))
}

#[test]
fn the_flags_are_well_formed_and_explained() {
    command().debug_assert();
    // Without wrapping, which is a feature of clap that another crate may have enabled.
    let help = command().term_width(0).render_help().to_string();
    golden::check("tests/golden/help.txt", &help);
}

#[test]
fn flags_configure_the_agent() {
    let flags = ["opencode", "--backend", "gemini", "--model", "gemini-3-pro"];
    let matches = command().try_get_matches_from(flags).unwrap();
    let debug = format!("{:?}", OpenCode::new().from_matches(&matches).unwrap().unwrap());
    assert!(debug.contains("Some(Gemini)") && debug.contains("gemini-3-pro"), "{debug}");
    assert!(command().try_get_matches_from(["opencode", "--backend", "claude"]).is_err());
}
