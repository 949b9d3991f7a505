//! A client in the sandbox, behind the whole of a run.

use moat_provider_testkit::Canary;
use moat_run::Stdio;
use moat_run::sandbox::{Bubblewrap, Sandbox};

use super::world::program;
use crate::support;

#[tokio::test]
#[ignore = "needs bubblewrap and curl; run cargo xtask e2e"]
async fn a_client_in_the_sandbox_is_logged_in() {
    let token = Canary::with_prefix("toy_");
    let world = support::World::new(&token);
    world.grant("toy", &token).await;
    let sandbox = Bubblewrap::new(program("moat-bridge"));
    assert_eq!(sandbox.missing().await, []);
    let mut request = world.request(&["toy"]);
    request.stdio = Stdio::Captured;
    request.command = ["curl", "-sS", "https://api.toy.test/me"].map(str::to_owned).to_vec();
    let run = world.runner.prepare(request).await.unwrap();
    let running = sandbox.start(run.spec()).await.unwrap();
    let output = running.output().await.unwrap();
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!((output.code, &*stdout), (0, "{\"me\":\"toy\"}"), "{stderr}");
    run.stopped(output.code).await;
}
