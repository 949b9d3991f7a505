//! Where a run is isolated, and how it reaches hosts.

use std::sync::Arc;

use moat_provider_core::Registry;
use moat_run::sandbox::{
    Bubblewrap, Engine, EngineKind, Missing, Sandbox, UNCONFINED_WARNING, Unconfined, detect,
};
use moat_run::{Runner, StateDir};

use super::wanted::person_home;
use crate::app::{App, plain_variable};
use crate::args::SandboxChoice;
use crate::error::{CliError, Result};

/// The variable that names the image of a container engine.
pub(in crate::command) const IMAGE: &str = "MOAT_IMAGE";

/// What the program of a container engine gets of the person's environment: where it is configured,
/// and where its daemon is.
const ENGINE_VARIABLES: [&str; 8] = [
    "HOME",
    "PATH",
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
];

/// Returns the sandbox that was chosen, or the first that works.
///
/// # Errors
///
/// What is missing, with the package that brings it.
pub(super) async fn sandbox(app: &App<'_>, choice: SandboxChoice) -> Result<Arc<dyn Sandbox>> {
    let image = plain_variable(&*app.system.environment(), IMAGE)?;
    let engine = |kind, image: &str| engine(app, kind, image);
    let needs_image = || {
        CliError::usage("a container engine needs an image to run the command in")
            .with_hint(format!("export {IMAGE}=debian:12"))
    };
    let chosen: Arc<dyn Sandbox> = match choice {
        SandboxChoice::None => {
            app.output.warn(UNCONFINED_WARNING);
            return Ok(Arc::new(Unconfined::new()));
        }
        SandboxChoice::Auto => {
            let engines = image.iter().flat_map(|image| {
                [EngineKind::Docker, EngineKind::Podman].map(|kind| engine(kind, image))
            });
            let engines = engines.collect::<Result<Vec<_>>>()?;
            return Ok(detect(bubblewrap(app)?, engines).await?);
        }
        SandboxChoice::Bubblewrap => Arc::new(bubblewrap(app)?),
        SandboxChoice::Docker => {
            Arc::new(engine(EngineKind::Docker, &image.ok_or_else(needs_image)?)?)
        }
        SandboxChoice::Podman => {
            Arc::new(engine(EngineKind::Podman, &image.ok_or_else(needs_image)?)?)
        }
    };
    let missing = chosen.missing().await;
    if missing.is_empty() {
        return Ok(chosen);
    }
    Err(lacks(chosen.name(), &missing))
}

fn lacks(name: &str, missing: &[Missing]) -> CliError {
    let whats: Vec<_> = missing.iter().map(|it| crate::output::line(it.what())).collect();
    let fixes: Vec<_> = missing.iter().map(|it| it.fix().to_owned()).collect();
    CliError::new(format!("{name} does not work here: {} is missing", whats.join(", ")))
        .with_hint(fixes.join("\n"))
}

/// Makes the sandbox of Linux.
pub(in crate::command) fn bubblewrap(app: &App<'_>) -> Result<Bubblewrap> {
    let mut bubblewrap = Bubblewrap::new(app.system.bridge()?);
    if let Some(home) = person_home(app) {
        bubblewrap = bubblewrap.person_home(home);
    }
    if let Some(path) = plain_variable(&*app.system.environment(), "PATH")? {
        bubblewrap = bubblewrap.person_path(path);
    }
    Ok(bubblewrap)
}

/// Makes the sandbox of a container engine.
pub(in crate::command) fn engine(app: &App<'_>, kind: EngineKind, image: &str) -> Result<Engine> {
    let mut engine = Engine::new(kind, image, app.system.bridge()?);
    let environment = app.system.environment();
    for name in ENGINE_VARIABLES {
        if let Some(value) = plain_variable(&*environment, name)? {
            engine = engine.variable(name, value);
        }
    }
    Ok(engine)
}

/// Makes what prepares runs.
///
/// # Errors
///
/// When a flag about the way to hosts makes no sense.
pub(in crate::command) fn runner(app: &App<'_>, registry: Registry) -> Result<Runner> {
    let upstream = app.system.upstream(&app.globals)?;
    let state = StateDir::new(app.system.home()?);
    let mut runner = Runner::builder(registry, app.store()?, app.host()?, state)
        .connect_to(upstream.connect_to)
        .trusted_pem(upstream.trusted);
    if let Some(tls) = upstream.tls {
        runner = runner.upstream_tls(tls);
    }
    if let Some(proxy) = upstream.proxy {
        runner = runner.upstream_proxy(proxy);
    }
    Ok(runner.build())
}
