//! `moat revoke`.

use moat_provider_core::{
    Answer, Credential, CredentialKey, ErrorKind, RevocableProvider, Revocation,
};
use moat_store::StoreErrorKind;
use serde_json::json;

use crate::app::App;
use crate::args::{RevokeArgs, VendorRevocation};
use crate::error::{Code, Result};
use crate::output::line;

/// What became of a credential at its vendor.
enum AtVendor {
    Ended,
    /// It is still good there, for this reason.
    Good(String),
    /// It may still be good there, because ending it failed.
    Failed(String),
}

/// Ends a credential at its vendor where that is possible and wanted, and forgets it in any case.
pub(super) async fn revoke(app: &App<'_>, args: &RevokeArgs) -> Result<Code> {
    let key = app.stored_key(&args.grant)?;
    let store = app.store()?;
    let at_vendor = match store.load(&key).await {
        Ok(stored) => end(app, &key, &stored.credential, args.at_vendor).await?,
        Err(error) if error.kind() == StoreErrorKind::NotFound => return Err(error.into()),
        // What cannot be read can still be forgotten.
        Err(error) => AtVendor::Good(format!("it cannot be read: {}", error.message())),
    };
    store.remove(&key).await?;
    let mut text = format!("Forgot {key}.");
    match &at_vendor {
        AtVendor::Ended => text.push_str(" It is ended at its vendor."),
        AtVendor::Good(why) => {
            app.output.note(&format!("At its vendor it stays as it is: {}", line(why)));
        }
        AtVendor::Failed(why) => {
            app.output.warn(&format!("it may still be good at its vendor: {}", line(why)));
        }
    }
    let (state, detail) = match &at_vendor {
        AtVendor::Ended => ("ended", None),
        AtVendor::Good(why) => ("unchanged", Some(why)),
        AtVendor::Failed(why) => ("failed", Some(why)),
    };
    app.output.result(
        &text,
        || json!({ "revoked": key.to_string(), "at_vendor": state, "detail": detail }),
    )?;
    Ok(if matches!(at_vendor, AtVendor::Failed(_)) { Code::Failure } else { Code::Success })
}

/// Ends a credential at its vendor.
async fn end(
    app: &App<'_>,
    key: &CredentialKey,
    credential: &Credential,
    wish: VendorRevocation,
) -> Result<AtVendor> {
    let provider = app.registry.get(key.provider().as_str());
    let Some(revocable) = provider.and_then(|provider| provider.as_revocable()) else {
        return Ok(AtVendor::Good("there is no way to end it from here".to_owned()));
    };
    let effect = match revocable.revocation(credential.info()) {
        Revocation::Automatic { effect } => effect,
        Revocation::Manual { instructions } => return Ok(AtVendor::Good(instructions)),
        _ => return Ok(AtVendor::Good("there is no known way to end it".to_owned())),
    };
    match wish {
        VendorRevocation::No => return Ok(AtVendor::Good("you asked for that".to_owned())),
        VendorRevocation::Yes => {}
        VendorRevocation::Ask => {
            let question = format!("End {key} at its vendor, too? Then {effect}.");
            match app.system.terminal().confirm(&question, Answer::No).await {
                Ok(Answer::Yes) => {}
                Ok(Answer::No) => return Ok(AtVendor::Good("you said no".to_owned())),
                Err(error) if error.kind() == ErrorKind::NotInteractive => {
                    let why = "nobody was there to be asked; next time: moat revoke --yes";
                    return Ok(AtVendor::Good(why.to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    at_vendor(app, revocable, credential).await
}

async fn at_vendor(
    app: &App<'_>,
    revocable: &dyn RevocableProvider,
    credential: &Credential,
) -> Result<AtVendor> {
    let revoked = match app.host() {
        Ok(host) => revocable.revoke(&host, credential).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    Ok(match revoked {
        Ok(()) => AtVendor::Ended,
        Err(error) => AtVendor::Failed(match error.hint() {
            Some(hint) => format!("{}: {hint}", error.message()),
            None => error.message().to_owned(),
        }),
    })
}
