//! `count`: how many instructions a small request costs a proxy, as valgrind counts them.
//!
//! Processor time on a busy machine differs by a tenth from one round to the next; instructions
//! differ by far less than a hundredth. They say nothing of the kernel's share, nor of caches.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::load::Load;
use crate::options::Options;
use crate::process::{Server, command, find};
use crate::variants::{self, Variant};
use crate::world::{Http, World};

/// Requests on each connection before the count begins.
const WARM_UP: usize = 16;
/// Requests on each connection that are counted.
const COUNTED: usize = 64;

/// Counts for each variant that is part of this program, and says where its profile is.
pub(crate) async fn all(options: &Options, world: &World) -> Result<String> {
    let (Some(valgrind), Some(control)) = (find("valgrind"), find("callgrind_control")) else {
        return Err("valgrind is not installed".into());
    };
    let tools = Tools { valgrind, control };
    let mut table = String::new();
    for http in options.versions.iter().copied() {
        let directory = world.directory().to_str().ok_or("the directory's name is not text")?;
        let origin = Server::ours(&["origin", directory, http.as_str()])?;
        for variant in options.variants.iter().copied() {
            let Some(arguments) =
                variants::arguments(variant, http, directory, origin.address().port())
            else {
                continue;
            };
            let (count, profile) = tools.count(variant, http, &arguments, world).await?;
            let (name, http) = (variant.name(), http.as_str());
            let profile = profile.display();
            table.push_str(&format!("{name:<22} {http:>3} {count:>9.0} instructions  {profile}\n"));
        }
    }
    Ok(table)
}

struct Tools {
    valgrind: PathBuf,
    control: PathBuf,
}

impl Tools {
    async fn count(
        &self,
        variant: Variant,
        http: Http,
        arguments: &[String],
        world: &World,
    ) -> Result<(f64, PathBuf)> {
        let name = format!("moat-bench.{}.{}.callgrind", variant.name(), http.as_str());
        let profile = std::env::temp_dir().join(name.replace(' ', ""));
        let mut counted = command(&self.valgrind);
        counted.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
        counted.arg(format!("--callgrind-out-file={}", profile.display()));
        // One thread: what several do at once is neither the same twice, nor faster in valgrind.
        counted.env("TOKIO_WORKER_THREADS", "1");
        counted.arg(std::env::current_exe()?).arg("serve").args(arguments);
        let server = Server::serving(counted, variant.name())?;
        let load = Load::new(world, variants::way(variant, world, server.address())?, http)?;
        let connections = load.send(load.connections().await?, WARM_UP).await?;
        self.instrument("on", &server)?;
        let connections = load.send(connections, COUNTED).await?;
        self.instrument("off", &server)?;
        server.end()?;
        let requests = connections.len() * COUNTED;
        Ok((total(&profile)? as f64 / requests as f64, profile))
    }

    fn instrument(&self, word: &str, server: &Server) -> Result<()> {
        let mut control = command(&self.control);
        let done = control.args(["-i", word, &server.id().to_string()]).output()?;
        if done.status.success() {
            return Ok(());
        }
        Err(format!("callgrind_control: {}", String::from_utf8_lossy(&done.stderr)).into())
    }
}

/// Reads the sum of a profile.
fn total(profile: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(profile)?;
    let sums = text.lines().filter_map(|line| line.strip_prefix("totals: "));
    Ok(sums.map(|sum| sum.trim().parse::<u64>()).sum::<std::result::Result<_, _>>()?)
}
