//! Renewing a credential, and taking one over.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use moat_provider_core::Credential;
use moat_provider_testkit::Canary;

use crate::github::{GitHub, canary, text};
use crate::support::Moat;

/// Sets a person up whose gh has this token, and who has granted that.
fn with_gh(github: &GitHub, token: &Canary) -> Moat {
    let moat = github.person();
    let bin = moat.path("bin");
    fs::create_dir(&bin).unwrap();
    let gh = bin.join("gh");
    fs::write(&gh, format!("#!/bin/sh\ncat '{}'\n", moat.path("token").display())).unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    let moat = moat.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    log_in(&moat, token);
    moat.run(&["grant", "github", "--source", "gh"]).succeeded().without(token);
    moat
}

/// Has gh print this token from now on.
fn log_in(moat: &Moat, token: &Canary) {
    fs::write(moat.path("token"), text(token)).unwrap();
}

#[test]
fn a_credential_is_renewed_and_saved() {
    let github = GitHub::new();
    let moat = with_gh(&github, &github.token);
    let same = moat.run(&["grant", "refresh", "github"]).succeeded();
    assert_eq!(same.stdout, "There is nothing newer than the present github.\n");
    let next = github.another();
    log_in(&moat, &next);
    let renewed = moat.run(&["grant", "refresh", "github"]).succeeded().without(&next);
    assert_eq!(renewed.stdout, "Renewed github.\n");
    let again = moat.run(&["grant", "refresh", "github", "--json"]).succeeded().without(&next);
    assert_eq!(again.json()["renewed"], false, "what was renewed is in the store");
    assert_eq!(again.json()["credential"]["grant"], "github");
}

#[test]
fn what_cannot_be_renewed_is_said_with_what_to_do() {
    let github = GitHub::new();
    let refresh = ["grant", "refresh", "github"];
    Moat::new().run(&refresh).failed(1, &["there is no credential github", "moat grant github"]);
    github
        .granted()
        .run(&refresh)
        .failed(1, &["github cannot be renewed, only granted anew", "\n    moat grant github\n"]);
    let moat = with_gh(&github, &github.token);
    let stranger = canary();
    log_in(&moat, &stranger);
    moat.run(&refresh).failed(1, &["gh auth login --hostname github.com"]).without(&stranger);
    log_in(&moat, &github.another());
    let moat = moat.always(&["--connect-to", "api.github.com:443:127.0.0.1:1"]);
    moat.run(&refresh).failed(1, &["look at the network, then: moat grant refresh github"]);
}

#[test]
fn a_copied_login_is_renewed_only_when_it_is_claimed() {
    let github = GitHub::new();
    let moat = with_gh(&github, &github.token);
    let own = |credential: &Credential| {
        credential.renew().metadata(Credential::REFRESHED_BY, "their tool").build()
    };
    moat.edit("github", own);
    log_in(&moat, &github.another());
    let refresh = ["grant", "refresh", "github"];
    moat.run(&refresh).failed(1, &["that their tool refreshes", "moat grant claim github"]);
    let claimed = moat.run(&["grant", "claim", "github"]).succeeded();
    assert!(claimed.stdout.contains("Do not use their tool with it again."), "{}", claimed.stdout);
    let again = moat.run(&["grant", "claim", "github", "--json"]).succeeded();
    assert!(again.json()["from"].is_null());
    assert_eq!(moat.run(&refresh).succeeded().stdout, "Renewed github.\n");
    // One that did not come from gh cannot be renewed by anybody here.
    moat.edit("github", |it| it.renew().metadata(Credential::TOKEN_SOURCE, "env").build());
    moat.run(&["grant", "claim", "github"]).failed(1, &["cannot be refreshed here"]);
    moat.run(&["revoke", "github", "--local"]).succeeded();
    moat.run(&["grant", "claim", "github"]).failed(1, &["there is no credential github"]);
}
