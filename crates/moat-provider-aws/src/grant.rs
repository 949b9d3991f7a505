//! Granting a role: which, with whose keys, and whether AWS agrees.

use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantRequest, HostContext, Minted, Result,
    RunContext, Secret,
};

use crate::arn::{EXAMPLE, RoleArn};
use crate::duration::LONGEST_CHAINED;
use crate::settings::{Mode, PROFILE, Settings};
use crate::source::{FROM_ENVIRONMENT, FROM_PROFILE, KEY_ID, SOURCE_TOKEN, Source, no_token};
use crate::sts;

/// The entries of the metadata that say who assumes the role, and as whom.
const IDENTITY: &str = "source_identity";
const SESSION: &str = "session_identity";

/// The name of the session that a grant makes to see whether it can.
const PROBE: &str = "grant";

/// Finds the keys, has AWS name their owner, and assumes the role once.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let host = cx.host();
    let role = RoleArn::parse(&role(cx, request).await?)?;
    let source = Source::choose(cx, request)?;
    let region = region(cx, &source).await;
    let settings = Settings::from_request(request, role, region)?;
    tell(cx, &found(&source)).await;
    let keys = source.keys(host).await?;
    let identity = sts::identify(host, &settings, &keys).await?;
    check_chain(&settings, &identity)?;
    let session = sts::assume(host, &settings, &keys, &sts::session_name(PROBE)).await?;
    tell(
        cx,
        &format!(
            "{identity}\nassumes {}\nas {}\nin {}, for {} at a time.",
            settings.role, session.identity, settings.region, settings.duration
        ),
    )
    .await;
    if settings.mode == Mode::Endpoint {
        tell(cx, "In this mode the container holds the session's keys itself: narrow them with --session-policy.").await;
    }
    let key = request.key();
    let now = host.clock().now();
    let builder = match source {
        Source::Environment(keys) => {
            if keys.token.is_some() {
                tell(cx, "The keys of the environment are temporary: grant again when they have expired, or name a profile.").await;
            }
            let mut builder = Credential::builder(key.clone(), keys.secret, now)
                .metadata(Credential::TOKEN_SOURCE, FROM_ENVIRONMENT)
                .metadata(KEY_ID, key_id(&keys.id));
            if let Some(token) = keys.token {
                builder = builder.secret(SOURCE_TOKEN, token);
            }
            builder
        }
        Source::Profile(name) => {
            Credential::builder(key.clone(), no_token(key, &settings.role), now)
                .metadata(Credential::TOKEN_SOURCE, FROM_PROFILE)
                .metadata(PROFILE, name)
        }
    };
    let builder = builder.metadata(IDENTITY, identity).metadata(SESSION, session.identity);
    Ok(settings.write(builder).build())
}

/// Makes the session of a run.
///
/// # Errors
///
/// As for a grant.
pub(crate) async fn mint(
    cx: &HostContext,
    credential: &Credential,
    run: &RunContext,
) -> Result<Minted> {
    let settings = Settings::of(credential.info())?;
    let keys = Source::of(credential)?.keys(cx).await?;
    let name = sts::session_name(run.id().as_str());
    let session = sts::assume(cx, &settings, &keys, &name).await?;
    Ok(Minted::new(session.keys.into_minted(), Some(session.expires_at)))
}

async fn role(cx: &GrantContext, request: &GrantRequest) -> Result<String> {
    if let Some(role) = request.option("role") {
        return Ok(role.trim().to_owned());
    }
    let key = request.key();
    cx.terminal().ask("ARN of the role").await.map_err(|error| match error.kind() {
        ErrorKind::NotInteractive | ErrorKind::PortMissing => {
            Error::new(error.kind(), "no role is named, and nobody is there to name one")
                .with_hint(format!("moat grant {key} --role {EXAMPLE}"))
                .with_source(error)
        }
        _ => error,
    })
}

/// Returns the region that the person works in, if the environment or the profile names one.
async fn region(cx: &GrantContext, source: &Source) -> Option<String> {
    match cx.first_var(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        Ok(Some((_, region))) => Some(region_name(&region)),
        _ => source.region(cx.host()).await,
    }
}

fn found(source: &Source) -> String {
    match source {
        Source::Environment(_) => "Using the keys in AWS_ACCESS_KEY_ID.".to_owned(),
        Source::Profile(name) => format!("Using the profile {name}."),
    }
}

/// STS refuses more than an hour where a role assumes a role, without saying so.
fn check_chain(settings: &Settings, identity: &str) -> Result<()> {
    let is_role = identity.contains(":assumed-role/");
    if !is_role || settings.duration.seconds() <= LONGEST_CHAINED {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{identity} is a role itself, and a role that assumes a role does so for at most 1h"
    ))
    .with_hint("--session-duration 1h; the host renews sessions as long as the run lasts"))
}

/// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
async fn tell(cx: &GrantContext, text: &str) {
    let _ = cx.terminal().tell(text).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the id of a key is no secret: it says which key it is, in CloudTrail too"
)]
fn key_id(id: &Secret) -> &str {
    id.expose()
}

#[expect(clippy::disallowed_methods, reason = "a region is no secret")]
fn region_name(region: &Secret) -> String {
    region.expose().to_owned()
}
