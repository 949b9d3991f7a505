//! Where tokens and keys come from, and what is kept of them.

use moat_provider_core::{Credential, Secret, SecretName};
use moat_provider_testkit::{Canary, FakeClock, FakeEnvironment, FakeFiles, FakeTerminal, Ports};
use serde_json::Value;

use crate::support::{
    ACCOUNT, Device, END, Servers, access_token, api_key, grant, host_file, kind_name, login_file,
    login_token, refresh_token, table, time,
};

/// Credentials that OpenAI knows, and some that it does not.
struct Secrets {
    token: Canary,
    login: Canary,
    refresh: Canary,
    key: Canary,
    old_login: Canary,
    dead_token: Canary,
    dead_login: Canary,
    dead_key: Canary,
}

impl Secrets {
    fn draw() -> Self {
        Self {
            token: access_token(),
            login: login_token(END),
            refresh: refresh_token(),
            key: api_key(),
            old_login: login_token("2026-11-20T11:59:59Z"),
            dead_token: access_token(),
            dead_login: login_token(END),
            dead_key: api_key(),
        }
    }

    fn named(&self) -> [(&str, &Canary); 7] {
        [
            ("{TOKEN}", &self.token),
            ("{LOGIN}", &self.login),
            ("{KEY}", &self.key),
            ("{OLD LOGIN}", &self.old_login),
            ("{DEAD TOKEN}", &self.dead_token),
            ("{DEAD LOGIN}", &self.dead_login),
            ("{DEAD KEY}", &self.dead_key),
        ]
    }

    fn fill(&self, text: &str) -> String {
        let (first, rest) = self.token.text().split_at(20);
        let text = text.replace("{TOKEN IN LINES}", &format!("{first}\n  {rest}\r\n"));
        self.named()
            .into_iter()
            .fold(text, |text, (name, secret)| text.replace(name, secret.text()))
    }

    fn are_not_in(&self, text: &str) {
        for canary in self.named().map(|(_, canary)| canary).into_iter().chain([&self.refresh]) {
            assert_eq!(canary.find_in_str(text), None, "a secret is in {text}");
        }
    }
}

fn files(case: &Value, secrets: &Secrets) -> FakeFiles {
    let file = host_file("auth.json");
    match (case["file"].as_str(), case["text"].as_str()) {
        (Some(token), _) => {
            let login = login_file(&secrets.fill(token));
            FakeFiles::new().file(&file, Secret::new(login.to_string()))
        }
        (_, Some("unreadable")) => FakeFiles::new().unreadable(&file),
        (_, Some(text)) => FakeFiles::new().file(&file, Secret::new(text.to_owned())),
        _ => FakeFiles::new(),
    }
}

fn terminal(case: &Value, secrets: &Secrets) -> FakeTerminal {
    let mut terminal = FakeTerminal::new();
    for step in case["terminal"].as_array().into_iter().flatten() {
        let (step, value) = step.as_object().unwrap().iter().next().unwrap();
        let value = value.as_str().unwrap();
        let secret = || Secret::new(secrets.fill(value));
        terminal = match step.as_str() {
            "choose" => terminal.expect_choose("authenticate", value),
            "token" => terminal.expect_secret("Access token", secret()),
            "API key" => terminal.expect_secret("API key", secret()),
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
    let mut servers =
        Servers::knowing([&secrets.token, &secrets.login, &secrets.old_login, &secrets.key])
            .issues(&secrets.login, &secrets.refresh)
            .pending(case["pending"].as_u64().unwrap_or_default().try_into().unwrap())
            .device(match case["device"].as_str() {
                None => Device::Allowed,
                Some("forbidden") => Device::Forbidden,
                Some("incomplete") => Device::Incomplete,
                Some("refused") => Device::Refused,
                Some(device) => panic!("{device} is none"),
            });
    if let Some(origin) = case["backend"].as_str() {
        servers = servers.backend(origin);
    }
    Ports::new()
        .with_clock(FakeClock::at(time("2026-11-20T12:00:00Z")))
        .with_environment(environment)
        .with_files(files(case, secrets))
        .with_terminal(terminal(case, secrets))
        .with_vendor(servers)
}

#[test]
fn each_source_yields_its_credential() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let secrets = Secrets::draw();
        let ports = ports(&case, &secrets);
        let mut options: Vec<_> = case["options"].as_object().into_iter().flatten().collect();
        let source = case["source"].clone();
        let option = "source".to_owned();
        options.extend((!source.is_null()).then_some((&option, &source)));
        let options: Vec<_> =
            options.into_iter().map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
        let granted = grant(&ports, case["grant"].as_str().unwrap(), &options);
        match (granted, case["error"].as_str()) {
            (Ok(credential), None) => check(name, &case, &secrets, &credential),
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

fn check(name: &str, case: &Value, secrets: &Secrets, credential: &Credential) {
    let info = credential.info();
    let from = case["from"].as_str().unwrap();
    let is_account = case["grant"] == "codex";
    let expected = match (is_account, from) {
        (false, _) => &secrets.key,
        (true, "device" | "import") => &secrets.login,
        (true, _) => &secrets.token,
    };
    assert!(credential.token().same_as(&expected.secret()), "{name}");
    assert_eq!(info.metadata(Credential::TOKEN_SOURCE), Some(from), "{name}");
    assert_eq!(info.expires_at(), case["expires"].as_str().map(time), "{name}");
    assert_eq!(info.metadata("codex_account_id"), is_account.then_some(ACCOUNT), "{name}");
    assert_eq!(info.metadata("codex_plan"), is_account.then_some("pro"), "{name}");
    for (entry, value) in case["metadata"].as_object().into_iter().flatten() {
        assert_eq!(info.metadata(entry), value.as_str(), "{name}: {entry}");
    }
    // The refresh token of Codex's own login stays where it is: it works once.
    let refresh = credential.secrets().get(&SecretName::REFRESH_TOKEN);
    assert_eq!(refresh.is_some(), from == "device", "{name}");
    assert!(refresh.is_none_or(|token| token.same_as(&secrets.refresh.secret())), "{name}");
    secrets.are_not_in(&format!("{info:?}"));
}
