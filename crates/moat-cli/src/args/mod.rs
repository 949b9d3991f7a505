//! The command line: what may be typed, and what it means.

mod agent;
mod global;
mod grant;
mod network;
mod proxy;
mod resume;
mod run;
mod simple;
mod words;

use std::ffi::OsString;

use clap::{ArgMatches, Command};
use moat_provider_core::{Error, ErrorKind, GrantRef, Registry, Result};

pub(crate) use self::agent::AgentArgs;
pub(crate) use self::global::Globals;
pub(crate) use self::grant::{GrantArgs, TokenFrom};
pub(crate) use self::proxy::{Entrance, Exports, ProxyArgs};
pub(crate) use self::resume::{Earlier, ResumeArgs};
pub(crate) use self::run::{
    ConfigUse, EnvSpec, HomeChoice, MountSpec, Publish, RunArgs, SandboxChoice,
};
pub(crate) use self::simple::{
    ImportArgs, ManArgs, RevokeArgs, ShellArgs, StopArgs, Stopping, TraceArgs, TrustArgs,
    VendorRevocation, WhyArgs,
};
use crate::error::Result as CliResult;

/// What the person wants to be done.
#[derive(Debug)]
pub(crate) enum Invocation {
    Grant(GrantArgs),
    GrantList,
    GrantShow(GrantRef),
    GrantProviders,
    GrantTest(GrantRef),
    GrantRefresh(GrantRef),
    GrantClaim(GrantRef),
    Revoke(RevokeArgs),
    Trust(TrustArgs),
    Why(WhyArgs),
    Trace(TraceArgs),
    Run(Box<RunArgs>),
    Agent(Box<AgentArgs>),
    Doctor(Vec<String>),
    Resume(ResumeArgs),
    Proxy(Box<ProxyArgs>),
    Runs,
    Shell(ShellArgs),
    Stop(StopArgs),
    Demo,
    DemoClient,
    Import(ImportArgs),
    Completions(clap_complete::Shell),
    Man(ManArgs),
}

/// Builds the whole tree. `words` are those that were typed: a grant such as `aws:prod` has a
/// command of its own, so that its help and its errors name it.
pub(crate) fn root(registry: &Registry, words: &[OsString]) -> Command {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let root = Command::new("moat")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Lets an agent in a sandbox use your accounts without holding your secrets")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100)
        .subcommand(grant::command(registry, &words))
        .subcommand(run::command())
        .subcommand(resume::command())
        .subcommand(proxy::command())
        .subcommand(simple::revoke())
        .subcommand(simple::trust())
        .subcommand(simple::why())
        .subcommand(simple::trace())
        .subcommand(simple::runs())
        .subcommand(simple::shell())
        .subcommand(simple::stop())
        .subcommand(simple::doctor())
        .subcommand(simple::demo())
        .subcommand(simple::import())
        .subcommand(simple::completions())
        .subcommand(simple::man())
        .subcommands(agent::commands(registry));
    global::add(root)
}

/// Reads what was typed.
///
/// # Errors
///
/// When a value makes no sense that the tree could not judge.
pub(crate) fn read(registry: &Registry, matches: &ArgMatches) -> CliResult<Invocation> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(crate::error::CliError::usage("no command is given").with_hint("moat --help"));
    };
    Ok(match name {
        "grant" => grant::read(registry, matches)?,
        "run" => Invocation::Run(Box::new(run::read(matches))),
        "revoke" => Invocation::Revoke(simple::read_revoke(matches)?),
        "trust" => Invocation::Trust(simple::read_trust(matches)),
        "why" => Invocation::Why(simple::read_why(matches)?),
        "trace" => Invocation::Trace(simple::read_trace(matches)),
        "resume" => Invocation::Resume(resume::read(matches)),
        "runs" => Invocation::Runs,
        "proxy" => Invocation::Proxy(Box::new(proxy::read(matches))),
        "doctor" => Invocation::Doctor(simple::read_doctor(matches)),
        "shell" => Invocation::Shell(simple::read_shell_of(matches)),
        "stop" => Invocation::Stop(simple::read_stop(matches)?),
        "demo" if matches.get_flag("inside") => Invocation::DemoClient,
        "demo" => Invocation::Demo,
        "import" => Invocation::Import(simple::read_import(matches)),
        "completions" => Invocation::Completions(simple::read_shell(matches)),
        "man" => Invocation::Man(simple::read_man(matches)),
        agent => Invocation::Agent(Box::new(agent::read(registry, agent, matches)?)),
    })
}

/// Commands that there are or will be. No agent has one of these names.
const COMMANDS: &[&str] = &[
    "completions",
    "demo",
    "doctor",
    "grant",
    "help",
    "import",
    "man",
    "proxy",
    "resume",
    "revoke",
    "run",
    "runs",
    "shell",
    "stop",
    "trace",
    "trust",
    "why",
];

/// Checks that every provider can be named on the command line, and every option of a grant.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] with the first name that is one of the command's own.
pub(crate) fn check_names(registry: &Registry) -> Result<()> {
    let aliases = registry.aliases().map(|(alias, canonical)| (alias, canonical.as_str()));
    for (name, canonical) in registry.names().map(|name| (name, name.as_str())).chain(aliases) {
        let Some(provider) = registry.get(canonical) else { continue };
        if let Some(credential) = provider.as_credential() {
            if grant::COMMANDS.contains(&name.as_str()) {
                return Err(taken(&format!("the provider {name}"), &format!("moat grant {name}")));
            }
            let mut options = credential.grant_options().iter().map(|option| option.name());
            if let Some(option) = options.find(|option| grant::is_own_flag(option)) {
                return Err(taken(&format!("the option --{option} of {name}"), "moat grant"));
            }
        }
        if provider.as_agent().is_some() && COMMANDS.contains(&name.as_str()) {
            return Err(taken(&format!("the agent {name}"), &format!("moat {name}")));
        }
    }
    Ok(())
}

fn taken(what: &str, by: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what} has a name that `{by}` has already"))
        .with_hint("register the provider under another name")
}
