//! `moat AGENT`: a run of an agent, with the agent's own flags.

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use moat_provider_core::{
    Approval, Launch, LaunchMode, Provider, ProviderName, Registry, Result, Session,
};

use super::run::{self, RunArgs};

/// A run of an agent.
#[derive(Debug)]
pub(crate) struct AgentArgs {
    /// The agent's canonical name.
    pub(crate) agent: ProviderName,
    /// The agent with its flags set; `None` when it has none.
    pub(crate) configured: Option<Arc<dyn Provider>>,
    pub(crate) launch: Launch,
    pub(crate) run: RunArgs,
}

const HEADING: &str = "Run";

/// Builds a command for each agent.
pub(super) fn commands(registry: &Registry) -> Vec<Command> {
    let agents = registry.iter().filter(|provider| provider.as_agent().is_some());
    agents.map(|provider| command(registry, &**provider)).collect()
}

fn command(registry: &Registry, provider: &dyn Provider) -> Command {
    let name = provider.name();
    let aliases = registry.aliases().filter(|(_, canonical)| *canonical == name);
    let aliases: Vec<_> = aliases.map(|(alias, _)| alias.as_str().to_owned()).collect();
    let about = match provider.as_describable() {
        Some(text) => {
            format!("Runs {name} in a sandbox: {}", crate::output::line(text.description()))
        }
        None => format!("Runs {name} in a sandbox"),
    };
    let command = Command::new(name.as_str().to_owned()).about(about).visible_aliases(aliases);
    let own = match provider.as_agent() {
        Some(agent) => agent.register_cli(command),
        None => command,
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let own = own.next_help_heading(HEADING);
    run::flags(own)
        .arg(
            Arg::new("prompt")
                .value_name("PROMPT")
                .help("What the agent is told first; behind -- it may begin with a dash"),
        )
        .arg(switch("continue", "Go on with the latest conversation of this workspace"))
        .arg(
            Arg::new("resume")
                .long("resume")
                .value_name("ID")
                .conflicts_with("continue")
                .help("Go on with this conversation"),
        )
        .arg(switch("headless", "Answer the prompt and end").requires("prompt"))
        .arg(switch("ask", "Ask before what the agent's own settings do not allow"))
}

/// Reads the command of an agent; `name` is what was typed.
///
/// # Errors
///
/// [`ErrorKind::ProviderNotFound`](moat_provider_core::ErrorKind::ProviderNotFound), and what the
/// agent says of its flags.
pub(super) fn read(registry: &Registry, name: &str, matches: &ArgMatches) -> Result<AgentArgs> {
    let provider = registry.require(name)?;
    let configured = match provider.as_agent() {
        Some(agent) => agent.from_matches(matches)?,
        None => None,
    };
    let session = match matches.get_one::<String>("resume") {
        Some(id) => Session::Resume(id.clone()),
        None if matches.get_flag("continue") => Session::Continue,
        None => Session::Fresh,
    };
    let mut launch = Launch::default();
    launch.session = session;
    launch.prompt = matches.get_one("prompt").cloned();
    if matches.get_flag("headless") {
        launch.mode = LaunchMode::Headless;
    }
    if matches.get_flag("ask") {
        launch.approval = Approval::AgentDefault;
    }
    let agent = provider.name().clone();
    Ok(AgentArgs { agent, configured, launch, run: run::read_flags(matches) })
}
