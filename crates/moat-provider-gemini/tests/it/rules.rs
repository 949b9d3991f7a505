//! Where key and token go, and what is refused.

use bytes::Bytes;
use http::request::Builder;
use http::{Method, Request, Response, StatusCode};
use moat_provider_core::{
    Companion, CredentialProvider, Fill, HeaderTemplate, Interest, ProxyRules,
};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::golden;
use serde_json::{Value, json};

use crate::support::{granted, placeholder, rules_of, run};

fn rules(source: &str) -> ProxyRules {
    let credential = granted(source);
    let run = run(std::slice::from_ref(&credential));
    let rules = rules_of(credential.info(), &run);
    rules.check_conflicts().unwrap();
    rules
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
        text.push_str(&format!(
            "{}  {}: {template}<{}>  in place of {fill}, in {:?}\n",
            rule.target(),
            rule.header(),
            rule.secret(),
            rule.slots(),
        ));
    }
    for answer in rules.answers() {
        let status = answer.answer().status().as_u16();
        text.push_str(&format!("{}  answered here: {status}\n", answer.target()));
    }
    text
}

#[test]
fn each_kind_has_its_rules() {
    golden::check("tests/golden/rules-key.txt", &render(&rules("prompt")));
    golden::check("tests/golden/rules-login.txt", &render(&rules("login")));
}

#[test]
fn each_credential_goes_to_its_paths_alone() {
    let goes = |source: &str, host: &str, method: &Method, path: &str| {
        let rules = rules(source);
        rules.credentials().iter().any(|rule| rule.target().matches(host, 443, method, path))
    };
    let (get, post) = (Method::GET, Method::POST);
    let (api, code, oauth) = (
        "generativelanguage.googleapis.com",
        "cloudcode-pa.googleapis.com",
        "oauth2.googleapis.com",
    );
    for (host, method, path, key, login) in [
        (api, &post, "/v1beta/models/gemini-3-pro:streamGenerateContent", true, false),
        (api, &get, "/v1beta/models", true, false),
        (api, &post, "/v1beta/openai/chat/completions", true, false),
        (api, &post, "/upload/v1beta/files", true, false),
        (api, &post, "/v1beta/corpora/x/permissions", false, false),
        (api, &post, "/v1beta/tunedModels/x/permissions", false, false),
        (api, &post, "/v1alpha/auth_tokens", false, false),
        (code, &post, "/v1internal:generateContent", false, true),
        (code, &post, "/v1internal:loadCodeAssist", false, true),
        (code, &get, "/v1internal/operations/x", false, true),
        (code, &post, "/v1internal:somethingNew", false, false),
        (oauth, &post, "/tokeninfo", false, true),
        (oauth, &post, "/token", false, false),
        (oauth, &post, "/revoke", false, false),
        ("storage.googleapis.com", &post, "/upload", false, false),
        ("www.googleapis.com", &get, "/oauth2/v2/userinfo", false, false),
    ] {
        assert_eq!(goes("prompt", host, method, path), key, "key {method} {host}{path}");
        assert_eq!(goes("login", host, method, path), login, "login {method} {host}{path}");
    }
}

#[test]
fn a_refresh_from_inside_gets_the_placeholder() {
    let credential = granted("import");
    let run = run(std::slice::from_ref(&credential));
    let rules = rules_of(credential.info(), &run);
    let answer = |host: &str, method: &Method, path: &str| {
        let found = rules.answers().iter().find(|a| a.target().matches(host, 443, method, path));
        found.map(|found| {
            let body: Value = serde_json::from_slice(found.answer().body()).unwrap();
            (found.answer().status().as_u16(), body)
        })
    };
    let (status, token) = answer("oauth2.googleapis.com", &Method::POST, "/token").unwrap();
    assert_eq!(status, 200);
    assert_eq!(token["access_token"], placeholder(credential.info(), &run).as_str());
    let (status, _) = answer("oauth2.googleapis.com", &Method::POST, "/revoke").unwrap();
    assert_eq!(status, 403);
    let userinfo = answer("www.googleapis.com", &Method::GET, "/oauth2/v2/userinfo");
    assert_eq!(userinfo.unwrap().0, 403);
    assert_eq!(answer("oauth2.googleapis.com", &Method::POST, "/tokeninfo"), None);
}

