//! WebSockets in the sandbox, to a service that a person has bound to a token of their own.

use std::process::Stdio;

use moat_provider_testkit::Canary;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::machine::{Machine, source, tool};
use crate::program::{Output, Program};

const HOST: &str = "chat.example.test";

/// What both clients print when all goes well.
const MESSAGES: &str = "welcome\nstr 3\nstr 1000000\nbytes 3\nclosed 1000";

/// A machine with a service that speaks WebSocket and takes one token.
struct Chat {
    machine: Machine,
    token: Canary,
    connect: String,
    _service: Child,
}

impl Chat {
    async fn granted() -> Self {
        let machine = Machine::granted().await;
        let token = Canary::with_prefix("chat_");
        let (certificate, key) = machine.vendor.certificate(HOST);
        let files = [("chat.key", key), ("chat.pem", certificate)].map(|(name, pem)| {
            std::fs::write(machine.path(name), pem).unwrap();
            machine.path(name)
        });
        let mut service = Program::new(&tool("python/bin/python"))
            .arg(source("websocket_vendor.py"))
            .args(files)
            .env("TOKEN", token.text())
            .spawn(Stdio::null());
        let mut lines = BufReader::new(service.stdout.take().unwrap()).lines();
        let ready = lines.next_line().await.unwrap().unwrap();
        let port = ready.strip_prefix("ready ").unwrap();
        let connect = format!("{HOST}:443:127.0.0.1:{port}");
        let grant = ["grant", "custom:chat", "--host", HOST, "--bearer", "--from-command"];
        let token_file = machine.path("chat.token");
        std::fs::write(&token_file, token.text()).unwrap();
        let source = format!("cat {}", token_file.display());
        let granted = machine.moat().args(grant).arg(source).run().await;
        granted.text();
        let chat = Self { machine, token, connect, _service: service };
        chat.checked(&granted);
        chat
    }

    fn checked(&self, output: &Output) {
        self.machine.checked(output);
        for stream in [&output.stdout, &output.stderr] {
            assert_eq!(self.token.find_in(stream), None, "{output}");
        }
    }

    async fn run(&self, flags: &[&str], client: &[&str], credential: &str) -> Output {
        let modules = format!("NODE_PATH={}", tool("npm/node_modules"));
        let url = format!("wss://{HOST}/");
        let command = [&["env", &*modules], client, &[&*url, credential]].concat();
        let flags = [flags, &["--connect-to", &self.connect]].concat();
        let output = self.machine.run(&flags, &command).await;
        self.checked(&output);
        output
    }

    /// Has a client do everything, and be refused without the grant.
    async fn shows(&self, client: &[&str]) {
        let granted = ["--grant", "custom:chat", "--policy", "strict"];
        assert_eq!(self.run(&granted, client, "").await.text(), MESSAGES);
        let own = self.run(&granted, client, "Bearer chat_made-up-in-the-sandbox").await;
        assert!(own.says("refused 403 client-credential"), "{own}");
        let without = self.run(&["--allow", HOST], client, "").await;
        assert!(without.says("refused 401"), "{without}");
        let strict = self.run(&["--policy", "strict"], client, "").await;
        assert!(strict.code == Some(1) && strict.says("403"), "{strict}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Python's websockets; run cargo xtask e2e"]
async fn websockets_of_python_work() {
    let python = tool("python/bin/python");
    Chat::granted().await.shows(&[&python, &source("client_websockets.py")]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Node's ws; run cargo xtask e2e"]
async fn websockets_of_node_work() {
    Chat::granted().await.shows(&["node", &source("client_ws.js")]).await;
}
