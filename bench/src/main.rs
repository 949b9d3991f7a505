//! Measures the data plane of moat beside other proxies, on loopback.
//!
//! The origin and each proxy are processes of their own, whose processor time and memory are read
//! from `/proc`; this process generates the load and prints a table.

mod body;
mod clock;
mod count;
mod load;
mod measure;
mod options;
mod origin;
mod process;
mod results;
mod signature;
mod table;
mod targets;
mod variants;
mod world;

use std::process::ExitCode;

use tokio::net::{TcpListener, TcpSocket};

use crate::options::{Options, Usual};
use crate::world::{Http, World};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "serve" => serve(rest),
        Some((first, rest)) if first == "count" => measure(rest, Way::Count),
        Some((first, rest)) if first == "aws" => measure(rest, Way::Aws),
        _ => measure(&arguments, Way::Measure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("moat-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is done with what was chosen.
enum Way {
    Measure,
    Count,
    Aws,
}

fn measure(arguments: &[String], way: Way) -> Result<()> {
    let usual = if matches!(way, Way::Aws) { Usual::Aws } else { Usual::Proxy };
    let Some(options) = Options::parse(arguments, usual)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    moat_proxy::plane::raise_descriptor_limit()?;
    let directory = std::env::temp_dir().join(format!("moat-bench-{}", std::process::id()));
    let world = World::create(directory)?;
    let done = runtime()?.block_on(async {
        match way {
            Way::Measure => measure::all(&options, &world).await.map(|it| table::print(&it)),
            Way::Aws => measure::all(&options, &world).await.map(|it| table::aws::print(&it)),
            Way::Count => count::all(&options, &world).await,
        }
    });
    std::fs::remove_dir_all(world.directory())?;
    print!("{}", done?);
    Ok(())
}

/// Is one of the processes that are measured, until nobody holds its standard input any more.
fn serve(arguments: &[String]) -> Result<()> {
    moat_proxy::plane::raise_descriptor_limit()?;
    // Crates for ring and for aws-lc-rs are linked, and rustls does not choose between them.
    _ = rustls::crypto::ring::default_provider().install_default();
    std::thread::spawn(|| {
        _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    runtime()?.block_on(async {
        let listener = listen(arguments.last().is_some_and(|last| last == variants::NO_DELAY))?;
        println!("{}", listener.local_addr()?.port());
        match arguments {
            [name, directory, http] if name == "origin" => {
                origin::serve(&World::open(directory), Http::parse(http)?, listener).await
            }
            _ => variants::serve(arguments, listener).await,
        }
    })
}

/// Listens on a free port. Sockets that are accepted have the option of the one that listens.
fn listen(no_delay: bool) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(no_delay)?;
    socket.bind(process::loopback(0))?;
    Ok(socket.listen(BACKLOG)?)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
