//! Help, completions, the manual, the providers; and how little is opened for them.

use crate::support::Moat;

#[test]
fn help_and_version_open_nothing() {
    let moat = Moat::new();
    let version = moat.run(&["--version"]).succeeded();
    assert_eq!(version.stdout, format!("moat {}\n", env!("CARGO_PKG_VERSION")));
    for words in [
        &["--help"][..],
        &["grant", "--help"],
        &["grant", "github", "--help"],
        &["grant", "aws", "--help"],
    ] {
        let help = moat.run(words).succeeded();
        assert!(help.stdout.contains("Usage: moat"), "{}", help.stdout);
        assert!(!help.stdout.contains("option:"), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
    moat.run(&["grant", "providers"]).succeeded();
    moat.run(&["grant", "list"]).succeeded();
    moat.run(&["runs"]).succeeded();
    assert!(!moat.home().exists(), "{:?}", moat.files());
}

#[test]
fn no_command_is_a_question_for_help() {
    let ended = Moat::new().run(&[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("Usage: moat"), "{}", ended.stderr);
}

#[test]
fn options_of_a_provider_are_flags_of_its_command() {
    let moat = Moat::new();
    let help = moat.run(&["grant", "github:ghe.example.com", "--help"]).succeeded().stdout;
    assert!(help.contains("Usage: moat grant github:ghe.example.com"), "{help}");
    for flag in ["--source", "--token-stdin", "--from-command", "--profile", "--upstream-ca"] {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
    let all = moat.run(&["grant", "--help"]).succeeded().stdout;
    assert!(!all.contains("\n  github:"), "{all}");
}

#[test]
fn providers_are_listed_for_people_and_programs() {
    let moat = Moat::new();
    let text = moat.run(&["grant", "providers"]).succeeded().stdout;
    assert!(text.contains("GitHub token for the API and for git over HTTPS"), "{text}");
    let list = moat.run(&["grant", "providers", "--json"]).succeeded().json();
    let github = list["providers"].as_array().unwrap().iter().find(|it| it["name"] == "github");
    assert_eq!(github.unwrap()["source"], "builtin");
    assert_eq!(github.unwrap()["options"][0]["name"], "source");
}

#[test]
fn completions_and_the_manual_know_every_command() {
    let moat = Moat::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = moat.run(&["completions", shell]).succeeded().stdout;
        for word in ["github", "token-stdin", "trace"] {
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
    assert!(moat.run(&["man"]).succeeded().stdout.contains(".TH moat 1"));
    let pages = moat.path("pages");
    moat.run(&["man", "--dir", pages.to_str().unwrap()]).failed(1, &["mkdir -p "]);
    std::fs::create_dir(&pages).unwrap();
    moat.run(&["man", "--dir", pages.to_str().unwrap()]).succeeded();
    for page in ["moat.1", "moat-why.1", "moat-grant-github.1"] {
        assert!(pages.join(page).is_file(), "{page} is missing");
    }
}
