//! mitmproxy, with a script that leads to the origin and streams all bodies.

use std::net::SocketAddr;
use std::process::Stdio;

use super::Programs;
use crate::Result;
use crate::process::{Server, command, free_port};
use crate::world::World;

pub(super) fn start(programs: &Programs, world: &World, origin: SocketAddr) -> Result<Server> {
    let program = programs.mitmdump.as_deref().ok_or("mitmdump is not installed")?;
    let port = free_port()?;
    let authority = world.read("proxy-ca.key")? + &world.read("proxy-ca.pem")?;
    world.write("mitmproxy-ca.pem", &authority)?;
    let file = format!("mitmproxy-{port}.py");
    world.write(&file, &script(origin))?;
    let mut mitmdump = command(program);
    mitmdump.args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()]);
    let [directory, trusted] = [world.directory().to_path_buf(), world.path("origin-ca.pem")]
        .map(|path| path.display().to_string());
    mitmdump.args(["--set", &format!("confdir={directory}")]);
    mitmdump.args(["--set", &format!("ssl_verify_upstream_trusted_ca={trusted}")]);
    mitmdump.args(["--set", "connection_strategy=lazy", "--set", "stream_large_bodies=64k"]);
    mitmdump.arg("--scripts").arg(world.path(&file)).stderr(Stdio::null());
    Server::other(mitmdump, port)
}

fn script(origin: SocketAddr) -> String {
    let (ip, port) = (origin.ip(), origin.port());
    format!(
        "class ToOrigin:
    def server_connect(self, data):
        data.server.address = (\"{ip}\", {port})

    def responseheaders(self, flow):
        flow.response.stream = True


addons = [ToOrigin()]
"
    )
}
