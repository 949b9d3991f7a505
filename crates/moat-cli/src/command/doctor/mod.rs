//! `moat doctor`.

mod credentials;
mod machine;
mod providers;
mod sandboxes;

use moat_provider_core::Finding;
use moat_run::{RunMetadata, RunState, StateDir};
use serde_json::json;

use crate::app::App;
use crate::error::{CliError, Code, Result};
use crate::output::{Table, line};

/// Looks at everything that a run needs. Nothing is sent, and nothing is changed.
pub(super) async fn doctor(app: &App<'_>, named: &[String]) -> Result<Code> {
    let mut checks = vec![machine::home(app)];
    let (judged, granted) = credentials::checks(app).await;
    checks.extend(judged);
    checks.extend(providers::checks(app, &granted, named).await?);
    checks.extend(sandboxes::checks(app).await);
    checks.extend([machine::roots(app), machine::proxy(app), machine::git(app).await]);
    checks.extend([machine::descriptors(), machine::clock(app)]);
    checks.extend(runs(app));
    let is_good = checks.iter().all(|check| check.finding != Finding::Bad);
    app.output.result(&text(&checks), || {
        let object = |check: &Check| {
            json!({
                "check": check.what,
                "result": word(check.finding),
                "detail": check.detail,
                "fix": check.fix,
            })
        };
        json!({ "ok": is_good, "checks": checks.iter().map(object).collect::<Vec<_>>() })
    })?;
    Ok(if is_good { Code::Success } else { Code::Failure })
}

/// Writes the table, and below it what to do: commands do not fit into cells.
fn text(checks: &[Check]) -> String {
    let mut table = Table::new(["CHECK", "RESULT", "DETAIL"]);
    for check in checks {
        table.row([&*check.what, word(check.finding), &check.detail]);
    }
    let mut text = table.render();
    for (at, (check, fix)) in
        checks.iter().filter_map(|check| Some((check, check.fix.as_ref()?))).enumerate()
    {
        let head = if at == 0 { "\n\nTo fix:\n" } else { "\n" };
        text.push_str(&format!("{head}  {}: {}", line(&check.what), line(fix)));
    }
    text
}

/// Finds runs whose process died.
fn runs(app: &App<'_>) -> Option<Check> {
    let state = StateDir::new(app.system.home().ok()?);
    let runs = match state.runs() {
        Ok(runs) => runs,
        Err(error) => return Some(Check::failed("runs", &error.into())),
    };
    let is_stale = |id: &_| {
        let run = RunMetadata::read(&state.run(id));
        run.is_ok_and(|run| run.state == RunState::Running)
            && state.is_alive(id).is_ok_and(|is_alive| !is_alive)
    };
    let stale: Vec<_> = runs.iter().filter(|id| is_stale(id)).map(ToString::to_string).collect();
    Some(match &stale[..] {
        [] => Check::good("runs", "none has died"),
        [first, ..] => {
            let detail = format!("died before their end: {}", stale.join(", "));
            let fix = format!("moat stop {first} (or the next run cleans up)");
            Check::warning("runs", detail, fix)
        }
    })
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    what: String,
    finding: Finding,
    detail: String,
    fix: Option<String>,
}

const fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Good => "ok",
        Finding::Warning => "warning",
        _ => "failed",
    }
}

impl Check {
    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), finding: Finding::Good, detail: detail.into(), fix: None }
    }

    fn warning(what: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { finding: Finding::Warning, fix: Some(fix.into()), ..Self::good(what, detail) }
    }

    fn bad(what: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { finding: Finding::Bad, fix: Some(fix.into()), ..Self::good(what, detail) }
    }

    /// Tells of a check that an error ended.
    fn failed(what: impl Into<String>, error: &CliError) -> Self {
        let causes = error.causes().map(|cause| format!(": {cause}"));
        let detail = format!("{}{}", error.message(), causes.collect::<String>());
        let fix = error.hint().map(str::to_owned);
        Self { finding: Finding::Bad, fix, ..Self::good(what, detail) }
    }
}
