//! Clients whose connections stay open: gRPC and WebSocket.

use crate::container::{Container, VENDOR};
use crate::program::{Output, Program, Server, source};

/// Starts a vendor of the tests' own, which takes the token alone.
async fn served(container: &Container, script: &str) -> Server {
    let (certificate, key) = container.certificate(VENDOR);
    let program = Program::new("python").arg(source(script)).args([key, certificate]);
    let server = program.env("TOKEN", container.token.text()).serve("ready").await;
    container.world.net.add(VENDOR, 443, server.address());
    server
}

/// Has a client do everything, and be refused for each reason.
async fn shows(script: &str, everything: &str, of: impl Fn(&Container, &str, &str) -> Program) {
    let container = Container::new().await;
    let _server = served(&container, script).await;
    let ask = async |host: &str, credential: String| -> Output {
        container.run(of(&container, host, &credential)).await
    };
    for credential in [format!("Bearer {}", container.placeholder()), String::new()] {
        let output = ask(VENDOR, credential).await;
        assert_eq!(output.text(), everything, "{output}");
    }
    let stale = ask(VENDOR, format!("Bearer {}", container.stale())).await;
    assert!(stale.says("status: 401") || stale.says("401 stale-placeholder"), "{stale}");
    let denied = ask("other.test", String::new()).await;
    assert!(!denied.ok, "{denied}");
    container.ungranted();
    let without = ask(VENDOR, format!("Bearer {}", container.placeholder())).await;
    assert!(without.says("refused 401 -") || without.says("bad credentials"), "{without}");
}

#[tokio::test]
#[ignore = "needs Python's grpcio; run cargo xtask e2e"]
async fn grpc_streams_both_ways() {
    let everything = "whoami you OK\necho ONE TWO THREE OK\nupload 2000000\ndownload 2000000";
    shows("grpc_vendor.py", everything, |container, host, credential| {
        let program = container.program("python").arg(source("client_grpc.py"));
        program.args([host, credential])
    })
    .await;
}

const MESSAGES: &str = "welcome\nstr 3\nstr 1000000\nbytes 3\nclosed 1000";

#[tokio::test]
#[ignore = "needs Python's websockets; run cargo xtask e2e"]
async fn websockets_of_python_work() {
    shows("websocket_vendor.py", MESSAGES, |container, host, credential| {
        let program = container.program("python").arg(source("client_websockets.py"));
        program.args([&format!("wss://{host}/"), credential])
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Node's ws; run cargo xtask e2e"]
async fn websockets_of_node_work() {
    shows("websocket_vendor.py", MESSAGES, |container, host, credential| {
        let program = container.program("node").arg(source("client_ws.js"));
        program.args([&format!("wss://{host}/"), credential])
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Python's websockets; run cargo xtask e2e"]
async fn a_token_in_a_message_is_masked_and_in_a_compressed_one_ends_it() {
    let mut container = Container::new().await;
    let _server = served(&container, "websocket_vendor.py").await;
    let url = format!("wss://{VENDOR}/echo");
    let script = source("client_websockets.py");
    let plain = container.program("python").args([&script, &url, "", "none"]);
    let plain = container.run(plain).await;
    assert!(plain.says("you sent Bearer ven_") && plain.says("********"), "{plain}");
    assert!(plain.text().ends_with("closed 1000"), "{plain}");
    let compressed = container.program("python").args([&script, &url, ""]);
    let compressed = container.run(compressed).await;
    assert!(!compressed.ok && compressed.says("ConnectionClosedError"), "{compressed}");
    let record = container.world.record(|record| record.reason.is_some()).await;
    assert_eq!(record.reason, Some("secret-in-compressed-message"));
}
