//! Where tokens and keys come from, and what is kept of them.

use moat_provider_core::{CommandSpec, Credential, Secret};
use moat_provider_testkit::{
    Canary, FakeClock, FakeCommands, FakeEnvironment, FakeFiles, FakeTerminal, Ports, Reply,
};
use serde_json::{Value, json};

use crate::support::{
    Accounts, KEY_PREFIX, OAUTH_PREFIX, grant, host_file, kind_name, table, time, token,
};

/// A token and a key that the API knows, and one each that it does not.
struct Tokens {
    token: Canary,
    key: Canary,
    dead_token: Canary,
    dead_key: Canary,
}

impl Tokens {
    fn draw() -> Self {
        Self {
            token: token(OAUTH_PREFIX),
            key: token(KEY_PREFIX),
            dead_token: token(OAUTH_PREFIX),
            dead_key: token(KEY_PREFIX),
        }
    }

    fn all(&self) -> [&Canary; 4] {
        [&self.token, &self.key, &self.dead_token, &self.dead_key]
    }

    fn fill(&self, text: &str) -> String {
        let (first, rest) = self.token.text().split_at(60);
        text.replace("{TOKEN IN LINES}", &format!("{first}\n  {rest}\r\n"))
            .replace("{TOKEN}", self.token.text())
            .replace("{KEY}", self.key.text())
            .replace("{DEAD TOKEN}", self.dead_token.text())
            .replace("{DEAD KEY}", self.dead_key.text())
    }

    fn are_not_in(&self, text: &str) {
        for canary in self.all() {
            assert_eq!(canary.find_in_str(text), None, "a secret is in {text}");
        }
    }
}

/// The keychain is asked in one way alone, and gets no variable of the person's.
fn check_keychain(command: &CommandSpec) {
    assert!(command.inherited().is_empty() && command.variables().is_empty());
}

fn commands(case: &Value, tokens: &Tokens) -> FakeCommands {
    let reply = match &case["keychain"] {
        Value::Null => return FakeCommands::new(),
        Value::String(word) if word == "absent" => Reply::not_found(),
        Value::String(word) if word == "empty" => Reply::fails(44, "could not be found"),
        Value::String(word) if word == "hangs" => Reply::timed_out(),
        login => Reply::prints(Secret::new(tokens.fill(&login.to_string()))),
    };
    let service = case["service"].as_str().unwrap_or("Claude Code-credentials");
    let args = ["find-generic-password", "-s", service, "-w"];
    FakeCommands::new().expect_checked("security", args, reply, check_keychain)
}

fn files(case: &Value, tokens: &Tokens) -> FakeFiles {
    let file = host_file(".credentials.json");
    match &case["file"] {
        Value::Null => FakeFiles::new(),
        Value::String(word) if word == "unreadable" => FakeFiles::new().unreadable(&file),
        Value::String(text) => FakeFiles::new().file(&file, Secret::new(text.clone())),
        login => FakeFiles::new().file(&file, Secret::new(tokens.fill(&login.to_string()))),
    }
}

fn terminal(case: &Value, tokens: &Tokens) -> FakeTerminal {
    let mut terminal = FakeTerminal::new();
    for step in case["terminal"].as_array().into_iter().flatten() {
        let (step, value) = step.as_object().unwrap().iter().next().unwrap();
        terminal = match step.as_str() {
            "choose" => terminal.expect_choose("authenticate", value.as_str().unwrap()),
            "run" => {
                let code = value.as_i64().and_then(|code| i32::try_from(code).ok());
                terminal.expect_run("claude", ["setup-token"], code)
            }
            "token" | "API key" => {
                let label = if step == "token" { "Token" } else { "API key" };
                let answer = tokens.fill(value.as_str().unwrap());
                terminal.expect_secret(label, Secret::new(answer))
            }
            "told" => terminal.expect_tell(value.as_str().unwrap()),
            step => panic!("{step} is no step"),
        };
    }
    terminal.then_not_interactive()
}

fn environment(case: &Value, tokens: &Tokens) -> FakeEnvironment {
    let variables = case["env"].as_object().into_iter().flatten();
    variables.fold(FakeEnvironment::new(), |environment, (name, value)| {
        let value = tokens.fill(value.as_str().unwrap());
        environment.secret(name, Secret::new(value))
    })
}

