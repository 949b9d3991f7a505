//! The commands with few flags.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use http::{Method, Uri};
use moat_provider_core::{GrantRef, RunId};

use super::network::{self, NetworkArgs};
use crate::error::{CliError, Result};

/// `moat revoke`.
#[derive(Debug)]
pub(crate) struct RevokeArgs {
    /// The text as it was typed: what is in the store may belong to a provider that is gone.
    pub(crate) grant: GrantRef,
    pub(crate) at_vendor: VendorRevocation,
}

/// Whether the vendor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VendorRevocation {
    /// The person is asked.
    Ask,
    /// Without a question.
    Yes,
    /// Not at all.
    No,
}

/// `moat trust`.
#[derive(Debug)]
pub(crate) struct TrustArgs {
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) yes: bool,
}

/// `moat why`.
#[derive(Debug)]
pub(crate) struct WhyArgs {
    pub(crate) url: Uri,
    pub(crate) method: Method,
    /// The grants that the run would have; without any, all that are stored.
    pub(crate) grants: Vec<GrantRef>,
    pub(crate) network: NetworkArgs,
}

/// `moat trace`.
#[derive(Debug)]
pub(crate) struct TraceArgs {
    /// The run; the latest without this.
    pub(crate) run: Option<RunId>,
    /// Whether only what was refused or failed is wanted.
    pub(crate) failed: bool,
    /// How many of the last requests; all without this.
    pub(crate) last: Option<usize>,
}

/// `moat shell`.
#[derive(Debug)]
pub(crate) struct ShellArgs {
    /// The latest one that runs without this.
    pub(crate) run: Option<RunId>,
    /// The person's shell without this.
    pub(crate) command: Vec<String>,
}

/// `moat stop`.
#[derive(Debug)]
pub(crate) struct StopArgs {
    pub(crate) run: RunId,
    pub(crate) how: Stopping,
}

/// How a run is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// It is asked to.
    Ask,
    /// It is killed.
    Kill,
}

/// `moat import`.
#[derive(Debug)]
pub(crate) struct ImportArgs {
    pub(crate) from: Option<PathBuf>,
    pub(crate) replace: bool,
    /// Whether the earlier moat is done with them.
    pub(crate) claim: bool,
}

/// `moat man`.
#[derive(Debug)]
pub(crate) struct ManArgs {
    /// Where a page for each command goes; without it the first page goes to standard output.
    pub(crate) directory: Option<PathBuf>,
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
}

pub(super) fn revoke() -> Command {
    Command::new("revoke")
        .about("Forgets a credential, and ends it at its vendor")
        .arg(
            Arg::new("grant")
                .value_name("GRANT")
                .help("A grant, such as github or aws:prod")
                .required(true)
                .value_parser(value_parser!(GrantRef)),
        )
        .arg(switch("yes", "End it at the vendor without a question").short('y'))
        .arg(
            switch("local", "Forget it here, and leave it as it is at the vendor")
                .conflicts_with("yes"),
        )
}

pub(super) fn read_revoke(matches: &ArgMatches) -> Result<RevokeArgs> {
    let at_vendor = match (matches.get_flag("yes"), matches.get_flag("local")) {
        (true, _) => VendorRevocation::Yes,
        (_, true) => VendorRevocation::No,
        _ => VendorRevocation::Ask,
    };
    Ok(RevokeArgs { grant: super::grant::named(matches)?, at_vendor })
}

pub(super) fn trust() -> Command {
    Command::new("trust")
        .about("Shows what the moat.toml of a workspace asks for, and lets it have that")
        .arg(path("workspace", "DIR", "The workspace; the current directory without this"))
        .arg(switch("yes", "Without a question").short('y'))
}

pub(super) fn read_trust(matches: &ArgMatches) -> TrustArgs {
    TrustArgs { workspace: matches.get_one("workspace").cloned(), yes: matches.get_flag("yes") }
}

pub(super) fn why() -> Command {
    let command = Command::new("why")
        .about("Says whether a request would get a credential, from which rule, or what is missing")
        .arg(
            Arg::new("url")
                .value_name("URL")
                .required(true)
                .value_parser(value_parser!(Uri))
                .help("An https URL, such as https://api.github.com/user"),
        )
        .arg(
            Arg::new("method")
                .long("method")
                .short('X')
                .value_name("METHOD")
                .default_value("GET")
                .value_parser(value_parser!(Method))
                .help("The method of the request"),
        )
        .arg(network::grants("A grant that the run would have; all that are stored without this"));
    network::add(command)
}

pub(super) fn read_why(matches: &ArgMatches) -> Result<WhyArgs> {
    Ok(WhyArgs {
        url: matches.get_one("url").cloned().unwrap_or_default(),
        method: matches.get_one("method").cloned().unwrap_or_default(),
        grants: network::read_grants(matches),
        network: NetworkArgs::read(matches),
    })
}

