//! Where token and key go, and what is refused.

use http::header::HeaderValue;
use http::{Method, StatusCode};
use moat_provider_claude::Claude;
use moat_provider_core::{
    Companion, Credential, CredentialProvider, CredentialRule, Fill, HeaderTemplate, ProxyRules,
};
use moat_provider_testkit::golden;
use serde_json::Value;

use crate::support::{granted, placeholder, rules_of, run};

fn rules(grants: &[&str], default: Option<&str>) -> ProxyRules {
    let credentials = granted(grants);
    let run = run(&credentials, default);
    let mut rules = ProxyRules::default();
    for credential in &credentials {
        rules.extend(rules_of(credential.info(), &run));
    }
    rules.check_conflicts().unwrap();
    rules
}

fn render_companion(companion: &Companion) -> String {
    match companion {
        Companion::AppendToList(name, value) => format!("{name} also {}", value.to_str().unwrap()),
        Companion::RemoveHeader(name) => format!("no {name}"),
        Companion::RewriteAnswer(rewrite) => {
            let body = String::from_utf8(rewrite.answer().body().to_vec()).unwrap();
            format!("answered instead: {} {body}", rewrite.answer().status().as_u16())
        }
        other => format!("{other:?}"),
    }
}

fn render(rules: &ProxyRules) -> String {
    let mut text = String::new();
    for rule in rules.credentials() {
        let template = match rule.template() {
            HeaderTemplate::Bearer => "Bearer ",
            HeaderTemplate::Raw => "",
            other => panic!("{other:?}"),
        };
        let fill = match rule.fills() {
            Fill::EmptyOrPlaceholder => "empty or placeholder",
            Fill::PlaceholderOnly => "placeholder",
        };
        assert_eq!(rule.group_name(), Some("anthropic-api"));
        assert_eq!(rule.placeholders().len(), 1);
        text.push_str(&format!(
            "{}  {}: {template}<{}>  in place of {fill}\n",
            rule.target(),
            rule.header(),
            rule.secret(),
        ));
        for companion in rule.companions() {
            text.push_str(&format!("    {}\n", render_companion(companion)));
        }
    }
    for answer in rules.answers() {
        text.push_str(&format!("{}  answered here\n", answer.target()));
    }
    for target in rules.reachable() {
        text.push_str(&format!("{target}  nothing\n"));
    }
    text
}

#[test]
fn each_combination_has_its_rules() {
    let both: &[&str] = &["claude", "anthropic"];
    for (file, grants, default) in [
        ("rules-claude.txt", &["claude"][..], None),
        ("rules-anthropic.txt", &["anthropic"], None),
        ("rules-both.txt", both, None),
        ("rules-both-claude-default.txt", both, Some("claude")),
        ("rules-both-anthropic-default.txt", both, Some("anthropic")),
    ] {
        golden::check(format!("tests/golden/{file}"), &render(&rules(grants, default)));
    }
}

/// Law L3: of two grants at most one fills what is empty.
#[test]
fn at_most_one_grant_fills_an_empty_request() {
    let filling = |grants: &[&str], default| {
        let rules = rules(grants, default);
        let fills = |rule: &&CredentialRule| rule.fills() == Fill::EmptyOrPlaceholder;
        let mut names: Vec<_> =
            rules.credentials().iter().filter(fills).map(|rule| rule.grant().to_string()).collect();
        names.dedup();
        names
    };
    assert!(filling(&["claude"], None).is_empty());
    assert_eq!(filling(&["claude"], Some("claude")), ["claude"]);
    assert_eq!(filling(&["anthropic"], None), ["anthropic"]);
    assert!(filling(&["claude", "anthropic"], None).is_empty());
    assert_eq!(filling(&["anthropic", "claude"], Some("claude")), ["claude"]);
    assert_eq!(filling(&["claude", "anthropic"], Some("anthropic")), ["anthropic"]);
}

#[test]
fn each_credential_goes_to_its_paths_alone() {
    let goes = |grant: &str, host: &str, method: &Method, path: &str| {
        let rules = rules(&[grant], None);
        rules.credentials().iter().any(|rule| rule.target().matches(host, 443, method, path))
    };
    let api = "api.anthropic.com";
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, claude, anthropic) in [
        (&post, "/v1/messages", true, true),
        (&post, "/v1/messages/count_tokens", true, true),
        (&post, "/v1/messages/batches", true, true),
        (&get, "/v1/models", true, true),
        (&get, "/api/claude_code/settings", true, true),
        (&get, "/api/oauth/profile", true, false),
        (&get, "/api/oauth/usage", true, false),
        (&post, "/v1/files", false, true),
        (&post, "/v1/models", false, false),
        (&post, "/v1/messagesX", false, false),
        (&post, "/api/oauth/claude_cli/create_api_key", false, false),
        (&get, "/api/oauth/claude_cli/roles", false, false),
        (&get, "/api/oauth/account/settings", false, false),
        (&post, "/v1/oauth/token", false, false),
        (&get, "/v1/organizations/api_keys", false, false),
        (&get, "/v1/mcp_servers", false, false),
        (&post, "/v1/code/sessions", false, false),
        (&get, "/v1/vaults", false, false),
        (&post, "/api/claude_code_shared_session_transcripts", false, false),
        (&get, "/", false, false),
    ] {
        assert_eq!(goes("claude", api, method, path), claude, "claude {method} {path}");
        assert_eq!(goes("anthropic", api, method, path), anthropic, "anthropic {method} {path}");
    }
    for host in ["platform.claude.com", "claude.ai", "mcp-proxy.anthropic.com", "anthropic.com"] {
        assert!(!goes("claude", host, &post, "/v1/messages"), "{host}");
    }
}

