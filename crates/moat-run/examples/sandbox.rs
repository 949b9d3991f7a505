//! Runs a command in a sandbox of bubblewrap, without a proxy: `sandbox BRIDGE COMMAND ARGUMENTS`.

use std::error::Error;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use moat_provider_core::EnvVar;
use moat_run::sandbox::{Bubblewrap, Sandbox};
use moat_run::{ContainerSpec, Way};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bridge = arguments.next().ok_or("sandbox BRIDGE COMMAND ARGUMENTS")?;
    let directory = std::env::temp_dir().join(format!("moat-example-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let socket = directory.join("proxy.sock");
    // Nobody answers here; a host serves its proxy.
    let listener = UnixListener::bind(&socket)?;
    let way = Way::Socket { path: socket, port: 3128 };
    let home = "/home/agent".parse()?;
    let mut spec = ContainerSpec::new("example".parse()?, home, arguments.collect(), way);
    spec.env.push(EnvVar::new("PATH", "/usr/local/bin:/usr/bin:/bin")?);
    spec.env.push(EnvVar::new("HOME", "/home/agent")?);
    let mut running = Bubblewrap::new(bridge).start(&spec).await?;
    let code = running.wait().await;
    drop(listener);
    std::fs::remove_dir_all(directory)?;
    Ok(ExitCode::from(u8::try_from(code?)?))
}
