//! What several tests share: requests, credentials, runs, and an STS.

use bytes::Bytes;
use http::{Request, Response};
use moat_provider_aws::Aws;
use moat_provider_core::{
    Alphabet, Credential, CredentialInfo, CredentialKey, CredentialProvider, ErrorKind, GrantError,
    GrantRequest, Result, RunContext, Secret,
};
use moat_provider_testkit::{Canary, FakeEnvironment, Ports, Vendor, block_on, run_context, text};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::v4::verified;

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/team/agent";
/// The id of the person's key.
pub(crate) const ID: &str = "AKIDEXAMPLEEXAMPLE";
pub(crate) const OWNER: &str = "arn:aws:iam::123456789012:user/person";

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

pub(crate) fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table.as_array().unwrap().clone()
}

pub(crate) fn kind_name(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

pub(crate) fn request(grant: &str, options: &[(&str, &str)]) -> Result<GrantRequest> {
    let aws = Aws::new();
    GrantRequest::with_options(key(grant), aws.grant_options(), options.iter().copied())
}

pub(crate) fn grant(
    ports: &Ports,
    name: &str,
    options: &[(&str, &str)],
) -> Result<Credential, GrantError> {
    let request = request(name, options).unwrap();
    block_on(Aws::new().grant(&ports.grant_context(), &request))
}

pub(crate) fn environment(secret: &Secret) -> FakeEnvironment {
    FakeEnvironment::new()
        .text("AWS_ACCESS_KEY_ID", ID)
        .secret("AWS_SECRET_ACCESS_KEY", secret.clone())
}

/// Makes a credential as a grant from the environment does.
pub(crate) fn granted(name: &str, secret: &Secret, options: &[(&str, &str)]) -> Credential {
    let mut all = vec![("role", ROLE)];
    all.retain(|(name, _)| !options.iter().any(|(other, _)| other == name));
    all.extend(options);
    let ports =
        Ports::new().with_environment(environment(secret)).with_vendor(Sts::knowing(secret));
    grant(&ports, name, &all).unwrap()
}

/// A run with these grants, on whose host there may be a configuration.
pub(crate) fn run<'a>(
    grants: impl IntoIterator<Item = &'a CredentialInfo>,
    config: Option<&str>,
) -> RunContext {
    let mut run = run_context("golden").endpoint_base("http://127.0.0.1:49153");
    for info in grants {
        run = run.grant(info.clone());
    }
    if let Some(config) = config {
        let aws = Aws::new();
        let [file] = aws.host_files() else { panic!("one file") };
        run = run.host_file(file, Secret::new(config.to_owned()));
    }
    run.build()
}

/// An STS that knows one secret key, and verifies signatures with an implementation of its own.
pub(crate) struct Sts {
    secret: Secret,
    owner: String,
    refusal: Option<(u16, String)>,
}

impl Sts {
    pub(crate) fn knowing(secret: &Secret) -> Self {
        Self { secret: secret.clone(), owner: OWNER.to_owned(), refusal: None }
    }

    pub(crate) fn owner(mut self, arn: &str) -> Self {
        self.owner = arn.to_owned();
        self
    }

    /// Refuses to assume any role.
    pub(crate) fn refusing(mut self, status: u16, code: &str) -> Self {
        self.refusal = Some((status, code.to_owned()));
        self
    }
}

fn error(status: u16, code: &str) -> Response<Bytes> {
    text(
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        ),
    )
}

impl Vendor for Sts {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let form = std::str::from_utf8(request.body()).unwrap();
        let field = |name: &str| {
            form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        if verified(request, ID, self.secret.expose()).is_err() {
            return error(403, "SignatureDoesNotMatch");
        }
        match field("Action") {
            Some("GetCallerIdentity") => text(
                200,
                format!(
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{}</Arn><UserId>x</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
                    self.owner
                ),
            ),
            Some("AssumeRole") => match &self.refusal {
                Some((status, code)) => error(*status, code),
                None => {
                    let name = field("RoleSessionName").unwrap();
                    let draw = |len| Canary::shaped("", Alphabet::Alphanumeric, len);
                    let (secret, token) = (draw(40), draw(200));
                    text(
                        200,
                        format!(
                            "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>x:{name}</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/agent/{name}</Arn></AssumedRoleUser>\
                             <Credentials><AccessKeyId>ASIDEXAMPLEEXAMPLE</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>2030-03-17T18:46:40Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
                            secret.text(),
                            token.text()
                        ),
                    )
                }
            },
            _ => error(400, "InvalidAction"),
        }
    }
}