#[test]
fn each_source_yields_its_credential() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let tokens = Tokens::draw();
        let ports = Ports::new()
            .with_clock(FakeClock::at(time("2026-11-20T12:00:00Z")))
            .with_environment(environment(&case, &tokens))
            .with_commands(commands(&case, &tokens))
            .with_files(files(&case, &tokens))
            .with_terminal(terminal(&case, &tokens))
            .with_vendor(Accounts::knowing([&tokens.token, &tokens.key]));
        let granted = grant(&ports, case["grant"].as_str().unwrap(), case["source"].as_str());
        match (granted, case["error"].as_str()) {
            (Ok(credential), None) => check_credential(name, &case, &tokens, &credential),
            (Err(error), Some(kind)) => {
                assert_eq!(kind_name(error.kind()), kind, "{name}: {error}");
                let message = case["message"].as_str().unwrap_or_default();
                assert!(error.cause().message().contains(message), "{name}: {error}");
                let hint = error.hint().unwrap();
                assert!(hint.contains(case["hint"].as_str().unwrap()), "{name}: {hint}");
                tokens.are_not_in(&format!("{error} {error:?}"));
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        }
        ports.verify();
        tokens.are_not_in(&ports.terminal().shown());
    }
}

fn check_credential(name: &str, case: &Value, tokens: &Tokens, credential: &Credential) {
    let info = credential.info();
    let expected = match case["grant"].as_str() {
        Some("claude") => &tokens.token,
        _ => &tokens.key,
    };
    assert!(credential.token().same_as(&expected.secret()), "{name}");
    assert_eq!(info.metadata(Credential::TOKEN_SOURCE), case["from"].as_str(), "{name}");
    assert_eq!(info.expires_at(), case["expires"].as_str().map(time), "{name}");
    let scopes: Vec<_> = info.scopes().iter().map(|scope| json!(scope)).collect();
    assert_eq!(Value::from(scopes), case.get("scopes").cloned().unwrap_or(json!([])), "{name}");
    for (entry, value) in case["metadata"].as_object().into_iter().flatten() {
        assert_eq!(info.metadata(entry), value.as_str(), "{name}: {entry}");
    }
    // The refresh token of a login stays where it is.
    assert_eq!(info.secret_names().len(), 1, "{name}");
    tokens.are_not_in(&format!("{info:?}"));
}

#[test]
fn a_login_is_looked_for_where_claude_code_keeps_it() {
    let tokens = Tokens::draw();
    let login = json!({"claudeAiOauth": {"accessToken": tokens.token.text()}}).to_string();
    // printf %s /home/me/.claude-work | sha256sum
    let service = "Claude Code-credentials-95e632f0";
    let args = ["find-generic-password", "-s", service, "-w"];
    let ports = Ports::new()
        .with_environment(
            FakeEnvironment::new()
                .secret("CLAUDE_CONFIG_DIR", Secret::new("/home/me/.claude-work".to_owned())),
        )
        .with_commands(FakeCommands::new().expect(
            "security",
            args,
            Reply::prints(Secret::new(login)),
        ))
        .with_vendor(Accounts::knowing([&tokens.token]));
    let credential = grant(&ports, "claude", Some("import")).unwrap();
    assert!(credential.token().same_as(&tokens.token.secret()));
}

#[test]
fn the_question_is_the_cheapest_one() {
    let tokens = Tokens::draw();
    let ports = Ports::new()
        .with_environment(
            FakeEnvironment::new()
                .secret("ANTHROPIC_API_KEY", tokens.key.secret())
                .secret("CLAUDE_CODE_OAUTH_TOKEN", tokens.token.secret()),
        )
        .with_vendor(Accounts::knowing([&tokens.token, &tokens.key]));
    grant(&ports, "anthropic", None).unwrap();
    grant(&ports, "claude", None).unwrap();
    let requests = ports.requests();
    assert_eq!(requests[0].uri(), "https://api.anthropic.com/v1/models?limit=1");
    assert_eq!(requests[1].uri(), "https://api.anthropic.com/v1/messages");
    let body: Value = serde_json::from_slice(requests[1].body()).unwrap();
    assert_eq!(body["max_tokens"], 1);
    let headers = requests[1].headers();
    assert_eq!(headers["anthropic-dangerous-direct-browser-access"], "true");
    assert!(!headers.contains_key("x-api-key"));
    assert!(!requests[0].headers().contains_key("authorization"));
    for request in requests {
        assert_eq!(request.headers()["user-agent"], "moat");
        let timeout = request.extensions().get::<moat_provider_core::Timeout>();
        assert_eq!(timeout.unwrap().0.as_secs(), 30);
    }
}
