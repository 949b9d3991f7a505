//! Where requests are signed, and what is refused.

use moat_provider_aws::Aws;
use moat_provider_core::{
    Credential, CredentialProvider, ProxyRules, RevocableProvider, Revocation,
};
use moat_provider_testkit::{Canary, golden};

use crate::support::{ROLE, granted, run};

fn rules(credentials: &[Credential]) -> ProxyRules {
    let run = run(credentials.iter().map(Credential::info), None);
    let mut rules = ProxyRules::default();
    for credential in credentials {
        Aws::new().configure_proxy(&mut rules, credential.info(), &run).unwrap();
    }
    rules
}

#[test]
fn each_partition_has_its_hosts() {
    let mut text = String::new();
    for partition in [
        "aws",
        "aws-cn",
        "aws-us-gov",
        "aws-eusc",
        "aws-iso",
        "aws-iso-b",
        "aws-iso-e",
        "aws-iso-f",
    ] {
        let role = ROLE.replace("arn:aws:", &format!("arn:{partition}:"));
        let credential = granted("aws", &Canary::new().secret(), &[("role", &role)]);
        let region = credential.info().metadata("region").unwrap().to_owned();
        text.push_str(&format!("{partition}, {region}\n"));
        for rule in rules(&[credential]).signers() {
            let claims: Vec<_> = rule.signer().claims().iter().map(|name| name.as_str()).collect();
            text.push_str(&format!("    {}  {}\n", rule.target(), claims.join(" ")));
        }
    }
    golden::check("tests/golden/rules.txt", &text);
}

#[test]
fn two_roles_go_together() {
    let secret = Canary::new().secret();
    let roles = ["aws", "aws:dev", "aws:prod"].map(|name| granted(name, &secret, &[]));
    let rules = rules(&roles);
    rules.check_conflicts().unwrap();
    assert_eq!(rules.signers().len(), 9);
}

#[test]
fn endpoints_that_issue_access_are_declared() {
    let credential = granted("aws", &Canary::new().secret(), &[]);
    let endpoints = Aws::new().issuing_endpoints(credential.info()).unwrap();
    let lines = endpoints
        .as_slice()
        .iter()
        .map(|endpoint| format!("{}  {}\n", endpoint.target(), endpoint.issues()));
    golden::check("tests/golden/issuing.txt", &lines.collect::<String>());
}

#[test]
fn revoking_is_explained() {
    let credential = granted("aws", &Canary::new().secret(), &[]);
    let Revocation::Manual { instructions } = Aws::new().revocation(credential.info()) else {
        panic!("by hand")
    };
    for part in ["Revoke active sessions", "agent", "--access-key-id AKIDEXAMPLEEXAMPLE"] {
        assert!(instructions.contains(part), "{instructions}");
    }
}