pub(super) fn trace() -> Command {
    Command::new("trace")
        .about("Shows the requests of a run, and which grant filled which slot")
        .long_about(
            "Shows the requests of a run: method, URL, status, time, bytes, and the rule that put \
             a credential in, or why none did. With --json, one object for each line.",
        )
        .arg(
            Arg::new("run")
                .value_name("RUN")
                .value_parser(value_parser!(RunId))
                .help("The run, or the beginning of its id; the latest without this"),
        )
        .arg(switch("failed", "Only what was refused or failed"))
        .arg(
            Arg::new("last")
                .long("last")
                .short('n')
                .value_name("COUNT")
                .value_parser(value_parser!(usize))
                .help("Only the last requests, this many"),
        )
}

pub(super) fn read_trace(matches: &ArgMatches) -> TraceArgs {
    TraceArgs {
        run: matches.get_one("run").cloned(),
        failed: matches.get_flag("failed"),
        last: matches.get_one("last").copied(),
    }
}

pub(super) fn runs() -> Command {
    Command::new("runs").about("Lists the runs of this machine, the latest first")
}

pub(super) fn doctor() -> Command {
    Command::new("doctor")
        .about("Checks everything that a run needs, and says how to fix each")
        .long_about(
            "Checks everything that a run needs, and says how to fix each. Nothing is sent, and \
             nothing is changed. The exit code is 1 when a check has failed.",
        )
        .arg(
            Arg::new("provider")
                .value_name("PROVIDER")
                .num_args(0..)
                .help("A provider to look at although it has no grant, such as claude"),
        )
}

pub(super) fn read_doctor(matches: &ArgMatches) -> Vec<String> {
    matches.get_many("provider").unwrap_or_default().cloned().collect()
}

pub(super) fn shell() -> Command {
    Command::new("shell")
        .about("Starts a shell in the sandbox of a run, beside its command")
        .long_about(
            "Starts a shell in the sandbox of a run, beside its command, with the same variables, \
             files and grants. It ends with the run.",
        )
        .arg(
            Arg::new("run")
                .value_name("RUN")
                .value_parser(value_parser!(RunId))
                .help("The run, or the beginning of its id; the latest that runs without this"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .last(true)
                .num_args(0..)
                .help("What to start instead of a shell"),
        )
}

pub(super) fn read_shell_of(matches: &ArgMatches) -> ShellArgs {
    ShellArgs {
        run: matches.get_one("run").cloned(),
        command: matches.get_many("command").unwrap_or_default().cloned().collect(),
    }
}

pub(super) fn stop() -> Command {
    Command::new("stop")
        .about("Ends a run")
        .long_about(
            "Asks a run to end, as a system that shuts down does, and waits until it has. A run whose \
             process died is cleaned up.",
        )
        .arg(
            Arg::new("run")
                .value_name("RUN")
                .required(true)
                .value_parser(value_parser!(RunId))
                .help("The run, or the beginning of its id"),
        )
        .arg(switch("force", "Kill it: nothing in the sandbox can put that off").short('f'))
}

pub(super) fn read_stop(matches: &ArgMatches) -> Result<StopArgs> {
    let run = matches.get_one("run").cloned();
    let run = run.ok_or_else(|| CliError::usage("no run is given").with_hint("moat runs"))?;
    let how = if matches.get_flag("force") { Stopping::Kill } else { Stopping::Ask };
    Ok(StopArgs { run, how })
}

pub(super) fn demo() -> Command {
    let inside = switch("inside", "Be the client in the sandbox").hide(true);
    Command::new("demo")
        .about(
            "Shows on loopback, without any account, what a sandbox sees and what the vendor gets",
        )
        .arg(inside)
}

pub(super) fn import() -> Command {
    Command::new("import")
        .about("Copies the credentials of an earlier moat, which was written in Go")
        .arg(path("from", "DIR", "Where the earlier moat keeps its state; ~/.moat without this"))
        .arg(switch("replace", "Replace credentials that are here already"))
        .arg(switch(
            "claim",
            "Refresh them here from now on: the earlier moat is not used any more",
        ))
}

pub(super) fn read_import(matches: &ArgMatches) -> ImportArgs {
    ImportArgs {
        from: matches.get_one("from").cloned(),
        replace: matches.get_flag("replace"),
        claim: matches.get_flag("claim"),
    }
}

pub(super) fn completions() -> Command {
    Command::new("completions").about("Writes a script that completes commands in a shell").arg(
        Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)),
    )
}

pub(super) fn read_shell(matches: &ArgMatches) -> Shell {
    matches.get_one("shell").copied().unwrap_or(Shell::Bash)
}

pub(super) fn man() -> Command {
    Command::new("man").about("Writes the manual").arg(path(
        "dir",
        "DIR",
        "Write a page for each command into this directory",
    ))
}

pub(super) fn read_man(matches: &ArgMatches) -> ManArgs {
    ManArgs { directory: matches.get_one("dir").cloned() }
}
