//! Flags of the agent's command.

use clap::Command;
use moat_provider_core::{AgentProvider, Launch};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::golden;

fn command() -> Command {
    Gemini::new().register_cli(Command::new("gemini"))
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
    let flags = ["gemini", "--model", "gemini-3-pro", "--project", "p", "--no-host-settings"];
    let matches = command().try_get_matches_from(flags).unwrap();
    let provider = Gemini::new().from_matches(&matches).unwrap().unwrap();
    let agent = provider.as_agent().unwrap();
    let words = agent.command(&Launch::default(), &Default::default()).unwrap();
    assert!(words.contains(&"--model=gemini-3-pro".to_owned()), "{words:?}");
    let debug = format!("{provider:?}");
    assert!(debug.contains("project: Some(\"p\")") && debug.contains("Ignore"), "{debug}");
}
