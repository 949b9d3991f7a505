//! The contract of a provider, as hosts rely on it.

use moat_provider_aws::Aws;
use moat_provider_core::{Alphabet, CredentialProvider, PlaceholderShape};
use moat_provider_testkit::Canary;
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};

use crate::support::{ROLE, Sts, environment, granted, request};

fn expect() -> Expect {
    Expect::new([
        Capability::Credential,
        Capability::Endpoint,
        Capability::Minting,
        Capability::Revocable,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    .vendor(|canary| Sts::knowing(&canary.secret()))
    .host_file(&Aws::new().host_files()[0], |canary: &Canary| {
        let secret = canary.text();
        format!(
            "[default]\noutput = json\nregion = {secret}\naws_secret_access_key = {secret}\n\
             credential_process = echo {secret}\ns3 =\n  addressing_style = {secret}\n  multipart_chunksize = 8MB\n"
        )
    })
}

#[test]
fn signing_conforms() {
    let expect = expect()
        .placeholder_shape(PlaceholderShape::prefixed("AKIA", Alphabet::Base32, 16))
        .grant_request_from(
            request("aws", &[("role", ROLE)]).unwrap(),
            "the environment",
            |canary, ports| ports.with_environment(environment(&canary.secret())),
        )
        .sample(|canary| {
            granted("aws:prod", &canary.secret(), &[("service", "s3"), ("bucket", "data")])
        })
        .sample(|canary| {
            let role = "arn:aws-us-gov:iam::123456789012:role/agent";
            granted("aws:gov", &canary.secret(), &[("role", role)])
        });
    assert_conforms(&Aws::new(), expect);
}

#[test]
fn the_endpoint_conforms() {
    let options = [("role", ROLE), ("mode", "endpoint")];
    let expect = expect()
        .no_issuing_endpoints()
        .grant_request_from(
            request("aws", &options).unwrap(),
            "the environment",
            |canary, ports| ports.with_environment(environment(&canary.secret())),
        )
        .sample(|canary| granted("aws:other", &canary.secret(), &[("mode", "endpoint")]));
    assert_conforms(&Aws::new(), expect);
}
