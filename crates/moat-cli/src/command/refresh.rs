//! `moat grant refresh`.

use std::time::Duration;

use moat_provider_core::{CredentialInfo, Error, GrantRef};
use moat_refresh::{Problem, ProblemKind, Refresher, State, Subscription};
use serde_json::json;

use super::describe;
use crate::app::App;
use crate::error::{CliError, Result};
use crate::output::line;

/// For how long a renewed credential is kept in memory that the store does not take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Renews a credential now, and says until when it is good.
pub(super) async fn refresh(app: &App<'_>, grant: &GrantRef) -> Result<()> {
    let key = app.key(grant)?;
    let store = app.store()?;
    let before = store.load(&key).await?.generation;
    let refresher = Refresher::new(app.registry.clone(), store, app.host()?);
    let subscription = refresher.watch(&key).await.map_err(failed)?;
    let renewed = subscription.renew().await;
    let is_unsaved = matches!(subscription.snapshot().state(), State::Unsaved(_));
    let renewed = match renewed {
        Err(problem) if is_unsaved => wait_for_store(app, subscription, problem).await,
        other => other.map(|stored| (stored.credential.info().clone(), stored.generation)),
    };
    // Tries once more to save what is not saved.
    if refresher.shut_down().await.is_err() {
        let error = CliError::new(format!("the renewed {key} could not be saved, and is lost"));
        return Err(error.with_hint(format!("mend the store, then: moat grant {key}")));
    }
    let (info, generation) = renewed.map_err(failed)?;
    report(app, &info, generation != before)
}

fn report(app: &App<'_>, info: &CredentialInfo, is_renewed: bool) -> Result<()> {
    let (key, now) = (info.key(), app.now());
    let until = describe::until(info, now);
    let text = match is_renewed {
        true => format!("Renewed {key}{until}."),
        false => format!("There is nothing newer than the present {key}{until}."),
    };
    app.output
        .result(&text, || json!({ "renewed": is_renewed, "credential": describe::json(info, now) }))
}

/// Lets the engine try again: the vendor has spent the token that the store holds.
async fn wait_for_store(
    app: &App<'_>,
    mut subscription: Subscription,
    problem: Problem,
) -> Result<(CredentialInfo, moat_store::Generation), Problem> {
    app.output.warn(&format!("{}: {}", line(problem.message()), line(problem.hint())));
    app.output.note(&format!("It is tried again for {} seconds.", PATIENCE.as_secs()));
    let saved = async {
        while let Some(now) = subscription.changed().await {
            if let (State::Fresh, Some(info), Some(generation)) =
                (now.state(), now.info().cloned(), now.generation())
            {
                return Some((info, generation));
            }
        }
        None
    };
    let clock = app.system.clock();
    tokio::select! {
        saved = saved => saved.ok_or(problem),
        () = clock.sleep(PATIENCE) => Err(problem),
    }
}

/// Says what to do. Nothing is tried again by itself once this command has ended.
fn failed(problem: Problem) -> CliError {
    let again = format!("moat grant refresh {}", problem.key());
    let hint = match problem.kind() {
        ProblemKind::Offline => format!("look at the network, then: {again}"),
        ProblemKind::Transient => format!("look at the vendor's status page, then: {again}"),
        ProblemKind::Busy => {
            format!("look at the other programs that use this store, then: {again}")
        }
        _ => problem.hint().to_owned(),
    };
    CliError::from(Error::from(problem)).with_hint(hint)
}
