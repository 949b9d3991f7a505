//! `moat demo`: a run from grant to request, on loopback, with a vendor of its own.
//!
//! Nothing is played: the provider, the store, the proxy and the sandbox are those of every run.

mod client;
mod vendor;

use std::path::Path;
use std::sync::Arc;

use moat_provider_core::{CredentialProvider, GrantContext, GrantRequest, Registry, Secret};
use moat_provider_testkit::{Canary, FakeEnvironment};
use moat_run::sandbox::{Sandbox, UNCONFINED_WARNING, Unconfined, WayKind, detect};
use moat_run::{Bind, Place, RunRequest, Runner, StateDir, Stdio};
use moat_store::{CredentialStore, Expect, FileStore, KeyFile};
use serde_json::json;

use self::client::Report;
pub(super) use self::client::client;
use self::vendor::{API, Vendor};
use super::run::place;
use crate::app::App;
use crate::args::Globals;
use crate::error::{CliError, Code, Result};
use crate::output::{Table, line};

/// Where this program appears in the sandbox.
const PROGRAM: &str = "/opt/moat";

/// Shows the tour.
pub(super) async fn demo(app: &App<'_>) -> Result<Code> {
    let stage = Stage::set(app)?;
    let placed = sandbox(app).await;
    let granted = stage.run(app, &*placed, &["github"]).await?;
    let ungranted = stage.run(app, &*placed, &[]).await?;
    let shown = Shown {
        leak: stage.token.find_in(&granted.said).or_else(|| stage.token.find_in(&ungranted.said)),
        placeholder: granted.report.token.clone(),
        arrived: stage.vendor.arrived(),
        sandbox: placed.name(),
        granted: granted.report,
        ungranted: ungranted.report,
    };
    app.output.result(&shown.text(&stage.token), || shown.json())?;
    Ok(if shown.is_good() { Code::Success } else { Code::Failure })
}

/// Returns a sandbox that works here, or none and says so.
async fn sandbox(app: &App<'_>) -> Arc<dyn Sandbox> {
    let found = match place::bubblewrap(app) {
        Ok(bubblewrap) => detect(bubblewrap, Vec::new()).await.map_err(CliError::from),
        Err(error) => Err(error),
    };
    found.unwrap_or_else(|error| {
        app.output.warn(UNCONFINED_WARNING);
        app.output.note(&format!("To have one: {}", line(error.hint().unwrap_or_default())));
        Arc::new(Unconfined::new())
    })
}

/// A machine of the demo's own: a vendor, a person with a token, directories.
struct Stage {
    directory: tempfile::TempDir,
    token: Canary,
    vendor: Vendor,
}

/// What one run brought to light.
struct Ran {
    report: Report,
    /// Everything that came out of the sandbox.
    said: Vec<u8>,
}

impl Stage {
    fn set(app: &App<'_>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            CliError::new("there is no directory to work in").with_source(&error)
        };
        let directory = tempfile::tempdir().map_err(failed)?;
        for name in ["work", "outside"] {
            std::fs::create_dir(directory.path().join(name)).map_err(failed)?;
        }
        let token = Canary::shaped("ghp_", moat_provider_core::Alphabet::Alphanumeric, 36);
        let vendor = Vendor::start(&token.secret());
        std::fs::write(directory.path().join("outside/ca.pem"), vendor.authority())
            .map_err(failed)?;
        app.output.note("A loopback API that behaves like GitHub's accepts one made-up token.");
        Ok(Self { directory, token, vendor })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the flags with which all of this leads to the vendor.
    fn globals(&self, app: &App<'_>) -> Globals {
        Globals {
            upstream_ca: Some(self.path("outside/ca.pem")),
            connect_to: vec![format!("{API}:443:127.0.0.1:{}", self.vendor.port())],
            ..app.globals.clone()
        }
    }

    /// Grants the token as a person does who has it in a variable, and keeps it encrypted.
    async fn grant(&self, app: &App<'_>, provider: &dyn CredentialProvider) -> Result<FileStore> {
        let home = self.path("outside/moat");
        let store = FileStore::builder(&home).key_source(Arc::new(KeyFile::in_home(&home))).build();
        let environment = FakeEnvironment::new().secret("GH_TOKEN", self.token.secret());
        let host =
            moat_provider_core::HostContext::builder(app.system.clock(), app.system.entropy())
                .http(app.system.http(&self.globals(app))?)
                .build();
        let cx = GrantContext::builder(host)
            .environment(Arc::new(environment))
            .terminal(Arc::new(moat_provider_testkit::FakeTerminal::new()))
            .build();
        let request = GrantRequest::new(app.key(&"github".parse()?)?);
        let credential = provider.grant(&cx, &request).await?;
        store.save(&credential, Expect::Anything).await?;
        Ok(store)
    }