#[test]
fn a_login_that_is_refused_names_the_command_that_helps() {
    let said = |path: &str, status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        let companions = rules("import")
            .credentials()
            .iter()
            .flat_map(|r| r.companions().to_vec())
            .collect::<Vec<_>>();
        companions.into_iter().find_map(|companion| match companion {
            Companion::RewriteAnswer(rewrite) if rewrite.applies(path, status) => {
                let body = String::from_utf8(rewrite.answer().body().to_vec()).unwrap();
                Some((rewrite.answer().status().as_u16(), body))
            }
            _ => None,
        })
    };
    let (status, body) = said("/v1internal:streamGenerateContent", 401).unwrap();
    assert_eq!(status, 401);
    assert!(body.contains("run: moat grant gemini"), "{body}");
    assert_eq!(said("/v1internal:streamGenerateContent", 403), None);
    assert_eq!(said("/tokeninfo", 401), None);
}

/// Returns what a client reads that sent this request and got this answer.
fn read(rules: &ProxyRules, request: Builder, status: u16, body: &Value) -> Option<Value> {
    let transformer = rules.transforms()[0].transformer().clone();
    let request = request.body(()).unwrap().into_parts().0;
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json; charset=UTF-8");
    let response = response.body(()).unwrap().into_parts().0;
    let Interest::Body { limit } = transformer.interest(&request, &response) else { return None };
    let body = Bytes::from(body.to_string());
    assert!(body.len() < limit);
    let is_rejection = transformer.is_rejection(&request, &body);
    let changed = transformer.transform_body(&request, body.clone()).unwrap();
    assert_eq!(is_rejection, changed != body, "who reads it and who keeps the key hear the same");
    Some(serde_json::from_slice(&changed).unwrap())
}

fn no_valid_key() -> Value {
    let reason = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    });
    json!({"error": {
        "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [reason],
    }})
}

#[test]
fn a_key_that_is_rejected_names_the_command_that_helps() {
    let rules = rules("prompt");
    let targets = rules.transforms().iter().map(|rule| rule.target());
    let of_key: Vec<_> = rules.credentials().iter().map(|rule| rule.target()).collect();
    assert_eq!(targets.collect::<Vec<_>>(), of_key, "no strict run may go further");
    let placeholder = &rules.credentials()[0].placeholders()[0];
    let (ours, other) = (placeholder.as_str(), "AIza-of-the-client");
    let at =
        |query: &str| format!("https://generativelanguage.googleapis.com/v1beta/models{query}");
    let plain = || Request::post(at("?alt=sse"));
    for request in [
        plain(),
        plain().header("x-goog-api-key", ours),
        plain().header("authorization", format!("Bearer {ours}")),
        Request::get(at(&format!("?key={ours}"))),
    ] {
        let mut expected = no_valid_key();
        let read = read(&rules, request, 400, &no_valid_key()).unwrap();
        let said = read["error"]["message"].as_str().unwrap();
        assert!(said.contains("run: moat grant gemini"), "{said}");
        expected["error"]["message"] = json!(said);
        assert_eq!(read, expected, "what clients look at stays");
    }
    let list = read(&rules, plain(), 400, &json!([no_valid_key()])).unwrap();
    assert!(list[0]["error"]["message"].as_str().unwrap().contains("moat grant gemini"));
    for request in [
        plain().header("x-goog-api-key", other),
        plain().header("authorization", format!("Bearer {other}")),
        Request::get(at(&format!("?key={other}"))),
    ] {
        assert_eq!(read(&rules, request, 400, &no_valid_key()), None, "not this grant's key");
    }
}

#[test]
fn what_else_is_wrong_with_a_request_is_said_as_it_is() {
    let rules = rules("prompt");
    let post = || Request::post("https://generativelanguage.googleapis.com/v1beta/models/m:x");
    let mut other = no_valid_key();
    other["error"]["details"][0]["reason"] = json!("API_KEY_SERVICE_BLOCKED");
    let bad_field = json!({"error": {
        "code": 400, "message": "API_KEY_INVALID", "status": "INVALID_ARGUMENT",
    }});
    for body in [other, bad_field, json!({"error": "API_KEY_INVALID"}), json!([]), json!("x")] {
        assert_eq!(read(&rules, post(), 400, &body), Some(body));
    }
    for status in [200, 401, 403, 429, 500] {
        assert_eq!(read(&rules, post(), status, &no_valid_key()), None, "{status}");
    }
}

#[test]
fn what_issues_credentials_is_declared() {
    let text: String = ["prompt", "login"]
        .into_iter()
        .flat_map(|source| {
            let endpoints = Gemini::new().issuing_endpoints(granted(source).info()).unwrap();
            let endpoints = endpoints.as_slice().to_vec();
            endpoints.into_iter().map(|e| format!("{}  {}\n", e.target(), e.issues()))
        })
        .collect();
    golden::check("tests/golden/issuing.txt", &text);
}
