//! The rules of an AWS role: requests are signed with dummy keys, and signed anew with a session's.

use std::collections::BTreeMap;

use moat_provider_aws::Aws;
use moat_provider_core::{
    Credential, CredentialKey, CredentialProvider, PlaceholderKey, ProxyConfigurer, ProxyRules,
    RunContext, Secret, SecretName, Secrets, SigningRule, Target,
};
use moat_proxy::Mode;
use moat_proxy::engine::Generation;
use time::OffsetDateTime;

use crate::Result;
use crate::signature::Keys;
use crate::world::{HOST, SESSION};

const ROLE: &str = "arn:aws:iam::123456789012:role/agent";

fn credential() -> Result<Credential> {
    let key: CredentialKey = "aws".parse()?;
    let none = Secret::new(String::new());
    let builder = Credential::builder(key, none, OffsetDateTime::UNIX_EPOCH);
    Ok(builder.metadata("role_arn", ROLE).metadata("region", "eu-central-1").build())
}

/// Returns the keys that a container of the run has.
pub(super) fn keys(run: &RunContext) -> Result<Keys> {
    let credential = credential()?;
    let variables = Aws::new().container_env(&[credential.info()], run)?;
    let value = |name: &str| -> Result<String> {
        let found = variables.iter().find(|variable| variable.name() == name);
        Ok(found.ok_or("the container has no keys")?.value().to_owned())
    };
    Ok(Keys { id: value("AWS_ACCESS_KEY_ID")?, secret: value("AWS_SECRET_ACCESS_KEY")? })
}

/// Makes the rules of the role, for the origin instead of the hosts of AWS.
pub(super) fn generation(
    run: &RunContext,
    placeholders: PlaceholderKey,
    secret: &Secret,
) -> Result<Generation> {
    let credential = credential()?;
    let (info, mut theirs) = (credential.info(), ProxyRules::default());
    Aws::new().configure_proxy(&mut theirs, info, run)?;
    let rule = theirs.signers().first().ok_or("the role has no rule")?;
    let names: Vec<SecretName> = rule.secrets().map(|secret| secret.name().clone()).collect();
    let mut rules = ProxyRules::default();
    let (placeholder, signer) = (rule.placeholder().clone(), rule.signer().clone());
    rules.sign(SigningRule::new(Target::host(HOST)?, info.key(), names, placeholder, signer));
    let session: Secrets = [
        ("session_access_key_id", Secret::new(SESSION.to_owned())),
        ("session_secret_access_key", secret.clone()),
        ("session_token", secret.clone()),
    ]
    .into_iter()
    .map(|(name, secret)| Ok((name.parse::<SecretName>()?, secret)))
    .collect::<Result<_>>()?;
    let secrets = BTreeMap::from([(info.key().clone(), session)]);
    Ok(Generation::new(&rules, &[], &secrets, placeholders, Mode::Strict)?)
}
