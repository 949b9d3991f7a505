//! What a grant settles: the role, and how its sessions are made and used.

use moat_provider_core::{
    CredentialBuilder, CredentialInfo, Error, GrantOption, GrantRequest, Result,
};
use serde_json::Value;

use crate::arn::{self, Partition, RoleArn};
use crate::calls::Calls;
use crate::duration::SessionDuration;
use crate::limits::Limits;

pub(crate) const ROLE: &str = "role_arn";
pub(crate) const REGION: &str = "region";
pub(crate) const DURATION: &str = "session_duration";
pub(crate) const EXTERNAL_ID: &str = "external_id";
pub(crate) const PROFILE: &str = "profile";
pub(crate) const MODE: &str = "mode";
pub(crate) const POLICY: &str = "session_policy";
pub(crate) const POLICY_ARNS: &str = "policy_arns";
pub(crate) const SERVICES: &str = "services";
pub(crate) const REGIONS: &str = "allowed_regions";
pub(crate) const BUCKETS: &str = "buckets";
pub(crate) const ALLOWED: &str = "allowed_calls";

/// The longest inline policy, in characters.
const MOST_POLICY: usize = 2048;
/// The most managed policies.
const MOST_POLICIES: usize = 10;

/// How the container uses the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It holds dummy keys; the proxy signs its requests anew.
    Signing,
    /// It fetches the session's own keys.
    Endpoint,
}

impl Mode {
    fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("signing") => Ok(Self::Signing),
            Some("endpoint") => Ok(Self::Endpoint),
            Some(other) => Err(Error::invalid(format!("there is no mode {other:?}"))
                .with_hint("one of: signing, endpoint")),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Endpoint => "endpoint",
        }
    }
}

/// What a grant settles.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) role: RoleArn,
    pub(crate) region: String,
    pub(crate) duration: SessionDuration,
    pub(crate) external_id: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) calls: Calls,
}

/// Returns the flags of a grant.
pub(crate) fn options() -> Vec<GrantOption> {
    vec![
        GrantOption::text("role", "ARN", "the role that the run assumes"),
        GrantOption::choice(
            "source",
            ["auto", "env", "profile"],
            "whose keys assume the role: the environment's, or those of a profile; auto takes the environment's if they are set",
        ),
        GrantOption::text(
            "aws-profile",
            "NAME",
            "the profile of ~/.aws whose keys assume the role",
        ),
        GrantOption::text("region", "REGION", "the region of STS and of the container"),
        GrantOption::text(
            "session-duration",
            "TIME",
            "how long the keys of a session last: 15m to 12h, 1h without this",
        ),
        GrantOption::text(
            "external-id",
            "ID",
            "the external id that the role's trust policy asks for",
        ),
        GrantOption::text("session-policy", "JSON", "a policy that narrows what the run may do"),
        GrantOption::text(
            "policy-arn",
            "ARN,...",
            "managed policies that narrow what the run may do",
        ),
        GrantOption::text(
            "service",
            "NAME,...",
            "the only services that requests may go to, by their signing names: s3,dynamodb",
        ),
        GrantOption::text("allow-region", "REGION,...", "the only regions that requests may go to"),
        GrantOption::text("bucket", "NAME,...", "the only buckets of S3 that requests may go to"),
        GrantOption::text(
            "allow-call",
            "SERVICE:OPERATION,...",
            "calls that create lasting access and are allowed nevertheless: iam:CreateRole",
        ),
        GrantOption::choice(
            "mode",
            ["signing", "endpoint"],
            "signing: the proxy signs, no key is in the container; endpoint: the container fetches the session's keys",
        ),
    ]
}

impl Settings {
    /// Reads the options of a grant of a role. `region` is what the person's environment or profile
    /// names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput).
    pub(crate) fn from_request(
        request: &GrantRequest,
        role: RoleArn,
        region: Option<String>,
    ) -> Result<Self> {
        let named = |option: &str| request.option(option).map(ToOwned::to_owned);
        let region = match (named("region"), region) {
            (Some(region), _) => region,
            (None, Some(region)) if role.partition().has_region(&region) => region,
            (None, _) => role.partition().default_region.to_owned(),
        };
        let list = |option: &str| split(request.option(option));
        Self {
            region,
            duration: request
                .option("session-duration")
                .map_or(Ok(SessionDuration::USUAL), SessionDuration::parse)?,
            external_id: named("external-id"),
            mode: Mode::named(request.option("mode"))?,
            policy: named("session-policy"),
            policy_arns: list("policy-arn"),
            limits: Limits::new(list("service"), list("allow-region"), list("bucket"))?,
            calls: Calls::allowing(list("allow-call"))?,
            role,
        }
        .checked()
    }

