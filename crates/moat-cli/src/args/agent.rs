//! `moat AGENT`: a run of an agent, with the agent's own flags.

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use moat_provider_core::{
    Approval, Launch, LaunchMode, Provider, ProviderName, Registry, Result, Session,
};

use super::run::{self, RunArgs};
use super::words;

/// A run of an agent.
#[derive(Debug)]
pub(crate) struct AgentArgs {
    /// The agent's canonical name.
    pub(crate) agent: ProviderName,
    /// The agent with its flags set; `None` when none was typed.
    pub(crate) configured: Option<Arc<dyn Provider>>,
    pub(crate) launch: Launch,
    pub(crate) run: RunArgs,
}

const HEADING: &str = "Run";
const CONVERSATION: &str = "Conversation";

/// Builds a command for each agent.
pub(super) fn commands(registry: &Registry) -> Vec<Command> {
    let agents = registry.iter().filter(|provider| provider.as_agent().is_some());
    agents.map(|provider| command(registry, &**provider)).collect()
}

pub(super) fn command(registry: &Registry, provider: &dyn Provider) -> Command {
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
    let own = own(provider, command).next_help_heading(HEADING);
    run::flags(own).arg(prompt()).args([
        switch("continue", "Go on with the latest conversation of this workspace"),
        Arg::new("resume")
            .long("resume")
            .value_name("ID")
            .conflicts_with("continue")
            .help_heading(CONVERSATION)
            .help("Go on with the conversation of this id; moat resume finds it by its run"),
        headless(),
        ask(),
    ])
}

/// Adds the agent's own flags.
fn own(provider: &dyn Provider, command: Command) -> Command {
    match provider.as_agent() {
        Some(agent) => agent.register_cli(command),
        None => command,
    }
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help).help_heading(CONVERSATION)
}

/// Makes the prompt, which may begin with a dash and have several words.
pub(super) fn prompt() -> Arg {
    Arg::new("prompt")
        .value_name("PROMPT")
        .num_args(1..)
        .help_heading(None)
        .help("What the agent is told first; behind -- it may begin with a dash")
}

/// Makes `--headless`.
pub(super) fn headless() -> Arg {
    switch("headless", "Answer the prompt and end").requires("prompt")
}

/// Makes `--ask`.
pub(super) fn ask() -> Arg {
    switch("ask", "Ask before what the agent's own settings do not allow")
}

/// Reads the command of an agent; `name` is what was typed.
///
/// # Errors
///
/// [`ErrorKind::ProviderNotFound`](moat_provider_core::ErrorKind::ProviderNotFound), and what the
/// agent says of its flags.
pub(super) fn read(registry: &Registry, name: &str, matches: &ArgMatches) -> Result<AgentArgs> {
    let provider = registry.require(name)?;
    let own = own(&**provider, Command::new(name.to_owned()));
    let configured = match provider.as_agent() {
        Some(agent) if words::is_any_typed(&own, matches) => agent.from_matches(matches)?,
        _ => None,
    };
    let session = match matches.get_one::<String>("resume") {
        Some(id) => Session::Resume(id.clone()),
        None if matches.get_flag("continue") => Session::Continue,
        None => Session::Fresh,
    };
    let mut launch = Launch::default();
    launch.session = session;
    launch.prompt = read_prompt(matches);
    if matches.get_flag("headless") {
        launch.mode = LaunchMode::Headless;
    }
    if matches.get_flag("ask") {
        launch.approval = Approval::AgentDefault;
    }
    let run = run::read_flags(&command(registry, &**provider), matches);
    Ok(AgentArgs { agent: provider.name().clone(), configured, launch, run })
}

/// Reads the prompt: words that the shell took apart are one text.
pub(super) fn read_prompt(matches: &ArgMatches) -> Option<String> {
    let words = matches.get_many::<String>("prompt")?;
    Some(words.map(String::as_str).collect::<Vec<_>>().join(" "))
}
