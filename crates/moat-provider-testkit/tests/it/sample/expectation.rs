//! What the sample provider is given, and expected to be.

use bytes::Bytes;
use http::Request;
use moat_provider_core::{Alphabet, GrantRequest, PlaceholderShape, Secret};
use moat_provider_testkit::conformance::{Capability, Expect};
use moat_provider_testkit::{
    Canary, FakeCommands, FakeEnvironment, FakeTerminal, Ports, Reply, Vendor, empty, json,
    requires_bearer,
};

use super::{PREFIX, state_file};

/// What the sample provider is expected to be.
pub(crate) fn expectation() -> Expect {
    use Capability::{Credential, Describable, Refreshable, Revocable};
    let work = GrantRequest::new("sample:work".parse().unwrap());
    Expect::new([Credential, Refreshable, Revocable, Describable])
        .aliases(["smp"])
        .canary(|| Canary::with_prefix(PREFIX))
        .grant_from("the environment", |canary, ports| {
            ports
                .with_environment(FakeEnvironment::new().secret("SAMPLE_TOKEN", canary.secret()))
                .with_commands(FakeCommands::none_installed())
        })
        .grant_from("the terminal", |canary, ports| {
            ports.with_commands(FakeCommands::none_installed()).with_terminal(
                FakeTerminal::new()
                    .expect_tell("example.com/tokens")
                    .expect_secret("Token", canary.secret()),
            )
        })
        .grant_request_from(work, "the tool", tool)
        .refresh_from(tool)
        .vendor(vendor)
        .host_file(&state_file(), |canary| format!("theme: dark\nsession: {}\n", canary.text()))
        .placeholder_shape(PlaceholderShape::prefixed(PREFIX, Alphabet::Alphanumeric, 32))
}

fn tool(canary: &Canary, ports: Ports) -> Ports {
    let reply = Reply::prints(Secret::new(format!("{}\n", canary.text())));
    ports.with_commands(FakeCommands::new().expect("sample", ["auth", "token"], reply))
}

fn vendor(canary: &Canary) -> impl Vendor + use<> {
    requires_bearer(&canary.secret(), |request: &Request<Bytes>| {
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/user") => json(200, &serde_json::json!({"login": "sam"})),
            ("DELETE", "/tokens/current") => empty(204),
            _ => empty(404),
        }
    })
}
