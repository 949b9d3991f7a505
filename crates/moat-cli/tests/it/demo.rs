//! The tour where no sandbox works; `tests/e2e` has the one with bubblewrap.

use serde_json::Value;

use crate::support::{Ended, Moat};

/// A machine on which bubblewrap cannot be used, for it lacks the first process of a sandbox.
fn without_sandbox() -> Moat {
    let moat = Moat::new();
    let temporary = moat.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let temporary = temporary.display().to_string();
    moat.env("MOAT_BRIDGE", "/nowhere/moat-bridge").env("TMPDIR", temporary)
}

/// Returns every text that may be a token of GitHub's, or a good part of one.
fn tokens(ended: &Ended) -> Vec<String> {
    let all = format!("{}\n{}", ended.stdout, ended.stderr);
    let words = all.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.contains("ghp_") && word.len() > 16).map(str::to_owned).collect()
}

#[test]
fn the_tour_says_which_protection_is_off_and_shows_what_was_received() {
    let moat = without_sandbox();
    let shown = moat.run(&["demo"]).succeeded();
    assert!(shown.stderr.contains("no sandbox: the command runs as you"), "{shown:#?}");
    assert!(shown.stderr.contains("moat-bridge"), "{shown:#?}");
    for expected in [
        "asked in no sandbox",
        "200 {\"login\":\"octocat\"}",
        "401 {\"message\":\"Requires authentication\"}",
        "the token        nowhere",
        "Nothing kept it from looking elsewhere",
    ] {
        assert!(shown.stdout.contains(expected), "{expected}: {shown:#?}");
    }
    assert!(shown.stdout.lines().count() <= 40, "{shown:#?}");
    assert!(!shown.stdout.contains('\u{1b}'), "colours are for terminals");
    assert_eq!(
        tokens(&shown),
        Vec::<String>::new(),
        "both credentials are shown by their beginning"
    );
}

#[test]
fn the_tour_tells_a_program_the_same_and_leaves_nothing_behind() {
    let moat = without_sandbox();
    let told = moat.run(&["demo", "--json", "--quiet"]).succeeded();
    let found: Value = serde_json::from_str(&told.stdout).unwrap();
    for (name, expected) in [
        ("/ok", Value::from(true)),
        ("/sandbox", "none".into()),
        ("/status", 200.into()),
        ("/api_received", vec!["the token"].into()),
        ("/status_without_grant", 401.into()),
        ("/api_received_without_grant", vec!["no credential"].into()),
        ("/other_host_received", vec!["the placeholder"].into()),
        ("/token_found", false.into()),
    ] {
        assert_eq!(found.pointer(name), Some(&expected), "{name}: {found:#}");
    }
    let places = found["placeholder_found_in"].as_array().unwrap();
    assert!(places.contains(&"environment".into()) && places.contains(&"memory".into()), "{found}");
    // The only thing like a token in all of the output.
    assert_eq!(tokens(&told), [found["placeholder"].as_str().unwrap()]);
    assert_eq!(std::fs::read_dir(moat.path("temporary")).unwrap().count(), 0);
    assert!(!moat.home().exists(), "the person's own state is not touched");
}
