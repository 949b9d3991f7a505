//! Where secrets come from, and what the person reads.

use std::sync::Arc;

use moat_provider_core::{
    Credential, CredentialProvider, ErrorKind, GrantContext, HostContext, Secret,
};
use moat_provider_custom::Custom;
use moat_provider_testkit::{
    Canary, FakeClock, FakeEntropy, FakeEnvironment, FakeTerminal, Ports, block_on,
};
use serde_json::Value;

use crate::support::{grant, request, table};

fn ports(case: &Value, fill: &dyn Fn(&str) -> String) -> Ports {
    let secret = |text: &Value| Secret::new(fill(text.as_str().unwrap()));
    let variables = case["env"].as_object().into_iter().flatten();
    let environment = variables.fold(FakeEnvironment::new(), |environment, (name, value)| {
        environment.secret(name, secret(value))
    });
    let answers = case["answers"].as_array().into_iter().flatten();
    let terminal = answers.fold(FakeTerminal::new(), |terminal, answer| {
        terminal.expect_secret("Secret of", secret(answer))
    });
    Ports::new().with_environment(environment).with_terminal(terminal.then_not_interactive())
}

#[test]
fn secrets_come_from_a_variable_or_the_person() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let canary = Canary::with_length("", 40);
        // A quotation mark of the canary's own would end that of a command.
        let plain = Canary::shaped("p", moat_provider_core::Alphabet::Alphanumeric, 40);
        let fill = |text: &str| text.replace("{A}", canary.text()).replace("{P}", plain.text());
        let ports = ports(&case, &fill);
        let command = case["command"].as_str().unwrap().replace("{P}", plain.text());
        let seen = match (grant(&ports, &command), case["error"].as_str()) {
            (Ok(credential), None) => {
                let is = fill(case["is"].as_str().unwrap_or("{A}"));
                check(name, &case, &credential, &is);
                format!("{credential:?}")
            }
            (Err(error), Some(kind)) => {
                assert_eq!(format!("{:?}", error.kind()), kind, "{name}: {error}");
                let message = error.cause().message();
                assert!(message.contains(case["message"].as_str().unwrap()), "{name}: {error}");
                assert!(error.hint().is_some(), "{name}: {error}");
                if let Some(hint) = case["hint"].as_str() {
                    assert_eq!(error.hint(), Some(hint), "{name}");
                }
                format!("{error} {error:?}")
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        };
        ports.verify();
        let shown = ports.terminal().shown();
        assert!(shown.contains(case["shows"].as_str().unwrap_or_default()), "{name}: {shown}");
        // Before the secret is known, what the person wrote into an option is shown like any other.
        let shown = if case["options show"] == true { String::new() } else { shown };
        for text in [seen, shown] {
            assert_eq!(canary.find_in_str(&text), None, "{name}: a secret is in {text}");
            assert_eq!(plain.find_in_str(&text), None, "{name}: a secret is in {text}");
            assert!(!text.contains("hunter2"), "{name}: a secret is in {text}");
        }
    }
}

fn check(name: &str, case: &Value, credential: &Credential, is: &str) {
    let info = credential.info();
    assert!(credential.token().same_as(&Secret::new(is.to_owned())), "{name}");
    assert_eq!(info.metadata(Credential::TOKEN_SOURCE), case["from"].as_str(), "{name}");
    assert_eq!(info.metadata("token_variable"), case["variable"].as_str(), "{name}");
}

#[test]
fn a_secret_that_nothing_could_be_done_with_is_refused() {
    let long = Secret::new("x".repeat(8 * 1024 + 1));
    let terminal = FakeTerminal::new().expect_secret("Secret of x", long);
    let ports = Ports::new().with_terminal(terminal);
    let error = grant(&ports, "custom:x --host x.example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("longer than 8192 bytes"), "{error}");
}

#[test]
fn an_embedder_may_give_the_environment_or_the_terminal_alone() {
    let canary = Canary::new();
    let host =
        HostContext::builder(Arc::new(FakeClock::new()), Arc::new(FakeEntropy::default())).build();
    let custom = Custom::new();
    let request = request("custom:x --host x.example.com").unwrap();
    let environment = FakeEnvironment::new().secret("MOAT_CUSTOM_X", canary.secret());
    let cx = GrantContext::builder(host.clone()).environment(Arc::new(environment)).build();
    assert!(block_on(custom.grant(&cx, &request)).is_ok());

    let terminal = FakeTerminal::new().expect_secret("Secret of x", canary.secret());
    let cx = GrantContext::builder(host).terminal(Arc::new(terminal)).build();
    assert!(block_on(custom.grant(&cx, &request)).is_ok());
}

#[test]
fn cancelling_ends_the_grant() {
    let ports = Ports::new().with_terminal(FakeTerminal::cancelled());
    let error = grant(&ports, "custom:x --host x.example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
