//! `moat doctor`: everything that a run needs, and how to mend what is not there.

use std::os::unix::fs::PermissionsExt;

use moat_proxy::plane::raise_descriptor_limit;
use moat_run::sandbox::Sandbox;
use moat_run::{RunMetadata, RunState, StateDir, trust};
use serde_json::json;

use super::run::place;
use crate::app::App;
use crate::error::{CliError, Code, Result};
use crate::output::{Table, line, relative};

/// Fewer descriptors are soon used up: each tunnel needs two.
const DESCRIPTORS: u64 = 4096;

/// One thing that was looked at.
struct Check {
    what: String,
    state: State,
    detail: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// A run starts nevertheless.
    Odd,
    Broken,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Odd => "look",
            Self::Broken => "broken",
        }
    }
}

impl Check {
    fn new(what: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { what: what.into(), state, detail: detail.into(), fix: None }
    }

    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(what, State::Good, detail)
    }

    fn of_error(what: impl Into<String>, error: &CliError) -> Self {
        let fix = error.hint().map(str::to_owned);
        Self { fix, ..Self::new(what, State::Broken, error.message()) }
    }

    fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// Looks at everything. The exit code is 1 when something is broken that a run needs.
pub(super) async fn doctor(app: &App<'_>) -> Result<Code> {
    let mut checks = vec![home(app)?];
    checks.extend(credentials(app).await);
    checks.push(sandbox(app).await);
    checks.push(roots());
    checks.push(upstream(app));
    checks.push(descriptors());
    checks.extend(runs(app)?);
    let is_good = checks.iter().all(|check| check.state != State::Broken);
    let mut table = Table::new(["CHECK", "STATE", "DETAIL", "FIX"]);
    for check in &checks {
        table.row([
            &check.what,
            check.state.word(),
            &line(&check.detail),
            &line(check.fix.as_deref().unwrap_or_default()),
        ]);
    }
    app.output.result(&table.render(), || {
        let object = |check: &Check| json!({ "check": check.what, "state": check.state.word(), "detail": check.detail, "fix": check.fix });
        json!({ "ok": is_good, "checks": checks.iter().map(object).collect::<Vec<_>>() })
    })?;
    Ok(if is_good { Code::Success } else { Code::Failure })
}

fn home(app: &App<'_>) -> Result<Check> {
    let home = app.system.home()?;
    let what = "moat's directory";
    Ok(match std::fs::metadata(&home) {
        Err(_) => Check::good(what, format!("{} is made with the first grant", home.display())),
        Ok(found) if found.permissions().mode() & 0o022 != 0 => {
            Check::new(what, State::Broken, format!("others can write to {}", home.display()))
                .fix(format!("chmod go-w {}", home.display()))
        }
        Ok(_) => Check::good(what, home.display().to_string()),
    })
}

async fn credentials(app: &App<'_>) -> Vec<Check> {
    let listed = async { Ok::<_, CliError>(app.store()?.list().await?) };
    let entries = match listed.await {
        Ok(entries) => entries,
        Err(error) => return vec![Check::of_error("the store", &error)],
    };
    if entries.is_empty() {
        return vec![Check::new("credentials", State::Odd, "none").fix("moat grant github")];
    }
    let now = app.now();
    let check = |entry: &moat_store::Entry| {
        let what = format!("credential {}", entry.key);
        let grant = format!("moat grant {}", entry.key);
        match &entry.info {
            Err(error) => Check::of_error(what, &CliError::new(error.message()))
                .fix(error.hint().unwrap_or(&grant)),
            Ok(info) => match info.expires_at() {
                Some(at) if at <= now => {
                    let can_refresh = app
                        .registry
                        .get(info.key().provider().as_str())
                        .and_then(|provider| provider.as_refreshable())
                        .is_some_and(|provider| provider.can_refresh(info));
                    let state = if can_refresh { State::Odd } else { State::Broken };
                    Check::new(what, state, format!("expired {}", relative(at, now))).fix(grant)
                }
                Some(at) => Check::good(what, format!("expires {}", relative(at, now))),
                None => Check::good(what, "no expiry is known"),
            },
        }
    };
    entries.iter().map(check).collect()
}

async fn sandbox(app: &App<'_>) -> Check {
    let what = "sandbox";
    let bubblewrap = match place::bubblewrap(app) {
        Ok(bubblewrap) => bubblewrap,
        Err(error) => return Check::of_error(what, &error),
    };
    let missing = bubblewrap.missing().await;
    if missing.is_empty() {
        return Check::good(what, "bubblewrap works");
    }
    let whats: Vec<_> = missing.iter().map(|it| it.what().to_owned()).collect();
    let fixes: Vec<_> = missing.iter().map(|it| it.fix().to_owned()).collect();
    Check::new(what, State::Broken, format!("{} is missing", whats.join(", ")))
        .fix(fixes.join("; "))
}

fn roots() -> Check {
    let what = "certificate authorities";
    match trust::host_roots() {
        Ok(pem) => {
            let count = pem.matches("-----BEGIN").count();
            Check::good(what, format!("{count} are trusted"))
        }
        Err(error) => Check::of_error(what, &error.into()),
    }
}

fn upstream(app: &App<'_>) -> Check {
    let what = "way to hosts";
    match app.system.upstream(&app.globals) {
        Err(error) => Check::of_error(what, &error),
        Ok(upstream) => Check::good(
            what,
            match (upstream.proxy.is_some(), upstream.connect_to.len()) {
                (false, 0) => "direct".to_owned(),
                (true, 0) => "by the proxy of HTTPS_PROXY".to_owned(),
                (_, rules) => format!("with {rules} rules of --connect-to"),
            },
        ),
    }
}

fn descriptors() -> Check {
    let what = "open files";
    match raise_descriptor_limit() {
        Ok(limit) if limit >= DESCRIPTORS => Check::good(what, format!("{limit} at a time")),
        Ok(limit) => Check::new(what, State::Odd, format!("{limit} at a time"))
            .fix(format!("ulimit -Hn {DESCRIPTORS}")),
        Err(error) => Check::new(what, State::Odd, error.to_string()),
    }
}

fn runs(app: &App<'_>) -> Result<Option<Check>> {
    let state = StateDir::new(app.system.home()?);
    let mut dead = 0;
    for id in state.runs()? {
        let is_running = RunMetadata::read(&state.run(&id))
            .is_ok_and(|metadata| metadata.state == RunState::Running);
        dead += usize::from(is_running && !state.is_alive(&id)?);
    }
    Ok((dead > 0).then(|| {
        let detail = format!("{dead} whose process died; the next run cleans up behind them");
        Check::new("runs", State::Odd, detail)
    }))
}
