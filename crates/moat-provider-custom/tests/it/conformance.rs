//! The contract of a provider, as hosts rely on it.

use http::HeaderValue;
use moat_provider_core::{Alphabet, HeaderTemplate, PlaceholderShape};
use moat_provider_custom::Custom;
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{Canary, FakeEnvironment, FakeTerminal, Ports, empty};

use crate::support::{granted, request};

fn expect() -> Expect {
    Expect::new([Capability::Credential, Capability::Revocable, Capability::Describable])
        .no_issuing_endpoints()
}

fn shape(prefix: &str) -> PlaceholderShape {
    PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, 40)
}

fn from_person(canary: &Canary, ports: Ports) -> Ports {
    ports.with_terminal(FakeTerminal::new().expect_secret("Secret of", canary.secret()))
}

fn from_variable(name: &'static str) -> impl Fn(&Canary, Ports) -> Ports {
    move |canary, ports| {
        ports.with_environment(FakeEnvironment::new().secret(name, canary.secret()))
    }
}

#[test]
fn each_way_to_send_a_secret_conforms() {
    let by_default = request("custom:router --host openrouter.example.com").unwrap();
    let header = "custom:gitlab --host gitlab.example.com/api/v4 --header 'PRIVATE-TOKEN: {}' \
                  --env GITLAB_TOKEN --placeholder-prefix glpat-";
    let basic = "custom:registry --host *.registry.example.com:5000 --basic robot --from-env REG";
    let expect = expect()
        .grant_request_from(
            by_default.clone(),
            "MOAT_CUSTOM_ROUTER",
            from_variable("MOAT_CUSTOM_ROUTER"),
        )
        .grant_request_from(by_default, "the person", from_person)
        .grant_request_from(request(header).unwrap(), "the person", from_person)
        .grant_request_from(request(basic).unwrap(), "REG", from_variable("REG"))
        .sample(|canary| {
            let query = "custom:maps --host maps.example.com --query key --env MAPS_KEY,MAP_KEY";
            granted(query, &canary.secret())
        })
        .placeholder_shape(shape("moat_"))
        .placeholder_shape(shape("glpat-"));
    assert_conforms(&Custom::new(), expect);
}

#[test]
fn a_header_in_which_something_sticks_to_the_secret_conforms() {
    let command = "custom:rails --host rails.example.com --header 'Authorization: Token token={}' \
                   --env RAILS_TOKEN --only-placeholder";
    let expect = expect()
        .grant_request_from(request(command).unwrap(), "the person", from_person)
        .placeholder_shape(shape("token=moat_"));
    assert_conforms(&Custom::new(), expect);
}

#[test]
fn a_secret_that_is_tried_conforms() {
    let command = "custom:api --host api.example.com --bearer --test-path /v1/me";
    let expect = expect()
        .vendor(|canary| {
            let valid = HeaderTemplate::Bearer.render(&canary.secret()).unwrap();
            move |request: &http::Request<_>| {
                let sent: Option<&HeaderValue> = request.headers().get("authorization");
                empty(if sent == Some(&valid) { 200 } else { 401 })
            }
        })
        .grant_request_from(request(command).unwrap(), "the person", from_person)
        .placeholder_shape(shape("moat_"));
    assert_conforms(&Custom::new(), expect);
}
