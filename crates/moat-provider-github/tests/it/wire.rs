//! Grant and revocation over TLS, as a host's client sends them.

use moat_provider_core::{RefreshableProvider, Refreshed, RevocableProvider};
use moat_provider_github::GitHub;
use moat_provider_testkit::{
    FakeCommands, FakeEnvironment, Ports, Reply, VendorDouble, block_on, empty, requires_bearer,
};

use crate::support::{Accounts, credential, grant, token};

#[test]
fn a_token_is_granted_and_refreshed_over_tls() {
    let (old, new) = (token("ghp_"), token("ghp_"));
    let accounts = Accounts::new()
        .knows(&old.secret(), "octocat")
        .knows(&new.secret(), "octocat")
        .header("x-oauth-scopes", "repo");
    let double = VendorDouble::https(accounts, ["api.github.com"]);
    let ports = Ports::new()
        .with_client(double.client())
        .with_environment(FakeEnvironment::new().secret("GH_TOKEN", old.secret()))
        .with_commands(FakeCommands::new().expect(
            "gh",
            ["auth", "token", "--hostname", "github.com"],
            Reply::prints(new.secret()),
        ));
    let granted = grant(&ports, "github", None).unwrap();
    assert_eq!(granted.info().scopes(), ["repo"]);

    let stored = credential("github", granted.token(), "cli", "classic");
    let github = GitHub::new();
    match block_on(github.refresh(&ports.host_context(), &stored)).unwrap() {
        Refreshed::Renewed(next) => assert!(next.token().same_as(&new.secret())),
        refreshed => panic!("{refreshed:?}"),
    }
    let paths: Vec<_> = double.requests().iter().map(|r| r.uri().path().to_owned()).collect();
    assert_eq!(paths, ["/user", "/user"]);
    double.verify();
}

#[test]
fn an_installation_token_is_revoked_over_tls() {
    let canary = token("ghs_");
    let vendor = requires_bearer(&canary.secret(), |_: &http::Request<bytes::Bytes>| empty(204));
    let double = VendorDouble::https(vendor, ["ghe.example.com"]);
    let ports = Ports::new().with_client(double.client());
    let stored = credential("github:ghe.example.com", &canary.secret(), "env", "installation");
    block_on(GitHub::new().revoke(&ports.host_context(), &stored)).unwrap();
    let request = &double.requests()[0];
    assert_eq!(request.method(), "DELETE");
    assert_eq!(request.uri().path(), "/api/v3/installation/token");
}