    /// Runs the client with these grants.
    async fn run(&self, app: &App<'_>, sandbox: &dyn Sandbox, grants: &[&str]) -> Result<Ran> {
        let registry: Registry = app.registry.clone();
        let provider = registry.require("github")?;
        let Some(provider) = provider.as_credential() else {
            return Err(CliError::new("this moat was built without its GitHub provider"));
        };
        let store = self.grant(app, provider).await?;
        let upstream = app.system.upstream(&self.globals(app))?;
        let mut runner = Runner::builder(
            registry.clone(),
            Arc::new(store),
            app.host()?,
            StateDir::new(self.path("outside/moat")),
        )
        .connect_to(upstream.connect_to);
        if let Some(tls) = upstream.tls {
            runner = runner.upstream_tls(tls);
        }
        let runner = runner.build();
        let run = runner.prepare(self.request(sandbox, grants)?).await?;
        let output = sandbox.start(run.spec()).await?.output().await;
        let code = output.as_ref().map_or(125, |output| output.code);
        run.stopped(code).await;
        let output = output?;
        let said = [output.stdout.clone(), output.stderr.clone()].concat();
        let report = Report::read(&output.stdout).ok_or_else(|| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            CliError::new(format!("the client in the sandbox failed: {}", line(&text)))
        })?;
        Ok(Ran { report, said })
    }

    fn request(&self, sandbox: &dyn Sandbox, grants: &[&str]) -> Result<RunRequest> {
        let own = std::env::current_exe().map_err(|error| {
            CliError::new("it is not known where this program is").with_source(&error)
        })?;
        let is_host = matches!(sandbox.way(), WayKind::Port);
        let program = if is_host { own.as_path() } else { Path::new(PROGRAM) };
        let program = program.to_string_lossy().into_owned();
        let command = vec![program, "demo".into(), "--inside".into()];
        let work = self.path("work");
        let work = work.canonicalize().unwrap_or(work);
        let mut request = RunRequest::new(work, command);
        for grant in grants {
            request.grants.push(grant.parse()?);
        }
        // The request is looked into in both runs, so that only the grant makes the difference.
        let policy = moat_proxy::Policy::builder(moat_proxy::Mode::Permissive);
        request.policy = policy.allow(&format!("GET {API}/**"))?.build();
        request.stdio = Stdio::Captured;
        if is_host {
            request.place = Place::Host;
        } else {
            let access = moat_provider_core::MountAccess::ReadOnly;
            request.binds.push(Bind { source: own, target: PROGRAM.parse()?, access });
        }
        Ok(request)
    }
}

/// What is shown in the end.
struct Shown {
    sandbox: &'static str,
    placeholder: Option<String>,
    arrived: Vec<Secret>,
    granted: Report,
    ungranted: Report,
    leak: Option<moat_provider_testkit::Encoding>,
}

impl Shown {
    fn is_good(&self) -> bool {
        self.leak.is_none() && self.granted.status == 200 && self.ungranted.status == 401
    }

    fn text(&self, token: &Canary) -> String {
        let has_arrived = self.arrived.iter().any(|sent| sent.same_as(&token.secret()));
        let arrived = match has_arrived {
            true => format!("{}…, the token", &token.text()[..8]),
            false => "no token".to_owned(),
        };
        let searched = format!(
            "{}: environment, files, memory of {} processes",
            bytes(self.granted.searched),
            self.granted.processes
        );
        let found = match self.leak {
            None => "nowhere",
            Some(_) => "IN THE SANDBOX",
        };
        let answer = line(self.granted.answer.trim());
        let with = format!("{} {answer}", self.granted.status);
        let without = self.ungranted.status.to_string();
        let placeholder = self.placeholder.as_deref().unwrap_or("nothing");
        let candidates = self.granted.candidates.len().to_string();
        let mut table = Table::new(["", "IN THE SANDBOX", "AT THE API"]);
        table.row(["isolated by", self.sandbox, ""]);
        table.row(["credential", placeholder, &arrived]);
        table.row(["GET /user", &with, "accepted"]);
        table.row(["without the grant", &without, "refused"]);
        table.row(["searched", &searched, ""]);
        table.row(["like a token", &candidates, ""]);
        table.row(["the token itself", found, ""]);
        format!("\n{}", table.render())
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "sandbox": self.sandbox,
            "placeholder": self.placeholder,
            "status": self.granted.status,
            "status_without_grant": self.ungranted.status,
            "searched_bytes": self.granted.searched,
            "token_found": self.leak.is_some(),
            "ok": self.is_good(),
        })
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}
