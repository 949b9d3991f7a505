//! Which grants a run uses, and what is kept of it.

use moat_provider_claude::{Claude, SESSION_ID, transcript_directory};
use moat_provider_core::{
    AgentProvider, CredentialKey, ErrorKind, RunStoppedContext, RunStoppedHook,
};
use moat_provider_testkit::{Ports, block_on};

use crate::support::{key, prepare, time};

fn select(named: &[&str], stored: &[&str]) -> Result<Vec<String>, moat_provider_core::Error> {
    let keys = |names: &[&str]| -> Vec<CredentialKey> { names.iter().map(|n| key(n)).collect() };
    let chosen = Claude::new().select_grants(&keys(named), &keys(stored))?;
    Ok(chosen.iter().map(ToString::to_string).collect())
}

#[test]
fn the_subscription_goes_before_the_key_unless_one_is_named() {
    for (named, stored, chosen) in [
        (&[][..], &["anthropic", "claude", "github"][..], &["claude"][..]),
        (&[], &["github", "anthropic"], &["anthropic"]),
        (&["github"], &["github", "anthropic"], &["anthropic", "github"]),
        (&["github", "aws:dev", "github"], &["claude"], &["claude", "github", "aws:dev"]),
        (&["anthropic"], &["claude", "anthropic"], &["anthropic"]),
        (&["github", "claude"], &["claude", "anthropic"], &["github", "claude"]),
        (&["anthropic", "claude"], &[], &["anthropic", "claude"]),
    ] {
        assert_eq!(select(named, stored).unwrap(), chosen, "{named:?} of {stored:?}");
    }
}

#[test]
fn without_a_credential_nothing_starts() {
    for (named, stored) in [(&[][..], &[][..]), (&["github"], &["github"])] {
        let error = select(named, stored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
        assert!(error.hint().unwrap().starts_with("moat grant claude"));
    }
}

#[test]
fn a_run_keeps_the_id_of_its_conversation() {
    let claude = Claude::new();
    let ports = Ports::bare();
    let prepare = || prepare(&claude, &ports, &["anthropic"], None, |_| {}).unwrap();
    let (first, second) = (prepare(), prepare());
    let id = first.config.state[SESSION_ID].clone();
    assert_ne!(id, second.config.state[SESSION_ID]);

    let start = time("2026-11-20T12:00:00Z");
    let mut stopped =
        RunStoppedContext::new("r".parse().unwrap(), "/home/me/project".into(), start, start);
    stopped.state.clone_from(&first.config.state);
    let kept = || block_on(claude.on_run_stopped(&ports.host_context(), &stopped)).unwrap();
    assert_eq!(kept().into_iter().collect::<Vec<_>>(), [(SESSION_ID.to_owned(), id)]);
    for odd in ["", "--help", "../../x", "ID"] {
        let mut stopped = stopped.clone();
        stopped.state.insert(SESSION_ID.to_owned(), odd.to_owned());
        let kept = block_on(claude.on_run_stopped(&ports.host_context(), &stopped)).unwrap();
        assert!(kept.is_empty(), "{odd:?}");
    }
}

#[test]
fn a_workspace_has_its_directory_of_conversations() {
    let segments: String = (1..25).map(|at| format!("segment-{at:02}/")).collect();
    let long = format!("/home/me/{segments}end");
    let astral = "/home/\u{1f600}";
    for (workspace, name) in [
        ("/Users/a.b/my_app", "-Users-a-b-my-app"),
        ("/workspace", "-workspace"),
        ("/a  b", "-a--b"),
        ("/ä", "--"),
        // Two UTF-16 units are two hyphens.
        (astral, "-home---"),
    ] {
        assert_eq!(transcript_directory(workspace).as_deref(), Some(name), "{workspace}");
    }
    let name = transcript_directory(&long).unwrap();
    // Computed apart from this crate, by a program whose result for another path of this length is
    // the directory that Claude Code 2.1.197 made.
    let (head, hash) = name.split_at(200);
    assert!(head.starts_with("-home-me-segment-01-segment-02-"), "{head}");
    assert_eq!(hash, "-uss011");
    assert_ne!(transcript_directory(&long), transcript_directory(&format!("{long}b")));
    assert_eq!(transcript_directory(""), None);
}
