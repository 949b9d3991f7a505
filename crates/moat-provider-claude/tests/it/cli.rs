//! Flags of the agent's command.

use std::sync::Arc;

use clap::Command;
use moat_provider_claude::Claude;
use moat_provider_core::{AgentProvider, Launch, Provider, Result};
use moat_provider_testkit::golden;

use crate::support::credential;

fn command() -> Command {
    Claude::new().register_cli(Command::new("claude"))
}

fn configured(args: &[&str]) -> Result<Arc<dyn Provider>> {
    let matches = command().try_get_matches_from([&["claude"], args].concat()).unwrap();
    Ok(Claude::new().from_matches(&matches)?.unwrap())
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
    let claude = configured(&["--model", "opus", "--plan", "pro"]).unwrap();
    assert_eq!(claude.name().as_str(), "claude");
    let command = claude.as_agent().unwrap().command(&Launch::default(), &Default::default());
    assert!(command.unwrap().contains(&"--model=opus".to_owned()));
    let stored = credential("claude", &crate::support::token("sk-ant-oat01-").secret(), "prompt");
    let run = crate::support::run(std::slice::from_ref(&stored), None);
    let provider = claude.as_credential().unwrap();
    let mounts = provider.container_mounts(&[stored.info()], &run).unwrap();
    let login = String::from_utf8(mounts.files[0].contents().to_vec()).unwrap();
    assert!(login.contains("\"subscriptionType\":\"pro\""), "{login}");
}

#[test]
fn every_switch_is_one() {
    let switches = ["--no-host-settings", "--share-identity", "--nonessential-traffic"];
    assert!(configured(&switches).is_ok());
    assert!(configured(&["--plugin-seed", "/home/me/seed"]).is_ok());
}

#[test]
fn a_wide_directory_is_not_shared() {
    assert!(configured(&["--share-sessions", "/home/me/.claude/projects/-home-me"]).is_ok());
    for directory in ["/", "/home/me", "projects/x/y/z", "/home/me/../../etc/x"] {
        let error = configured(&["--share-sessions", directory]).unwrap_err();
        assert!(error.hint().is_some(), "{directory}");
    }
}
