//! How a container starts, is signalled and ends.

use std::process::{Command, Stdio as Pipes};

use moat_run::sandbox::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

use super::world::{PORT, World, program, text};

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn the_exit_code_is_the_commands() {
    let world = World::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        assert_eq!(world.sh(script).await.code, code, "{script}");
    }
    for (command, code) in [("no-such-program", 127), ("/etc/passwd", 126)] {
        let running = world.start(&world.spec(&[command])).await;
        let output = running.output().await.unwrap();
        assert_eq!(output.code, code, "{command}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
    }
}

/// Starts a script that says that it is ready by connecting to the bridge.
const READY: &str = "exec 3<>/dev/tcp/127.0.0.1/3128;";

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn signals_reach_the_command() {
    assert_eq!(PORT, 3128);
    for (signal, code) in [(Signal::Interrupt, 42), (Signal::Terminate, 143), (Signal::Kill, 137)] {
        let world = World::new();
        // What is ignored at the start cannot be trapped, and a runner in the background ignores it.
        let mut spec = world.spec(&["env", "--default-signal=INT", "bash", "-c"]);
        spec.command.push(format!("trap 'exit 42' INT; {READY} sleep 60 & wait"));
        let socket = world.directory.join("own.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        spec.way = moat_run::Way::Socket { path: socket, port: PORT };
        let mut running = world.start(&spec).await;
        _ = listener.accept().await.unwrap();
        running.signal(signal).unwrap();
        assert_eq!(running.wait().await.unwrap(), code, "{signal:?}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_container_dies_with_what_started_it() {
    for kill in [false, true] {
        let world = World::new();
        let socket = world.directory.join("own.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut spec = world.spec(&["bash", "-c"]);
        spec.command.push(format!("{READY} sleep infinity"));
        spec.way = moat_run::Way::Socket { path: socket, port: PORT };
        if kill {
            // The example has a socket of its own, so its output says that it is ready.
            #[expect(clippy::disallowed_methods, reason = "a host that is killed is a process")]
            let mut host = Command::new(program("examples/sandbox"));
            let mut host = host
                .arg(program("moat-bridge"))
                .args(["sh", "-c", "echo ready; sleep infinity"])
                .stdin(Pipes::null())
                .stdout(Pipes::piped())
                .spawn()
                .unwrap();
            let mut output = host.stdout.take().unwrap();
            let mut ready = [0; 6];
            std::io::Read::read_exact(&mut output, &mut ready).unwrap();
            host.kill().unwrap();
            host.wait().unwrap();
            // Every process of the sandbox holds this pipe.
            assert_eq!(std::io::Read::read(&mut output, &mut ready).unwrap(), 0);
        } else {
            let running = world.start(&spec).await;
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(running);
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    }
}