#[test]
fn what_issues_credentials_is_declared() {
    let credentials = granted(&["claude"]);
    let endpoints = Claude::new().issuing_endpoints(credentials[0].info()).unwrap();
    let text: String = endpoints
        .as_slice()
        .iter()
        .map(|endpoint| format!("{}  {}\n", endpoint.target(), endpoint.issues()))
        .collect();
    golden::check("tests/golden/issuing.txt", &text);
}

/// Clients send tokens as `Bearer`, keys as `x-api-key`, and some SDKs keys as `Bearer`.
#[test]
fn placeholders_are_found_in_the_slots_of_the_vendor() {
    let credentials = granted(&["claude", "anthropic"]);
    let run = run(&credentials, None);
    let [token, key] = [0, 1].map(|at: usize| placeholder(credentials[at].info(), &run));
    assert_ne!(token, key);
    for (placeholder, value) in [
        (&token, format!("Bearer {token}")),
        (&key, format!("bearer {key}")),
        (&key, key.to_string()),
    ] {
        assert!(placeholder.is_carried_by(&HeaderValue::from_str(&value).unwrap()));
    }
    let slots: Vec<_> = rules(&["anthropic"], None).credentials()[0].slots();
    let named = |name: &str| slots.iter().any(|slot| format!("{slot:?}").contains(name));
    assert!(named("authorization") && named("x-api-key"), "{slots:?}");
}

/// Returns the status and body that an answer is replaced by.
fn rewritten(path: &str, status: u16, credential: &Credential) -> Option<(u16, Value)> {
    let credentials = [credential.clone()];
    let rules = rules_of(credential.info(), &run(&credentials, None));
    let status = StatusCode::from_u16(status).unwrap();
    let rule = rules
        .credentials()
        .iter()
        .find(|rule| rule.target().matches("api.anthropic.com", 443, &Method::GET, path))?;
    rule.companions().iter().find_map(|companion| match companion {
        Companion::RewriteAnswer(rewrite) if rewrite.applies(path, status) => {
            let body = serde_json::from_slice(rewrite.answer().body()).unwrap();
            Some((rewrite.answer().status().as_u16(), body))
        }
        _ => None,
    })
}

#[test]
fn only_a_403_on_profile_and_usage_is_answered_here() {
    let [credential] = &granted(&["claude"])[..] else { panic!("one grant") };
    let (status, profile) = rewritten("/api/oauth/profile", 403, credential).unwrap();
    assert_eq!(status, 200);
    assert!(profile["account"]["uuid"].is_string() && profile["organization"]["uuid"].is_string());
    assert_eq!(profile["organization"]["organization_type"], "claude_max");
    let (status, usage) = rewritten("/api/oauth/usage", 403, credential).unwrap();
    assert_eq!(status, 200);
    assert!(usage.as_object().unwrap().contains_key("five_hour"));
    for (path, status) in [
        ("/api/oauth/profile", 401),
        ("/api/oauth/profile", 429),
        ("/api/oauth/usage", 200),
        ("/api/claude_code/settings", 403),
        ("/v1/models", 403),
    ] {
        assert_eq!(rewritten(path, status, credential), None, "{status} {path}");
    }
}

#[test]
fn a_credential_that_is_refused_names_the_command_that_helps() {
    for (grant, command) in [("claude", "moat grant claude"), ("anthropic", "moat grant anthropic")]
    {
        let [credential] = &granted(&[grant])[..] else { panic!("one grant") };
        for path in ["/v1/messages", "/v1/messages/count_tokens"] {
            let (status, body) = rewritten(path, 401, credential).unwrap();
            assert_eq!(status, 403);
            assert_eq!(body["error"]["type"], "permission_error");
            assert!(body["error"]["message"].as_str().unwrap().ends_with(command), "{body}");
        }
        assert_eq!(rewritten("/v1/messages", 403, credential), None);
        assert_eq!(rewritten("/v1/models", 401, credential), None);
    }
}

#[test]
fn a_login_from_inside_gets_the_placeholder() {
    let credentials = granted(&["claude"]);
    let run = run(&credentials, None);
    let rules = rules_of(credentials[0].info(), &run);
    let [answer] = rules.answers() else { panic!("one answer") };
    let host = "platform.claude.com";
    assert!(answer.target().matches(host, 443, &Method::POST, "/v1/oauth/token"));
    assert!(!answer.target().matches(host, 443, &Method::GET, "/v1/oauth/hello"));
    let body: Value = serde_json::from_slice(answer.answer().body()).unwrap();
    let placeholder = placeholder(credentials[0].info(), &run);
    assert_eq!(body["access_token"], placeholder.as_str());
    assert_eq!(body["refresh_token"], placeholder.as_str());
    assert_eq!(body["scope"], "user:inference");
}
