//! A machine of the tour's own: a vendor, a person with a token, directories that are removed again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{
    Alphabet, EnvVar, GrantContext, GrantRequest, HostContext, MountAccess, Registry,
};
use moat_provider_testkit::{Canary, FakeEnvironment, FakeTerminal};
use moat_proxy::{Mode, Policy};
use moat_run::sandbox::{Sandbox, WayKind};
use moat_run::{Bind, Place, RunRequest, Runner, StateDir, Stdio};
use moat_store::{CredentialStore, Expect, FileStore, KeyFile};

use super::client::Report;
use super::findings::Ran;
use super::vendor::{API, OTHER, Vendor};
use crate::app::App;
use crate::args::Globals;
use crate::error::{CliError, Result};
use crate::output::line;

/// Where this program appears in the sandbox.
const PROGRAM: &str = "/opt/moat";
/// Where curl is looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The exit code of a run that never began.
const FAILED: i32 = 125;

/// The machine.
pub(super) struct Stage {
    token: Canary,
    vendor: Vendor,
    runner: Runner,
    /// The program that is the client.
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Stage {
    /// Prepares all, and grants the token.
    ///
    /// # Errors
    ///
    /// When there is no place for files, or the token is not granted.
    pub(super) async fn set(app: &App<'_>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            CliError::new("there is no directory for the tour").with_source(&error)
        };
        let program = std::env::current_exe().map_err(|error| {
            CliError::new("it is not known where this program is").with_source(&error)
        })?;
        let directory = tempfile::tempdir().map_err(failed)?;
        let home = directory.path().join("home");
        let authority = directory.path().join("authority.pem");
        let token = Canary::shaped("ghp_", Alphabet::Alphanumeric, 36);
        let vendor = Vendor::start(&token.secret());
        std::fs::create_dir(directory.path().join("workspace")).map_err(failed)?;
        std::fs::write(&authority, vendor.authority()).map_err(failed)?;
        let globals = Globals {
            upstream_ca: Some(authority),
            connect_to: vendor.connect_to(),
            ..app.globals.clone()
        };
        let host = HostContext::builder(app.system.clock(), app.system.entropy())
            .http(app.system.http(&globals)?)
            .commands(app.system.commands())
            .files(app.system.files())
            .build();
        let key = Arc::new(KeyFile::in_home(&home));
        let store: Arc<dyn CredentialStore> =
            Arc::new(FileStore::builder(&home).key_source(key).build());
        grant(&app.registry, &token, host.clone(), &*store).await?;
        let upstream = app.system.upstream(&globals)?;
        let runner = Runner::builder(app.registry.clone(), store, host, StateDir::new(home));
        let mut runner = runner.connect_to(upstream.connect_to);
        if let Some(tls) = upstream.tls {
            runner = runner.upstream_tls(tls);
        }
        Ok(Self { token, vendor, runner: runner.build(), program, directory })
    }

    /// Returns the token.
    pub(super) fn token(&self) -> Canary {
        self.token.clone()
    }

    /// Runs the client with these grants.
    ///
    /// # Errors
    ///
    /// When the run cannot be prepared, or the client does not come to its end.
    pub(super) async fn run(&self, sandbox: &dyn Sandbox, grants: &[&str]) -> Result<Ran> {
        let run = self.runner.prepare(self.request(sandbox, grants)?).await?;
        // What came before was no request of this sandbox.
        drop(self.vendor.take_arrivals());
        let output = match sandbox.start(run.spec()).await {
            Ok(running) => running.output().await,
            Err(error) => Err(error),
        };
        run.stopped(output.as_ref().map_or(FAILED, |output| output.code)).await;
        let output = output?;
        let report = Report::read(&output.stdout).ok_or_else(|| {
            let text = String::from_utf8_lossy(&output.stderr);
            CliError::new(format!("the client of the tour failed: {}", line(text.trim())))
        })?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Ran { report, said, arrivals: self.vendor.take_arrivals() })
    }

    fn request(&self, sandbox: &dyn Sandbox, grants: &[&str]) -> Result<RunRequest> {
        let is_host = matches!(sandbox.way(), WayKind::Port);
        let program = if is_host { self.program.as_path() } else { Path::new(PROGRAM) };
        let program = program.to_string_lossy().into_owned();
        let command = vec![program, "demo".into(), "--inside".into()];
        let workspace = self.directory.path().join("workspace");
        let workspace = workspace.canonicalize().unwrap_or(workspace);
        let mut request = RunRequest::new(workspace, command);
        for grant in grants {
            request.grants.push(grant.parse()?);
        }
        // Requests are looked into in both runs and for both hosts, so that nothing but the grant
        // makes a difference.
        request.policy = Policy::builder(Mode::Permissive)
            .allow(&format!("GET {API}/**"))?
            .allow(&format!("GET {OTHER}/**"))?
            .build();
        request.ambient.push(EnvVar::new("PATH", PATH)?);
        request.stdio = Stdio::Captured;
        request.sandbox_name = Some(sandbox.name().to_owned());
        if is_host {
            request.place = Place::Host;
        } else {
            let (source, target) = (self.program.clone(), PROGRAM.parse()?);
            request.binds.push(Bind { source, target, access: MountAccess::ReadOnly });
        }
        Ok(request)
    }
}

/// Grants the token as to a person who has it in a variable, and keeps it.
async fn grant(
    registry: &Registry,
    token: &Canary,
    host: HostContext,
    store: &dyn CredentialStore,
) -> Result<()> {
    let key = registry.resolve(&"github".parse()?)?;
    let provider = registry.require(key.provider().as_str())?;
    let Some(github) = provider.as_credential() else {
        return Err(CliError::new("this moat was built without its provider for GitHub"));
    };
    let context = GrantContext::builder(host)
        .environment(Arc::new(FakeEnvironment::new().secret("GH_TOKEN", token.secret())))
        .terminal(Arc::new(FakeTerminal::new()))
        .build();
    let credential = github.grant(&context, &GrantRequest::new(key)).await?;
    store.save(&credential, Expect::Anything).await?;
    Ok(())
}
