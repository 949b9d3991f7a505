//! Where token and key go, and what is answered in the vendor's place.

use http::{Method, StatusCode};
use moat_provider_codex::{Codex, OpenAi, Transport};
use moat_provider_core::{
    Companion, Credential, CredentialProvider, Fill, HeaderTemplate, ProxyRules,
};
use moat_provider_testkit::{Ports, golden};
use serde_json::Value;

use crate::support::{ACCOUNT, granted, placeholder, prepare, rules_of, run};

fn rules(credential: &Credential) -> ProxyRules {
    let run = run(std::slice::from_ref(credential), None);
    let rules = rules_of(credential.info(), &run);
    rules.check_conflicts().unwrap();
    rules
}

fn with(credential: Credential, entries: &[(&str, &str)]) -> Credential {
    let renewed = entries.iter().fold(credential.renew(), |next, (entry, value)| {
        next.metadata((*entry).to_owned(), (*value).to_owned())
    });
    renewed.build()
}

fn render(rules: &ProxyRules) -> String {
    let mut text = String::new();
    for rule in rules.credentials() {
        let template = match rule.template() {
            HeaderTemplate::Bearer => "Bearer ",
            other => panic!("{other:?}"),
        };
        let fill = match rule.fills() {
            Fill::EmptyOrPlaceholder => "empty or placeholder",
            Fill::PlaceholderOnly => "placeholder",
        };
        text.push_str(&format!(
            "{}  {}: {template}<{}>  in place of {fill}",
            rule.target(),
            rule.header(),
            rule.secret(),
        ));
        for companion in rule.companions() {
            match companion {
                Companion::SetHeader(name, value) => {
                    text.push_str(&format!(", {name}: {}", value.to_str().unwrap()));
                }
                Companion::RewriteAnswer(rewrite) => {
                    let status = rewrite.answer().status().as_u16();
                    text.push_str(&format!(", 401 becomes {status}"));
                }
                other => panic!("{other:?}"),
            }
        }
        text.push('\n');
    }
    for answer in rules.answers() {
        let status = answer.answer().status().as_u16();
        text.push_str(&format!("{}  answered here: {status}\n", answer.target()));
    }
    text
}

#[test]
fn each_kind_has_its_rules() {
    golden::check("tests/golden/rules-key.txt", &render(&rules(&granted("openai"))));
    golden::check("tests/golden/rules-login.txt", &render(&rules(&granted("device"))));
    golden::check("tests/golden/rules-access-token.txt", &render(&rules(&granted("env"))));
}

#[test]
fn each_credential_goes_to_its_paths_alone() {
    let [of_key, of_login] = ["openai", "device"].map(|what| rules(&granted(what)));
    let goes = |rules: &ProxyRules, host: &str, method: &Method, path: &str| {
        rules.credentials().iter().any(|rule| rule.target().matches(host, 443, method, path))
    };
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let (api, chatgpt) = ("api.openai.com", "chatgpt.com");
    for (host, method, path, key, login) in [
        (api, &post, "/v1/responses", true, false),
        (api, &get, "/v1/responses", true, false),
        (api, &post, "/v1/chat/completions", true, false),
        (api, &get, "/v1/models/gpt-6", true, false),
        (api, &delete, "/v1/models/ft:mine", false, false),
        (api, &post, "/v1/organization/admin_api_keys", false, false),
        (api, &post, "/v1/realtime/client_secrets", false, false),
        (api, &post, "/v1/responsesx", false, false),
        (chatgpt, &get, "/backend-api/codex/responses", false, true),
        (chatgpt, &post, "/backend-api/codex/responses", false, true),
        (chatgpt, &get, "/backend-api/wham/accounts/check", false, true),
        (chatgpt, &post, "/backend-api/wham/accounts/check", false, false),
        (chatgpt, &post, "/backend-api/wham/tasks", false, false),
        (chatgpt, &get, "/backend-api/conversations", false, false),
        (chatgpt, &get, "/api/auth/session", false, false),
        ("auth.openai.com", &post, "/oauth/token", false, false),
        ("auth.openai.com", &post, "/oauth/revoke", false, false),
        ("eu.chatgpt.com", &post, "/backend-api/codex/responses", false, false),
        ("platform.openai.com", &get, "/v1/models", false, false),
    ] {
        assert_eq!(goes(&of_key, host, method, path), key, "key {method} {host}{path}");
        assert_eq!(goes(&of_login, host, method, path), login, "login {method} {host}{path}");
    }
}

#[test]
fn the_host_of_the_account_is_one_of_the_vendors() {
    for (backend, is_used) in [
        ("eu.chatgpt.com", true),
        ("gov.openai.com", true),
        ("chatgpt.com.example", false),
        ("evilchatgpt.com", false),
        ("*.chatgpt.com", false),
    ] {
        let login = with(granted("device"), &[("codex_backend", backend)]);
        let hosts = rules(&login).credentials().iter().any(|rule| {
            rule.target().matches(backend, 443, &Method::POST, "/backend-api/codex/responses")
        });
        assert_eq!(hosts, is_used, "{backend}");
    }
}

