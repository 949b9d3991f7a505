//! Where the token goes, and what is refused.

use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use moat_provider_core::{
    CredentialProvider, ErrorKind, Fill, HeaderTemplate, IssuingEndpoint, ProxyRules,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::golden;

use crate::support::{credential, run, token};

fn rules(grants: &[&str]) -> ProxyRules {
    let github = GitHub::new();
    let canary = token("gho_");
    let credentials: Vec<_> =
        grants.iter().map(|grant| credential(grant, &canary.secret(), "cli", "oauth")).collect();
    let infos: Vec<_> = credentials.iter().map(|credential| credential.info()).collect();
    let run = run(infos.iter().copied(), None);
    let mut rules = ProxyRules::default();
    for info in infos {
        github.configure_proxy(&mut rules, info, &run).unwrap();
    }
    rules
}

fn render(rules: &ProxyRules) -> String {
    let mut text = String::new();
    for rule in rules.credentials() {
        let template = match rule.template() {
            HeaderTemplate::Bearer => "Bearer".to_owned(),
            HeaderTemplate::Basic { user } => format!("Basic {user}"),
            other => format!("{other:?}"),
        };
        let fill = match rule.fills() {
            Fill::EmptyOrPlaceholder => "empty or placeholder",
            Fill::PlaceholderOnly => "placeholder",
        };
        assert_eq!(rule.header(), AUTHORIZATION);
        assert_eq!(rule.placeholders().len(), 1);
        text.push_str(&format!(
            "{}  {}: {template} <{}>  in place of {fill}\n",
            rule.target(),
            rule.header(),
            rule.secret(),
        ));
    }
    for target in rules.reachable() {
        text.push_str(&format!("{target}  nothing\n"));
    }
    text
}

fn issuing(grant: &str) -> Vec<IssuingEndpoint> {
    let canary = token("gho_");
    let credential = credential(grant, &canary.secret(), "cli", "oauth");
    let endpoints = GitHub::new().issuing_endpoints(credential.info()).unwrap();
    endpoints.as_slice().to_vec()
}

fn render_issuing(endpoints: &[IssuingEndpoint]) -> String {
    let mut text = String::new();
    for endpoint in endpoints {
        text.push_str(&format!("{}  {}\n", endpoint.target(), endpoint.issues()));
        for field in endpoint.graphql_fields() {
            text.push_str(&format!("    {field}\n"));
        }
    }
    text
}

#[test]
fn each_instance_has_its_rules() {
    for (file, grant) in [
        ("rules-dot-com.txt", "github"),
        ("rules-tenant.txt", "github:octo.ghe.com"),
        ("rules-server.txt", "github:ghe.example.com:8443"),
    ] {
        let rules = rules(&[grant]);
        rules.check_conflicts().unwrap();
        golden::check(format!("tests/golden/{file}"), &render(&rules));
    }
}

#[test]
fn all_instances_go_together() {
    let rules = rules(&[
        "github",
        "github:octo.ghe.com",
        "github:hexa.ghe.com",
        "github:ghe.example.com",
        "github:ghe.example.com:8443",
    ]);
    rules.check_conflicts().unwrap();
}

/// With subdomain isolation the gists of one server would be the other.
#[test]
fn two_servers_of_which_one_is_the_others_service_do_not() {
    let rules = rules(&["github:ghe.example.com", "github:gist.ghe.example.com"]);
    let error = rules.check_conflicts().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn each_instance_has_its_issuing_endpoints() {
    for (file, grant) in
        [("issuing-dot-com.txt", "github"), ("issuing-server.txt", "github:ghe.example.com")]
    {
        golden::check(format!("tests/golden/{file}"), &render_issuing(&issuing(grant)));
    }
}

#[test]
fn git_is_authenticated_at_gits_paths_alone() {
    let rules = rules(&["github"]);
    let fills = |host: &str, method: &Method, path: &str| {
        rules.credentials().iter().any(|rule| rule.target().matches(host, 443, method, path))
    };
    for (host, method, path) in [
        ("github.com", Method::GET, "/octo/repo/info/refs"),
        ("github.com", Method::GET, "/octo/repo.wiki.git/info/refs"),
        ("github.com", Method::POST, "/octo/repo.git/git-upload-pack"),
        ("github.com", Method::POST, "/octo/repo/git-receive-pack"),
        ("github.com", Method::POST, "/octo/repo.git/info/lfs/objects/batch"),
        ("github.com", Method::GET, "/octo/repo.git/info/lfs/locks"),
        ("gist.github.com", Method::GET, "/0123abcd.git/info/refs"),
        ("gist.github.com", Method::POST, "/octo/0123abcd.git/git-receive-pack"),
        ("api.github.com", Method::GET, "/user"),
        ("uploads.github.com", Method::POST, "/repos/octo/repo/releases/1/assets"),
        ("raw.githubusercontent.com", Method::GET, "/octo/repo/main/README.md"),
    ] {
        assert!(fills(host, &method, path), "{method} {host}{path}");
    }
    for (host, method, path) in [
        ("github.com", Method::GET, "/octo/repo"),
        ("github.com", Method::POST, "/octo/repo/info/refs"),
        ("github.com", Method::GET, "/octo/repo/releases/download/v1/x.tar.gz"),
        ("github.com", Method::POST, "/session"),
        ("github.com", Method::POST, "/login/oauth/access_token"),
        ("gist.github.com", Method::GET, "/octo"),
        ("codeload.github.com", Method::GET, "/octo/repo/tar.gz/main"),
        ("objects.githubusercontent.com", Method::GET, "/x"),
        ("github.com.example.com", Method::GET, "/octo/repo/info/refs"),
    ] {
        assert!(!fills(host, &method, path), "{method} {host}{path}");
    }
}

#[test]
fn issuing_endpoints_have_no_side_door() {
    let refused = |grant: &str, host: &str, method: Method, path: &str| {
        issuing(grant).iter().any(|endpoint| endpoint.target().matches(host, 443, &method, path))
    };
    let api = "api.github.com";
    for (method, path) in [
        (Method::POST, "/user/keys"),
        (Method::POST, "/repos/octo/repo/keys"),
        (Method::POST, "/repositories/1/keys"),
        (Method::PATCH, "/repositories/1/hooks/2"),
        (Method::POST, "/orgs/octo/actions/runners/registration-token"),
        (Method::POST, "/organizations/1/actions/runners/generate-jitconfig"),
        (Method::POST, "/enterprises/octo/actions/runners/remove-token"),
        (Method::PUT, "/organizations/1/team/2/memberships/mona"),
        (Method::GET, "/copilot_internal/v2/token"),
        (Method::POST, "/app/installations/1/access_tokens"),
    ] {
        assert!(refused("github", api, method.clone(), path), "{method} {path}");
    }
    for (method, path) in [
        (Method::GET, "/user/keys"),
        (Method::GET, "/repos/octo/repo/hooks"),
        (Method::POST, "/repos/octo/repo/pulls"),
        (Method::POST, "/repos/octo/repo/issues/1/comments"),
        (Method::POST, "/repos/octo/repo/actions/workflows/1/dispatches"),
        (Method::GET, "/copilot_internal/user"),
    ] {
        assert!(!refused("github", api, method.clone(), path), "{method} {path}");
    }
    assert!(refused("github", "github.com", Method::POST, "/login/device/code"));
    let server = "ghe.example.com";
    let grant = "github:ghe.example.com";
    let impersonation = "/api/v3/admin/users/mona/authorizations";
    assert!(refused(grant, server, Method::POST, impersonation));
    assert!(refused(grant, server, Method::POST, "/api/v3/repos/octo/repo/keys"));
    assert!(!refused(grant, server, Method::POST, "/repos/octo/repo/keys"));
}

/// gh sends `token X`, curl `Bearer X`, git a password: each finds the rule.
#[test]
fn clients_may_carry_the_placeholder_as_they_like() {
    let rules = rules(&["github"]);
    let placeholder = &rules.credentials()[0].placeholders()[0];
    for scheme in ["token", "Bearer", "bearer"] {
        let value = HeaderValue::from_str(&format!("{scheme} {placeholder}")).unwrap();
        assert!(placeholder.is_carried_by(&value), "{scheme}");
    }
}
