//! What isolates runs here.

use std::sync::Arc;

use moat_provider_core::Finding;
use moat_run::sandbox::{EngineKind, Sandbox};

use super::super::run::{IMAGE, bubblewrap, engine};
use super::Check;
use crate::app::{App, plain_variable};
use crate::error::Result;

/// Tries every sandbox. One that works is enough.
pub(super) async fn checks(app: &App<'_>) -> Vec<Check> {
    let (candidates, has_image) = match candidates(app) {
        Ok(candidates) => candidates,
        Err(error) => return vec![Check::failed("sandbox", &error)],
    };
    let mut checks = Vec::new();
    for candidate in candidates {
        let what = format!("sandbox {}", candidate.name());
        let missing = candidate.missing().await;
        if missing.is_empty() {
            checks.push(Check::good(what, "works"));
            continue;
        }
        let lacks: Vec<_> = missing.iter().map(|it| it.what().to_owned()).collect();
        let fixes: Vec<_> = missing.iter().map(|it| it.fix().to_owned()).collect();
        let detail = format!("missing: {}", lacks.join(", "));
        checks.push(Check::bad(what, detail, fixes.join("; ")));
    }
    settle(checks, has_image)
}

/// A sandbox that does not work is a failure only where none does.
fn settle(mut checks: Vec<Check>, has_image: bool) -> Vec<Check> {
    if checks.iter().any(|check| check.finding == Finding::Good) {
        for check in checks.iter_mut().filter(|check| check.finding == Finding::Bad) {
            check.finding = Finding::Warning;
        }
    } else if let (Some(fix), false) =
        (checks.first_mut().and_then(|check| check.fix.as_mut()), has_image)
    {
        fix.push_str(&format!("; or with Docker or Podman: export {IMAGE}=debian:12"));
    }
    checks
}

fn candidates(app: &App<'_>) -> Result<(Vec<Arc<dyn Sandbox>>, bool)> {
    let mut candidates: Vec<Arc<dyn Sandbox>> = vec![Arc::new(bubblewrap(app)?)];
    // Without an image no engine is ever chosen.
    let image = plain_variable(&*app.system.environment(), IMAGE)?;
    if let Some(image) = &image {
        for kind in [EngineKind::Docker, EngineKind::Podman] {
            candidates.push(Arc::new(engine(app, kind, image)?));
        }
    }
    Ok((candidates, image.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sandbox_that_works_is_enough() {
        let broken = || Check::bad("a", "missing: x", "install x");
        let settled = settle(vec![broken(), Check::good("b", "works")], true);
        assert_eq!(settled[0].finding, Finding::Warning);
        let none = settle(vec![broken()], false);
        assert_eq!(none[0].finding, Finding::Bad);
        assert!(none[0].fix.as_ref().unwrap().contains("MOAT_IMAGE"), "{none:?}");
        assert_eq!(settle(vec![broken()], true)[0].fix.as_deref(), Some("install x"));
    }
}
