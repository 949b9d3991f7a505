//! The grant of an API key.

use http::{HeaderName, HeaderValue};
use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantOption, GrantRequest, Result, Secret,
};
use serde_json::Value;

use super::{
    FROM_ENVIRONMENT, FROM_PERSON, ORGANIZATION_ID, PROJECT_ID, SOURCE, tell, unattended, unset,
    variable,
};
use crate::api::{self, ORGANIZATION, PROJECT};
use crate::container::API_KEY_VARIABLE;
use crate::jwt::plain_word;
use crate::token::{check_key, rejoined};

const GUIDANCE: &str = "Make a key of its own for the agent, in a project with a limit on what it \
                        may spend:\n  https://platform.openai.com/api-keys";

/// Options, the entries of the metadata that keep them, and the headers that say them.
const PAYERS: [(&str, &str, HeaderName); 2] =
    [("organization", ORGANIZATION_ID, ORGANIZATION), ("project", PROJECT_ID, PROJECT)];

/// Returns the flags of the grant.
pub(crate) fn options() -> Vec<GrantOption> {
    vec![
        GrantOption::choice(
            SOURCE,
            ["auto", "env", "prompt"],
            "where the key comes from: OPENAI_API_KEY or a prompt; auto tries them in this order",
        ),
        GrantOption::text(
            "organization",
            "ID",
            "organization that pays, for a key that has several",
        ),
        GrantOption::text("project", "ID", "project that pays, for a key that has several"),
    ]
}

/// Acquires a key and asks the API whether it is valid.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let payers = payers(request)?;
    let (key, source) = match request.option(SOURCE) {
        Some("env") => {
            let key = variable(cx, API_KEY_VARIABLE)?;
            (key.ok_or_else(|| unset(API_KEY_VARIABLE))?, FROM_ENVIRONMENT)
        }
        Some("prompt") => (ask(cx).await?, FROM_PERSON),
        _ => match variable(cx, API_KEY_VARIABLE)? {
            Some(key) => (key, FROM_ENVIRONMENT),
            None => (ask(cx).await?, FROM_PERSON),
        },
    };
    let what = match source {
        FROM_ENVIRONMENT => "the value of OPENAI_API_KEY",
        _ => "what was given",
    };
    check_key(&key, what)?;
    if source == FROM_ENVIRONMENT {
        tell(cx, "Using the key in OPENAI_API_KEY.").await;
    }
    let headers: Vec<_> =
        payers.iter().map(|(_, header, value, _)| (header.clone(), value.clone())).collect();
    api::check_key(cx.host(), &key, &headers).await?;
    let now = cx.host().clock().now();
    let mut builder = Credential::builder(request.key().clone(), key, now)
        .metadata(Credential::TOKEN_SOURCE, source);
    for (entry, _, _, id) in payers {
        builder = builder.metadata(entry, id);
    }
    Ok(builder.build())
}

type Payer = (&'static str, HeaderName, HeaderValue, String);

fn payers(request: &GrantRequest) -> Result<Vec<Payer>> {
    let given = PAYERS.into_iter().filter_map(|(option, entry, header)| {
        Some((option, entry, header, request.option(option)?))
    });
    let payers = given.map(|(option, entry, header, id)| {
        let plain = plain_word(&Value::from(id));
        let value = plain.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
        match (plain, value) {
            (Some(id), Some(value)) => Ok((entry, header, value, id)),
            _ => Err(Error::invalid(format!("--{option} takes an id, not {id:?}")).with_hint(
                "copy it from https://platform.openai.com/settings/organization/general",
            )),
        }
    });
    payers.collect()
}

async fn ask(cx: &GrantContext) -> Result<Secret> {
    tell(cx, GUIDANCE).await;
    let asked = cx.terminal().ask_secret("API key").await;
    let key = asked.map_err(|error| {
        unattended(error, "nobody is there to give a key", "export OPENAI_API_KEY")
    })?;
    let key = rejoined(&key);
    if key.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no key was given")
            .with_hint("moat grant openai"));
    }
    Ok(key)
}