    /// Reads what a grant has settled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the metadata
    /// makes no sense.
    pub(crate) fn of(info: &CredentialInfo) -> Result<Self> {
        let again = |error: Error| {
            let hint = format!("grant it again: moat grant {} --role {}", info.key(), arn::EXAMPLE);
            error.with_hint(hint)
        };
        Self::read(info).map_err(again)
    }

    fn read(info: &CredentialInfo) -> Result<Self> {
        let role = RoleArn::parse(info.metadata(ROLE).unwrap_or_default())?;
        let named = |entry: &str| info.metadata(entry).map(ToOwned::to_owned);
        let list = |entry: &str| split(info.metadata(entry));
        Self {
            region: named(REGION).unwrap_or_else(|| role.partition().default_region.to_owned()),
            duration: info
                .metadata(DURATION)
                .map_or(Ok(SessionDuration::USUAL), SessionDuration::parse)?,
            external_id: named(EXTERNAL_ID),
            mode: Mode::named(info.metadata(MODE))?,
            policy: named(POLICY),
            policy_arns: list(POLICY_ARNS),
            limits: Limits::new(list(SERVICES), list(REGIONS), list(BUCKETS))?,
            calls: Calls::allowing(list(ALLOWED))?,
            role,
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        let partition = self.role.partition();
        for region in std::iter::once(&self.region).chain(self.limits.regions()) {
            check_region(partition, region)?;
        }
        if let Some(id) = &self.external_id {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
            if !(2..=1224).contains(&id.len()) || !id.bytes().all(allowed) {
                return Err(Error::invalid("this is not an external id")
                    .with_hint("2 to 1224 letters, digits and _ + = , . @ : / -"));
            }
        }
        if let Some(policy) = &self.policy {
            check_policy(policy)?;
        }
        if self.policy_arns.len() > MOST_POLICIES {
            return Err(Error::invalid("a session takes at most 10 managed policies")
                .with_hint("put the statements of several into one"));
        }
        match self.policy_arns.iter().find(|policy| !arn::is_policy(policy)) {
            Some(policy) => Err(Error::invalid(format!("{policy:?} is not the ARN of a policy"))
                .with_hint("it looks like arn:aws:iam::aws:policy/ReadOnlyAccess")),
            None => Ok(self),
        }
    }

    /// Writes the settings into a credential.
    pub(crate) fn write(&self, builder: CredentialBuilder) -> CredentialBuilder {
        let [services, regions, buckets] = self.limits.lists();
        let mut builder = builder
            .metadata(ROLE, self.role.to_string())
            .metadata(REGION, &self.region)
            .metadata(DURATION, self.duration.to_string())
            .metadata(MODE, self.mode.name());
        for (entry, value) in [(EXTERNAL_ID, &self.external_id), (POLICY, &self.policy)] {
            if let Some(value) = value {
                builder = builder.metadata(entry, value);
            }
        }
        let allowed = self.calls.allowed();
        for (entry, list) in [
            (POLICY_ARNS, self.policy_arns.as_slice()),
            (SERVICES, services),
            (REGIONS, regions),
            (BUCKETS, buckets),
            (ALLOWED, allowed),
        ] {
            if !list.is_empty() {
                builder = builder.metadata(entry, list.join(","));
            }
        }
        builder
    }
}

fn check_region(partition: Partition, region: &str) -> Result<()> {
    if partition.has_region(region) {
        return Ok(());
    }
    Err(Error::invalid(format!("{region:?} is not a region of the partition {}", partition.id))
        .with_hint(format!(
            "the role decides the partition; {} is one of its regions",
            partition.default_region
        )))
}

fn check_policy(policy: &str) -> Result<()> {
    let wrong = |what: &'static str| {
        Err(Error::invalid(what).with_hint(
            r#"a policy looks like {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#,
        ))
    };
    match serde_json::from_str::<Value>(policy) {
        Ok(Value::Object(fields)) if fields.contains_key("Statement") => {}
        Ok(_) => return wrong("the session policy has no Statement"),
        Err(_) => return wrong("the session policy is not JSON"),
    }
    match policy.chars().count() > MOST_POLICY {
        true => wrong("the session policy is longer than 2048 characters"),
        false => Ok(()),
    }
}

/// Splits a list at its commas.
fn split(list: Option<&str>) -> Vec<String> {
    let items = list.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
}
