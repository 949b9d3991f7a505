//! Flags of the agent's command.

use clap::Command;
use moat_provider_copilot::Copilot;
use moat_provider_core::{AgentProvider, Launch};
use moat_provider_testkit::golden;

fn command() -> Command {
    Copilot::new().register_cli(Command::new("copilot"))
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
    let flags = [
        "copilot",
        "--model",
        "gpt-5.2",
        "--context",
        "long_context",
        "--reasoning-effort",
        "low",
        "--load-workspace",
        "--no-host-settings",
    ];
    let matches = command().try_get_matches_from(flags).unwrap();
    let provider = Copilot::new().from_matches(&matches).unwrap().unwrap();
    let agent = provider.as_agent().unwrap();
    let words = agent.command(&Launch::default(), &Default::default()).unwrap();
    assert_eq!(words[4..], ["--model=gpt-5.2", "--context=long_context", "--reasoning-effort=low"]);
    let debug = format!("{provider:?}");
    assert!(debug.contains("workspace: Load") && debug.contains("Ignore"), "{debug}");
    assert!(command().try_get_matches_from(["copilot", "--context", "wide"]).is_err());
}
