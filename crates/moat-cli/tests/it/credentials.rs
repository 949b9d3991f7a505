//! The life of a credential: granted, listed, tested, revoked.

use std::fs;

use moat_provider_core::{Alphabet, Credential};
use moat_provider_testkit::Canary;
use time::OffsetDateTime;

use crate::github::{GitHub, canary, text};
use crate::support::Moat;

#[test]
fn a_token_from_standard_input_is_checked_and_kept() {
    let github = GitHub::new();
    let moat = github.person();
    let ended = moat.run_with(&["grant", "github", "--token-stdin"], &github.text()).succeeded();
    let ended = ended.without(&github.token);
    assert_eq!(ended.stdout, "Granted github.\n");
    assert!(ended.stderr.contains("octocat"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the key file"), "{}", ended.stderr);
    assert_eq!(github.requests(), ["GET /user"]);
    for file in moat.files() {
        let bytes = fs::read(moat.home().join(&file)).unwrap();
        assert_eq!(github.token.find_in(&bytes), None, "{file}");
    }
    let list = moat.run(&["grant", "list"]).succeeded().without(&github.token);
    assert!(list.stdout.starts_with("GRANT   STATE  SOURCE"), "{}", list.stdout);
    let list = moat.run(&["--json", "grant", "list"]).succeeded().without(&github.token).json();
    assert_eq!(list["grants"][0]["grant"], "github");
    assert_eq!(list["grants"][0]["metadata"]["login"], "octocat");
    assert_eq!(list["grants"][0]["expired"], false);
    let show = moat.run(&["grant", "show", "github"]).succeeded().without(&github.token);
    assert!(show.stdout.contains("\nsecrets       token\n"), "{}", show.stdout);
    let show = moat.run(&["grant", "show", "github", "--json"]).succeeded().without(&github.token);
    assert_eq!(show.json()["grant"]["secrets"][0], "token");
}

#[test]
fn a_given_token_goes_before_what_the_environment_holds() {
    let github = GitHub::new();
    let moat = github.person().env("GH_TOKEN", "not-the-one");
    moat.run_with(&["grant", "github", "--token-stdin"], &github.text()).succeeded();
    let moat = github.person().env("GH_TOKEN", github.text());
    moat.run(&["grant", "github", "-q"]).succeeded();
}

#[test]
fn a_token_comes_from_a_program() {
    let github = GitHub::new();
    let moat = github.person();
    let file = moat.path("a file");
    fs::write(&file, github.text()).unwrap();
    let command = format!("cat '{}'", file.display());
    let ended = moat.run(&["grant", "github", "--from-command", &command]).succeeded();
    assert_eq!(ended.without(&github.token).stdout, "Granted github.\n");
    moat.run(&["grant", "github", "--from-command", "cat /nonexistent"])
        .failed(1, &["cat ended with code 1", "try it alone: cat /nonexistent"]);
    moat.run(&["grant", "github", "--from-command", "no-such-program x"])
        .failed(1, &["no-such-program"]);
    moat.run(&["grant", "github", "--from-command", "true"]).failed(1, &["true printed nothing"]);
    moat.run(&["grant", "github", "--from-command", "'"])
        .failed(2, &["--from-command holds no command"]);
}

#[test]
fn a_token_that_the_vendor_does_not_accept_is_not_kept() {
    let github = GitHub::new();
    let moat = github.person();
    let other = GitHub::new();
    moat.run_with(&["grant", "github", "--token-stdin"], &other.text())
        .failed(1, &["error: github was not granted: ", "\n    "])
        .without(&other.token);
    assert_eq!(moat.run(&["grant", "list"]).succeeded().stdout, "");
}

#[test]
fn a_credential_is_tested_without_a_change() {
    let github = GitHub::new();
    let moat = github.granted();
    let before = moat.files();
    let test = moat.run(&["grant", "test", "github", "--json"]).succeeded().without(&github.token);
    let test = test.json();
    assert_eq!(test["ok"], true);
    let results: Vec<_> =
        test["checks"].as_array().unwrap().iter().map(|it| &it["result"]).collect();
    assert_eq!(results, ["ok", "ok", "ok", "ok"]);
    assert_eq!(moat.files(), before);
    assert_eq!(github.requests(), ["GET /user", "GET /user"]);
    moat.run(&["grant", "test", "github"]).succeeded().without(&github.token);
}

#[test]
fn a_credential_that_was_ended_elsewhere_fails_its_test() {
    let github = GitHub::new();
    let (moat, other) = (github.granted(), github.granted());
    other.run(&["revoke", "github", "--yes"]).succeeded();
    let test = moat.run(&["grant", "test", "github", "--json"]).without(&github.token);
    assert_eq!((test.code, &test.json()["ok"]), (1, &false.into()));
    assert_eq!(test.json()["checks"][3]["result"], "failed");
}

#[test]
fn a_revoked_credential_is_gone_here_and_ended_there() {
    let github = GitHub::new();
    let moat = github.granted();
    let ended = moat.run(&["revoke", "github", "--yes"]).succeeded().without(&github.token);
    assert_eq!(ended.stdout, "Forgot github. It is ended at its vendor.\n");
    assert_eq!(github.requests(), ["GET /user", "POST /credentials/revoke"]);
    moat.run(&["grant", "show", "github"])
        .failed(1, &["error: there is no credential github", "\n    moat grant github\n"]);
    moat.run(&["revoke", "github"]).failed(1, &["there is no credential github"]);
}

#[test]
fn a_credential_is_forgotten_also_where_the_vendor_is_not_told() {
    let github = GitHub::new();
    let moat = github.granted();
    let ended = moat.run(&["revoke", "github", "--local", "--json"]).succeeded();
    assert_eq!(ended.json()["at_vendor"], "unchanged");
    assert_eq!(moat.run(&["grant", "list"]).succeeded().stdout, "");
    let moat = github.granted();
    let ended = moat.run(&["revoke", "github"]).succeeded();
    assert!(ended.stderr.contains("nobody was there to be asked"), "{}", ended.stderr);
    let moat = github.granted().always(&["--connect-to", "api.github.com:443:127.0.0.1:1"]);
    let ended = moat.run(&["revoke", "github", "--yes"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.starts_with("warning: it may still be good"), "{}", ended.stderr);
    assert_eq!(moat.run(&["grant", "list"]).succeeded().stdout, "");
    assert!(!github.requests().contains(&"POST /credentials/revoke".to_owned()));
}

#[test]
fn a_record_that_cannot_be_read_is_listed_and_can_be_forgotten() {
    let github = GitHub::new();
    let moat = github.granted();
    let record = moat.files().into_iter().find(|file| file.ends_with(".cred")).unwrap();
    fs::write(moat.home().join(record), "not a record").unwrap();
    let list = moat.run(&["grant", "list", "--json"]).succeeded().json();
    assert_eq!(list["grants"][0]["grant"], "github");
    assert_eq!(list["grants"][0]["error"], "damaged");
    moat.run(&["grant", "list"]).succeeded();
    moat.run(&["grant", "show", "github"]).failed(1, &["error: "]);
    moat.run(&["revoke", "github"]).succeeded();
    assert_eq!(moat.run(&["grant", "list"]).succeeded().stdout, "");
}

#[test]
fn profiles_are_apart() {
    let github = GitHub::new();
    let moat = github.person();
    let grant = ["grant", "github", "--token-stdin", "--profile", "work"];
    moat.run_with(&grant, &github.text()).succeeded();
    assert_eq!(moat.run(&["grant", "list"]).succeeded().stdout, "");
    let list = moat.run(&["grant", "list", "--profile", "work"]).succeeded();
    assert!(list.stdout.contains("github"));
    moat.run(&["grant", "list", "--profile", "../x"]).failed(2, &["is not a profile"]);
}

#[test]
fn why_asks_the_rules_of_what_is_granted() {
    let github = GitHub::new();
    let moat = github.granted();
    let why = |arguments: &[&str]| moat.run(&[&["why", "--json"], arguments].concat());
    let api = why(&["https://api.github.com/user"]).succeeded().without(&github.token).json();
    assert_eq!((&api["grant"], &api["slot"]), (&"github".into(), &"authorization".into()));
    let other = why(&["https://example.com/"]);
    assert_eq!((other.code, &other.json()["reason"]), (1, &"no-rule".into()));
    for (arguments, reason) in [
        (&["https://example.com/", "--policy", "strict"][..], "host-not-allowed"),
        (&["https://api.github.com/", "--deny", "api.github.com"], "denied"),
        (&["https://169.254.169.254/"], "metadata-address"),
        (&["https://localhost/"], "local-address"),
    ] {
        let refused = why(arguments);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert_eq!(refused.json()["reason"], reason, "{refused:?}");
    }
    why(&["https://api.github.com/user", "--policy", "strict"]).succeeded();
    let plain = why(&["http://api.github.com/user"]);
    assert_eq!((plain.code, &plain.json()["fix"]), (1, &"use https".into()));
    let text = moat.run(&["why", "https://api.github.com/user"]).succeeded().stdout;
    assert!(text.contains("It gets the credential github"), "{text}");
    assert_eq!(github.requests().len(), 1, "nothing is sent");
}

#[test]
fn why_suggests_no_flag_that_does_not_help() {
    let github = GitHub::new();
    let moat = github.granted();
    let (key, now) = (Canary::shaped("AIza", Alphabet::Base64Url, 35), OffsetDateTime::UNIX_EPOCH);
    moat.store(&Credential::builder("gemini".parse().unwrap(), key.secret(), now).build());
    let why = |method: &str, url: &str| {
        moat.run(&["why", "--json", "--policy", "strict", "--method", method, url]).json()
    };
    let api = "https://generativelanguage.googleapis.com";
    for (method, url) in [
        ("POST", format!("{api}/v1alpha/auth_tokens")),
        ("POST", "https://api.github.com/user/keys".to_owned()),
    ] {
        let issuing = why(method, &url);
        assert_eq!(issuing["reason"], "issuing-endpoint", "{issuing}");
        let fix = issuing["fix"].as_str().unwrap();
        assert!(fix.contains("outside of the sandbox") && !fix.contains("--allow"), "{fix}");
    }
    let other = why("GET", &format!("{api}/v1alpha/auth_tokens"));
    assert_eq!(other["reason"], "request-not-allowed", "{other}");
    assert!(other["fix"].as_str().unwrap().starts_with("--allow"), "{other}");
}

#[test]
fn why_says_what_is_missing() {
    let moat = Moat::new();
    let nothing = moat.run(&["why", "https://api.github.com/user", "--json"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.json()["fix"].as_str().unwrap().contains("moat grant providers"));
    moat.run(&["why", "https://api.github.com/user", "--grant", "github"])
        .failed(1, &["there is no credential github", "moat grant github"]);
    moat.run(&["why", "api.github.com"]).failed(2, &["is no https URL"]);
    moat.run(&["why", "https://u@api.github.com/"]).failed(2, &["user information"]);
}

#[test]
fn a_passphrase_opens_the_store_and_another_does_not() {
    let github = GitHub::new();
    let passphrase = canary();
    let of = |moat: Moat| moat.env("MOAT_KEY", "passphrase");
    let moat = of(github.person()).env("MOAT_PASSPHRASE", text(&passphrase));
    let grant = ["grant", "github", "--token-stdin"];
    moat.run_with(&grant, &github.text()).without(&passphrase).succeeded();
    assert!(moat.files().contains(&"passphrase.json".to_owned()), "{:?}", moat.files());
    let test = ["grant", "test", "github"];
    moat.run(&test).succeeded();
    let moat = moat.env("MOAT_PASSPHRASE", text(&canary()));
    moat.run(&test).failed(1, &["the passphrase is wrong"]);
    let moat = moat.env("MOAT_PASSPHRASE", "");
    moat.run(&test).failed(1, &["there is no passphrase", "export MOAT_PASSPHRASE"]);
}
