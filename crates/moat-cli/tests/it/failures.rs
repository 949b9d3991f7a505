//! Errors that a person can meet, and what helps.

use crate::support::Moat;

#[test]
fn slips_of_the_pen_end_with_2_and_a_suggestion() {
    let moat = Moat::new();
    moat.run(&["grnat"]).failed(2, &["unrecognized subcommand 'grnat'", "'grant'"]);
    moat.run(&["grant", "gihub"]).failed(2, &["no provider \"gihub\"", "moat grant github"]);
    moat.run(&["grant", "github", "--surce", "gh"]).failed(2, &["'--surce'", "'--source'"]);
    moat.run(&["grant", "github", "--source", "x"]).failed(2, &["auto, env, gh, prompt"]);
    moat.run(&["grant", "show"]).failed(2, &["<GRANT>"]);
    moat.run(&["grant", "show", "Git Hub"]).failed(2, &["is not a provider name"]);
    moat.run(&["grant", "github:..", "--token-stdin"]).failed(2, &["behind the colon"]);
    moat.run(&["grant", "test", "nobody"]).failed(2, &["there is no provider \"nobody\""]);
    moat.run(&["--color", "blue", "runs"]).failed(2, &["auto, always, never"]);
    moat.run(&["grant", "github", "--token-stdin", "--from-command", "x"])
        .failed(2, &["cannot be used with"]);
}

#[test]
fn nobody_to_ask_is_said_with_what_to_do() {
    let moat = Moat::new();
    moat.run(&["grant", "github"]).failed(1, &["error: github was not granted: ", "\n    "]);
    moat.run(&["grant", "github", "--token-stdin"]).failed(2, &["standard input is empty"]);
}

#[test]
fn flags_for_what_is_sent_are_checked_when_something_is_sent() {
    let moat = Moat::new();
    let grant = |flags: &[&str]| {
        moat.run_with(&[&["grant", "github", "--token-stdin"], flags].concat(), "x\n")
    };
    grant(&["--upstream-ca", "/nonexistent.pem"]).failed(1, &["/nonexistent.pem"]);
    grant(&["--connect-to", "here"]).failed(2, &["is not HOST:PORT:ADDR:PORT"]);
    moat.run(&["runs", "--connect-to", "here"]).succeeded();
}

#[test]
fn a_machine_without_a_home_is_told_what_to_set() {
    let moat = Moat::new().env("HOME", "").env("MOAT_HOME", "");
    moat.run(&["grant", "list"])
        .failed(1, &["neither MOAT_HOME nor HOME is set", "export MOAT_HOME="]);
}

#[test]
fn an_unknown_place_for_the_key_is_refused() {
    let moat = Moat::new().env("MOAT_KEY", "cloud");
    moat.run(&["grant", "list"]).failed(2, &["there is no MOAT_KEY \"cloud\"", "keyring, file"]);
}

#[test]
fn quiet_leaves_results_and_errors() {
    let moat = Moat::new();
    let list = moat.run(&["-q", "grant", "list"]).succeeded();
    assert_eq!((list.stdout.as_str(), list.stderr.as_str()), ("", ""));
    moat.run(&["-q", "grant", "show", "github"]).failed(1, &["error: "]);
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let moat = Moat::new();
    let plain = moat.run(&["grant", "show", "github"]);
    assert!(plain.stderr.starts_with("error: "), "{}", plain.stderr);
    let colored = moat.run(&["--color", "always", "grant", "show", "github"]);
    assert!(colored.stderr.starts_with("\u{1b}[31;1merror:\u{1b}[0m "), "{}", colored.stderr);
    let forced = Moat::new().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!forced.run(&["grant", "show", "github"]).stderr.contains('\u{1b}'));
}

#[test]
fn what_cannot_be_granted_says_what_can() {
    let moat = Moat::new();
    moat.run(&["grant", "copilot"]).failed(2, &["no credential of its own", "moat grant github"]);
    moat.run(&["grant", "pi", "--x"]).failed(2, &["moat grant anthropic"]);
    moat.run(&["grant", "nobody"]).failed(2, &["no provider \"nobody\"", "github"]);
}
