//! Flags of the agent's command.

use clap::Command;
use moat_provider_codex::Codex;
use moat_provider_core::{AgentProvider, ErrorKind, Launch};
use moat_provider_testkit::golden;

fn command() -> Command {
    Codex::new().register_cli(Command::new("codex"))
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
    let flags = ["codex", "--model", "gpt-6", "--effort", "high\"x", "--no-host-settings"];
    let more = ["--no-websocket", "--share-sessions", "/home/me/.codex/sessions"];
    let matches = command().try_get_matches_from(flags.into_iter().chain(more)).unwrap();
    let provider = Codex::new().from_matches(&matches).unwrap().unwrap();
    let agent = provider.as_agent().unwrap();
    let words = agent.command(&Launch::default(), &Default::default()).unwrap();
    assert!(words.contains(&"--model=gpt-6".to_owned()), "{words:?}");
    // The value is TOML, in which it stays one text.
    let effort = words.iter().find(|word| word.starts_with("--config=")).unwrap();
    let setting = toml::from_str::<toml::Table>(effort.split_once('=').unwrap().1).unwrap();
    assert_eq!(setting["model_reasoning_effort"].as_str(), Some("high\"x"));
    let debug = format!("{provider:?}");
    for part in ["Ignore", "transport: Http", "/home/me/.codex/sessions"] {
        assert!(debug.contains(part), "{debug}");
    }
}

#[test]
fn what_is_too_wide_is_not_shared() {
    let matches = command().try_get_matches_from(["codex", "--share-sessions", "/"]).unwrap();
    let error = Codex::new().from_matches(&matches).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
