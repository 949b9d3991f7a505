//! Runs in a real sandbox: `cargo xtask e2e` builds the bridge and runs these.

use std::path::PathBuf;

use moat_provider_testkit::Canary;
use moat_run::Stdio;
use moat_run::sandbox::{Bubblewrap, Sandbox};

use crate::support::World;

/// Where cargo puts the bridge: beside the tests' own directory.
fn bridge() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("moat-bridge")
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_client_in_the_sandbox_is_logged_in() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let sandbox = Bubblewrap::new(bridge());
    assert_eq!(sandbox.missing().await, []);
    let mut request = world.request(&["toy"]);
    request.stdio = Stdio::Captured;
    request.command = ["curl", "-sS", "https://api.toy.test/me"].map(str::to_owned).to_vec();
    let run = world.runner.prepare(request).await.unwrap();
    let running = sandbox.start(run.spec()).await.unwrap();
    let output = running.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        (output.code, &*text),
        (0, "{\"me\":\"toy\"}"),
        "{:?}",
        String::from_utf8_lossy(&output.stderr)
    );
    run.stopped(output.code).await;
}