#[test]
fn who_pays_is_said_here() {
    let key =
        with(granted("openai"), &[("openai_organization", "org-1"), ("openai_project", "proj_1")]);
    let text = render(&rules(&key));
    assert!(
        text.lines()
            .all(|line| line.contains("openai-organization: org-1, openai-project: proj_1"))
    );
    let text = render(&rules(&granted("env")));
    let lines = text.lines().filter(|line| line.contains("Bearer"));
    assert!(lines.clone().count() > 5);
    assert!(lines.into_iter().all(|line| line.contains(&format!("chatgpt-account-id: {ACCOUNT}"))));
}

#[test]
fn whoever_refreshes_or_logs_out_inside_gets_nothing_and_ends_nothing() {
    let login = granted("device");
    let run = run(std::slice::from_ref(&login), None);
    let rules = rules_of(login.info(), &run);
    let answer = |path: &str| -> Value {
        let found = rules
            .answers()
            .iter()
            .find(|answer| answer.target().matches("auth.openai.com", 443, &Method::POST, path));
        serde_json::from_slice(found.unwrap().answer().body()).unwrap()
    };
    let tokens = answer("/oauth/token");
    let placeholder = placeholder(login.info(), &run);
    for name in ["access_token", "refresh_token", "id_token"] {
        assert_eq!(tokens[name], placeholder.as_str(), "{name}");
    }
    assert_eq!(answer("/oauth/revoke"), serde_json::json!({}));
}

#[test]
fn a_credential_that_is_refused_names_the_command_that_helps() {
    let said = |what: &str, path: &str, status: StatusCode| {
        let rules = rules(&granted(what));
        let companions: Vec<_> =
            rules.credentials().iter().flat_map(|rule| rule.companions().to_vec()).collect();
        companions.into_iter().find_map(|companion| match companion {
            Companion::RewriteAnswer(rewrite) if rewrite.applies(path, status) => {
                let body = String::from_utf8(rewrite.answer().body().to_vec()).unwrap();
                Some((rewrite.answer().status().as_u16(), body))
            }
            _ => None,
        })
    };
    let (api, chatgpt) = ("/v1/responses", "/backend-api/codex/responses");
    let models = "/backend-api/codex/models";
    let no = StatusCode::UNAUTHORIZED;
    for (what, path, status, command) in [
        ("openai", api, 400, "run: moat grant openai"),
        ("env", chatgpt, 400, "run: moat grant codex"),
        // There is time for the host to renew it.
        ("device", chatgpt, 401, "run: moat grant codex"),
        ("env", models, 401, "run: moat grant codex"),
    ] {
        let (found, body) = said(what, path, no).unwrap();
        assert_eq!(found, status, "{what} {path}");
        assert!(body.contains(command), "{body}");
    }
    assert_eq!(said("openai", api, StatusCode::TOO_MANY_REQUESTS), None);
    assert_eq!(said("env", "/backend-api/wham/accounts/check", no), None);
}

#[test]
fn the_agent_adds_the_answers_that_it_needs() {
    let answers = |transport: Transport, grants: &[&str], default: Option<&str>| {
        let credentials = grants.iter().map(|what| granted(what)).collect();
        let codex = Codex::new().transport(transport);
        let container = prepare(&codex, &Ports::bare(), credentials, default, |_| {}).unwrap();
        render(&container.config.rules)
    };
    let (socket, http) = (Transport::WebSocket, Transport::Http);
    let no_models = "GET chatgpt.com/backend-api/codex/models  answered here: 200\n";
    let of_key = "GET api.openai.com/v1/responses  answered here: 426\n";
    let of_login = "GET chatgpt.com/backend-api/codex/responses  answered here: 426\n";
    let openai = Some("openai");
    for (transport, grants, default, expected) in [
        (socket, &["device"][..], None, String::new()),
        (socket, &["openai"], None, no_models.to_owned()),
        (socket, &["device", "openai"], None, String::new()),
        (socket, &["device", "openai"], openai, no_models.to_owned()),
        (http, &["device"], None, of_login.to_owned()),
        (http, &["openai"], None, format!("{of_key}{no_models}")),
        (http, &["device", "openai"], None, format!("{of_login}{of_key}")),
    ] {
        assert_eq!(answers(transport, grants, default), expected, "{transport:?} {grants:?}");
    }
}

#[test]
fn what_issues_credentials_is_declared() {
    let (codex, openai) = (Codex::new(), OpenAi::new());
    let text: String = [(&openai as &dyn CredentialProvider, "openai"), (&codex, "device")]
        .into_iter()
        .flat_map(|(provider, what)| {
            let endpoints = provider.issuing_endpoints(granted(what).info()).unwrap();
            let endpoints = endpoints.as_slice().to_vec();
            endpoints.into_iter().map(|e| format!("{}  {}\n", e.target(), e.issues()))
        })
        .collect();
    golden::check("tests/golden/issuing.txt", &text);
}
