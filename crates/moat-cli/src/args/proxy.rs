//! `moat proxy`: what is served, where, and how that is told.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use moat_provider_core::GrantRef;

use super::network::{self, NetworkArgs};

/// A proxy for a sandbox of the person's own.
#[derive(Clone, Debug)]
pub(crate) struct ProxyArgs {
    pub(crate) grants: Vec<GrantRef>,
    pub(crate) network: NetworkArgs,
    pub(crate) no_proxy: Vec<String>,
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) entrance: Entrance,
    pub(crate) exports: Exports,
}

/// Where clients come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// A port of loopback; the system chooses one without this.
    Port(Option<NonZeroU16>),
    /// A socket.
    Socket,
}

/// How variables are written where no JSON is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exports {
    /// For a POSIX shell.
    Shell,
    /// For programs that read files of variables.
    Dotenv,
}

/// Builds the command.
pub(super) fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let command = Command::new("proxy")
        .about("Serves a sandbox of your own, and prints the variables that it needs")
        .long_about(
            "Serves a sandbox of your own until Ctrl-C, and prints the variables that it needs. On a \
             port of loopback they hold the token of the run: whoever has it uses the grants for as \
             long as this runs. A sandbox with a network of its own reaches a socket instead, which \
             moat-bridge joins to a port in there.",
        )
        .arg(network::grants("A grant to use, such as github; repeatable"))
        .arg(
            Arg::new("workspace")
                .long("workspace")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("The directory that the sandbox works in; the current one without this"),
        )
        .arg(
            Arg::new("no-proxy")
                .long("no-proxy")
                .value_name("HOST")
                .action(ArgAction::Append)
                .help("A host that clients reach without the proxy; repeatable"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .value_parser(value_parser!(NonZeroU16))
                .help("The port of loopback; one of the system's choice without this"),
        )
        .arg(switch("socket", "Listen at a socket instead of a port").conflicts_with("port"))
        .arg(
            switch("dotenv", "Print NAME=VALUE, as files of variables have it")
                .conflicts_with("json"),
        );
    network::add(command)
}

/// Reads the command.
pub(super) fn read(matches: &ArgMatches) -> ProxyArgs {
    let is_socket = matches.get_flag("socket");
    ProxyArgs {
        grants: network::read_grants(matches),
        network: NetworkArgs::read(matches),
        no_proxy: matches.get_many("no-proxy").unwrap_or_default().cloned().collect(),
        workspace: matches.get_one("workspace").cloned(),
        entrance: match is_socket {
            true => Entrance::Socket,
            false => Entrance::Port(matches.get_one("port").copied()),
        },
        exports: if matches.get_flag("dotenv") { Exports::Dotenv } else { Exports::Shell },
    }
}
