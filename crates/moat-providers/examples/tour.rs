//! A tour of one provider: what becomes of a token, from the grant to the request on the wire.
//!
//! `cargo run -p moat-providers --features github --example tour`. Nothing leaves the machine: the
//! vendor is a double on loopback, the token is drawn for this run, and the "proxy" is the last
//! function of this file.

#![expect(clippy::print_stdout, reason = "the tour speaks to its terminal")]

use std::error::Error;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use moat_provider_testkit::{
    Canary, FakeEnvironment, Ports, VendorDouble, block_on, json, requires_bearer,
};
use moat_providers::core::{
    CredentialProvider, GrantRequest, PlaceholderKey, ProxyRules, RunContext, Secrets, Staging,
};

fn main() -> Result<(), Box<dyn Error>> {
    let registry = moat_providers::builtin()?.build();
    let key = registry.resolve(&"github".parse()?)?;
    let provider = registry.require(key.provider().as_str())?;
    let github = provider.as_credential().ok_or("GitHub grants credentials")?;

    println!("1. The grant. The person has a token in GH_TOKEN; the double takes that one only.\n");
    let token = Canary::with_prefix("github_pat_");
    let vendor = requires_bearer(&token.secret(), |_: &Request<Bytes>| {
        json(200, &serde_json::json!({"login": "octocat"}))
    });
    let double = VendorDouble::https(vendor, ["api.github.com"]);
    let environment = FakeEnvironment::new().secret("GH_TOKEN", token.secret());
    let ports = Ports::new().with_environment(environment).with_client(double.client());
    let request = GrantRequest::new(key);
    let credential = block_on(github.grant(&ports.grant_context(), &request))?;
    println!("{}", indented(ports.terminal().shown().trim()));
    for (name, value) in credential.info().all_metadata() {
        println!("   {name:<14} {value}");
    }

    println!("\n2. What the container gets: placeholders.\n");
    let placeholders = PlaceholderKey::generate(&**ports.host_context().entropy())?;
    let run = RunContext::builder("tour".parse()?, "/home/agent".parse()?, placeholders)
        .grant(credential.info().clone())
        .build();
    let staging = staging(github, &run)?;
    for var in staging.env() {
        println!("   {}={}", var.name(), var.value());
    }
    for file in staging.files() {
        println!("   {} ({} bytes)", file.path(), file.contents().len());
    }

    println!("\n3. What the proxy is told: where the token goes, by name.\n");
    let mut rules = ProxyRules::default();
    github.configure_proxy(&mut rules, credential.info(), &run)?;
    rules.check_conflicts()?;
    for rule in rules.credentials() {
        println!("   {:<55} {:?}", rule.target().to_string(), rule.template());
    }
    let issuing = github.issuing_endpoints(credential.info())?;
    println!("   {} endpoints that issue credentials are refused", issuing.as_slice().len());

    println!("\n4. A request of the container, before and after.\n");
    let inside = staging.env().find(|var| var.name() == "GH_TOKEN").ok_or("GH_TOKEN is set")?;
    let sent = HeaderValue::from_str(&format!("token {}", inside.value()))?;
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, sent)]);
    println!("   the container sends   authorization: token {}", inside.value());
    let filled = fill(&rules, credential.secrets(), "api.github.com", "/user", &mut headers)?;
    println!("   the vendor receives   authorization: Bearer <{filled}>");
    let mut request = Request::get("https://api.github.com/user").body(Bytes::new())?;
    *request.headers_mut() = headers;
    let answer = block_on(ports.host_context().http().send(request))?;
    println!("   and answers           {}", answer.status());
    assert_eq!(answer.status(), StatusCode::OK);

    println!("\n5. The token, in all of the above, in any encoding.\n");
    let everything = format!("{staging:?} {rules:?} {run:?} {credential:?}");
    let files = staging.files().map(|file| token.find_in(file.contents()));
    assert!(token.find_in_str(&everything).is_none() && files.flatten().next().is_none());
    println!("   found nowhere");
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}\n")).collect()
}

fn staging(provider: &dyn CredentialProvider, run: &RunContext) -> Result<Staging, Box<dyn Error>> {
    let mut staging = Staging::default();
    let infos: Vec<_> = run.grants().iter().collect();
    for info in &infos {
        staging.add_env(info.key(), provider.container_env(&infos, run)?)?;
        staging.add_mounts(info.key(), provider.container_mounts(&infos, run)?)?;
    }
    Ok(staging)
}

/// The heart of a proxy: the rule whose target matches and whose placeholder came is used.
fn fill(
    rules: &ProxyRules,
    secrets: &Secrets,
    host: &str,
    path: &str,
    headers: &mut HeaderMap,
) -> Result<String, Box<dyn Error>> {
    for rule in rules.credentials() {
        let asked_for = headers.get(rule.header()).is_some_and(|value| {
            rule.placeholders().iter().any(|placeholder| placeholder.is_carried_by(value))
        });
        if asked_for && rule.target().matches(host, 443, &Method::GET, path) {
            let value = rule.template().render(secrets.require(rule.secret().name())?)?;
            headers.insert(rule.header(), value);
            return Ok(rule.secret().to_string());
        }
    }
    Err("no rule is meant for this request".into())
}
