//! What several tests share: requests, grants, credentials, runs.

use moat_provider_core::{
    Credential, CredentialInfo, CredentialKey, CredentialProvider, GrantError, GrantRequest,
    Result, RunContext, Secret,
};
use moat_provider_custom::Custom;
use moat_provider_testkit::{FakeTerminal, Ports, block_on, run_context};
use serde_json::Value;

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table.as_array().unwrap().clone()
}

/// Reads a command such as a person types: quotes keep spaces together.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in command.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Makes the request of `custom:x --host … --bearer`.
pub(crate) fn request(command: &str) -> Result<GrantRequest> {
    let options = Custom::new();
    let options = options.grant_options();
    let words = words(command);
    let (grant, rest) = words.split_first().unwrap();
    let mut given: Vec<(String, String)> = Vec::new();
    for word in rest {
        match (word.strip_prefix("--"), given.last_mut()) {
            (Some(option), _) => {
                let (option, value) = option.split_once('=').unwrap_or((option, ""));
                given.push((option.to_owned(), value.to_owned()));
            }
            // A parser of flags takes what begins with a hyphen for one.
            (None, Some((_, value))) if !word.starts_with('-') => value.push_str(word),
            (None, _) => panic!("{word} belongs to no option"),
        }
    }
    GrantRequest::with_options(key(grant), options, given)
}

pub(crate) fn grant(ports: &Ports, command: &str) -> Result<Credential, GrantError> {
    let custom = Custom::new();
    let request = request(command).unwrap();
    block_on(custom.grant(&ports.grant_context(), &request))
}

/// Grants with a secret that a person pastes.
pub(crate) fn granted(command: &str, secret: &Secret) -> Credential {
    let terminal = FakeTerminal::new().expect_secret("Secret of", secret.clone());
    grant(&Ports::new().with_terminal(terminal), command).unwrap()
}

/// A run with these grants.
pub(crate) fn run<'a>(
    grants: impl IntoIterator<Item = &'a CredentialInfo>,
    default: Option<&str>,
) -> RunContext {
    let mut run = run_context("golden");
    for info in grants {
        run = run.grant(info.clone());
    }
    if let Some(default) = default {
        run = run.default_grant(key(default));
    }
    run.build()
}
