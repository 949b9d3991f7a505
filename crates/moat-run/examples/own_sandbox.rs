//! What a sandbox vendor does with this crate: prepares a run, looks at what the container is to be
//! given, and ends it. Nothing is started, and nothing leaves the machine.
//!
//! `cargo run -p moat-run --example own_sandbox`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{BoxFuture, Clock, Entropy, HostContext, Registry};
use moat_run::{RunRequest, Runner, StateDir, Way};
use moat_store::MemoryStore;
use time::OffsetDateTime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Once for each process: which providers there are (`moat_providers::builtin()`), where
    // credentials are (`moat_store::FileStore`), and what reaches the outside (`moat_host`).
    let registry = Registry::builder().build();
    let store = Arc::new(MemoryStore::new());
    let ports = HostContext::builder(Arc::new(SystemClock), Arc::new(SystemEntropy)).build();
    let directory = tempfile::tempdir()?;
    let state = StateDir::new(directory.path().join("state"));
    let runner = Runner::builder(registry, store, ports, state).build();

    // Once for each container.
    let workspace = directory.path().join("project");
    std::fs::create_dir(&workspace)?;
    let command = ["sh", "-c", "echo hello"].map(str::to_owned).to_vec();
    let run = runner.prepare(RunRequest::new(workspace, command)).await?;
    let spec = run.spec();
    print(&format!("command   {:?}", spec.command));
    for bind in &spec.binds {
        print(&format!("bind      {} ({:?})", bind.target, bind.access));
    }
    for var in &spec.env {
        print(&format!("variable  {}={}", var.name(), var.value()));
    }
    if let Way::Socket { port, .. } = &spec.way {
        print(&format!("proxy     the run's socket, to be joined to 127.0.0.1:{port}"));
    }

    // When the container has ended.
    let stopped = run.stopped(0).await;
    print(&format!("ended     {:?}", stopped.metadata.state));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the example shows")]
fn print(text: &str) {
    println!("{text}");
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> moat_provider_core::Result<()> {
        use moat_provider_core::{Error, ErrorKind};
        let none = |_| Error::new(ErrorKind::Unavailable, "the system has no random numbers");
        getrandom::fill(buffer).map_err(none)
    }
}
