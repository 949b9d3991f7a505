//! Where keys and logins come from, and what is kept of them.

use moat_provider_core::{Answer, Credential, Secret, SecretName};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::{
    Canary, FakeClock, FakeEnvironment, FakeFiles, FakeRedirects, FakeTerminal, Ports,
};
use serde_json::Value;

use crate::support::{
    Google, access_token, api_key, client, grant, host_file, kind_name, refresh_token, table, time,
};

/// Credentials that Google knows, and some that it does not.
struct Secrets {
    key: Canary,
    token: Canary,
    refresh: Canary,
    client: Canary,
    dead_key: Canary,
    dead_token: Canary,
}

impl Secrets {
    fn draw() -> Self {
        Self {
            key: api_key(),
            token: access_token(),
            refresh: refresh_token(),
            client: Canary::shaped("", moat_provider_core::Alphabet::Base64Url, 35),
            dead_key: api_key(),
            dead_token: access_token(),
        }
    }

    fn fill(&self, text: &str) -> String {
        let (first, rest) = self.key.text().split_at(20);
        text.replace("{KEY IN LINES}", &format!("{first}\n  {rest}\r\n"))
            .replace("{KEY}", self.key.text())
            .replace("{TOKEN}", self.token.text())
            .replace("{CLIENT SECRET}", self.client.text())
            .replace("{DEAD KEY}", self.dead_key.text())
            .replace("{DEAD TOKEN}", self.dead_token.text())
    }

    fn are_not_in(&self, text: &str) {
        let all =
            [&self.key, &self.token, &self.refresh, &self.client, &self.dead_key, &self.dead_token];
        for canary in all {
            assert_eq!(canary.find_in_str(text), None, "a secret is in {text}");
        }
    }
}

fn files(case: &Value, secrets: &Secrets) -> FakeFiles {
    let file = host_file("oauth_creds.json");
    match &case["file"] {
        Value::Null => FakeFiles::new(),
        Value::String(word) if word == "unreadable" => FakeFiles::new().unreadable(&file),
        Value::String(text) => FakeFiles::new().file(&file, Secret::new(text.clone())),
        login => FakeFiles::new().file(&file, Secret::new(secrets.fill(&login.to_string()))),
    }
}

fn terminal(case: &Value, secrets: &Secrets) -> FakeTerminal {
    let mut terminal = FakeTerminal::new();
    for step in case["terminal"].as_array().into_iter().flatten() {
        let (step, value) = step.as_object().unwrap().iter().next().unwrap();
        let value = value.as_str().unwrap();
        terminal = match step.as_str() {
            "choose" => terminal.expect_choose("Gemini", value),
            "confirm" if value == "yes" => terminal.expect_confirm("browser", Answer::Yes),
            "confirm" => terminal.expect_confirm("browser", Answer::No),
            "key" => terminal.expect_secret("API key", Secret::new(secrets.fill(value))),
            "open" => terminal.expect_open(value),
            "no browser" => terminal.expect_open_without_browser(value),
            "told" => terminal.expect_tell(value),
            step => panic!("{step} is no step"),
        };
    }
    terminal.then_not_interactive()
}

fn ports(case: &Value, secrets: &Secrets) -> Ports {
    let variables = case["env"].as_object().into_iter().flatten();
    let environment = variables.fold(FakeEnvironment::new(), |environment, (name, value)| {
        let value = secrets.fill(value.as_str().unwrap());
        environment.secret(name, Secret::new(value))
    });
    let mut google =
        Google::knowing([&secrets.key, &secrets.token]).issues(&secrets.token, &secrets.client);
    if case["client"] != "once" {
        google = google.refresh(&secrets.refresh);
    }
    let redirects = match case["redirect"].as_str() {
        None => FakeRedirects::new(),
        Some("stranger") => FakeRedirects::new().expect_stranger("/oauth2callback"),
        Some(query) => FakeRedirects::new().expect("/oauth2callback", query),
    };
    Ports::new()
        .with_clock(FakeClock::at(time("2026-11-20T12:00:00Z")))
        .with_environment(environment)
        .with_files(files(case, secrets))
        .with_terminal(terminal(case, secrets))
        .with_redirects(redirects)
        .with_vendor(google)
}

#[test]
fn each_source_yields_its_credential() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let secrets = Secrets::draw();
        let ports = ports(&case, &secrets);
        let gemini = match case["client"].is_null() {
            true => Gemini::new(),
            false => Gemini::new().oauth_client(client(&secrets.client)),
        };
        match (grant(&gemini, &ports, case["source"].as_str()), case["error"].as_str()) {
            (Ok(credential), None) => check_credential(name, &case, &secrets, &credential),
            (Err(error), Some(kind)) => {
                assert_eq!(kind_name(error.kind()), kind, "{name}: {error}");
                let message = case["message"].as_str().unwrap();
                assert!(error.cause().message().contains(message), "{name}: {error}");
                let hint = error.hint().unwrap();
                assert!(hint.contains(case["hint"].as_str().unwrap()), "{name}: {hint}");
                secrets.are_not_in(&format!("{error} {error:?}"));
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        }
        ports.verify();
        secrets.are_not_in(&ports.terminal().shown());
    }
}

fn check_credential(name: &str, case: &Value, secrets: &Secrets, credential: &Credential) {
    let info = credential.info();
    let source = case["from"].as_str().unwrap();
    assert_eq!(info.metadata(Credential::TOKEN_SOURCE), Some(source), "{name}");
    let is_login = matches!(source, "login" | "import");
    let token = if is_login { &secrets.token } else { &secrets.key };
    assert!(credential.token().same_as(&token.secret()), "{name}");
    assert_eq!(info.metadata("auth_type"), is_login.then_some("oauth"), "{name}");
    assert_eq!(info.metadata("google_subject"), is_login.then_some("1234567890"), "{name}");
    assert_eq!(info.expires_at(), case["expires"].as_str().map(time), "{name}");
    let refresh = credential.secrets().get(&SecretName::REFRESH_TOKEN);
    // The refresh token of another program stays where it is (law L14).
    assert_eq!(refresh.is_some(), source == "login", "{name}");
    if let Some(refresh) = refresh {
        assert!(refresh.same_as(&secrets.refresh.secret()), "{name}");
        let client = credential.secrets().require(&"client_secret".parse().unwrap()).unwrap();
        assert!(client.same_as(&secrets.client.secret()), "{name}");
        assert_eq!(info.metadata("google_client_id"), Some("client.example"));
    }
    secrets.are_not_in(&format!("{credential:?}"));
}
