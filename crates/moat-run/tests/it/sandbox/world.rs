//! A directory of the run's own, a socket that echoes, and the programs of this workspace.

use std::path::{Path, PathBuf};

use moat_provider_core::{Alphabet, EnvVar};
use moat_provider_testkit::Canary;
use moat_run::sandbox::{Bubblewrap, Captured, Running, Sandbox};
use moat_run::{ContainerSpec, Stdio, Way};
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// The port of the bridge in the sandbox.
pub(crate) const PORT: u16 = 3128;

pub(crate) struct World {
    pub(crate) directory: PathBuf,
    echo: JoinHandle<()>,
}

impl World {
    /// Serves a socket on which every byte comes back.
    pub(crate) fn new() -> Self {
        let name = Canary::shaped("", Alphabet::Alphanumeric, 16);
        let directory = std::env::temp_dir().join(format!("moat-sandbox-{}", name.text()));
        std::fs::create_dir(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("proxy.sock")).unwrap();
        let echo = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    _ = copy(&mut reader, &mut writer).await;
                    _ = writer.shutdown().await;
                });
            }
        });
        Self { directory, echo }
    }

    pub(crate) fn spec(&self, command: &[&str]) -> ContainerSpec {
        let way = Way::Socket { path: self.directory.join("proxy.sock"), port: PORT };
        let command = command.iter().map(|&argument| argument.to_owned()).collect();
        let home = "/home/agent".parse().unwrap();
        let mut spec = ContainerSpec::new("test".parse().unwrap(), home, command, way);
        spec.env = vec![EnvVar::new("PATH", "/usr/local/bin:/usr/bin:/bin").unwrap()];
        spec.stdio = Stdio::Captured;
        spec
    }

    pub(crate) async fn start(&self, spec: &ContainerSpec) -> Running {
        Bubblewrap::new(program("moat-bridge")).start(spec).await.unwrap()
    }

    /// Runs a script of the shell to its end.
    pub(crate) async fn sh(&self, script: &str) -> Captured {
        self.start(&self.spec(&["sh", "-c", script])).await.output().await.unwrap()
    }

    /// Runs a script of Python's to its end.
    pub(crate) async fn python(&self, script: &str) -> Captured {
        let spec = self.spec(&["/usr/bin/python3", "-c", script]);
        self.start(&spec).await.output().await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.echo.abort();
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns a program of this workspace; `cargo xtask e2e` builds it before the tests run.
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).map(|target| target.join(name)).unwrap();
    assert!(Path::new(&program).is_file(), "{name} is not built; run cargo xtask e2e");
    program
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
