//! `moat resume`: the conversation of an earlier run, in a new one.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use moat_provider_core::{Registry, Result, RunId};

use super::agent::{self, AgentArgs};
use super::{run, words};
use crate::error::CliError;

/// A run that shall go on.
#[derive(Debug)]
pub(crate) struct ResumeArgs {
    /// The run; the latest of the workspace that has a conversation without this.
    pub(crate) run: Option<RunId>,
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) prompt: Option<String>,
    /// The flags that were typed, which prevail over those of the earlier run.
    typed: Vec<String>,
}

/// What an earlier run says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earlier<'a> {
    pub(crate) agent: &'a str,
    pub(crate) session: &'a str,
    pub(crate) grants: &'a [String],
    pub(crate) flags: &'a [String],
}

/// Builds the command.
pub(super) fn command() -> Command {
    let command = Command::new("resume")
        .about("Goes on with the conversation of an earlier run, with its grants and flags")
        .long_about(
            "Goes on with the conversation of an earlier run: in a new run, with the same agent, \
             grants and flags. Flags that are typed here are added, and prevail where there can be \
             only one. Values of variables are not kept: pass --env again.",
        )
        .arg(Arg::new("run").value_name("RUN").value_parser(value_parser!(RunId)).help(
            "The run, or the beginning of its id; the latest of this workspace without this",
        ));
    run::flags(command.next_help_heading("Run"))
        .arg(agent::prompt().last(true))
        .arg(agent::headless())
        .arg(agent::ask())
}

/// Reads the command.
pub(super) fn read(matches: &ArgMatches) -> ResumeArgs {
    ResumeArgs {
        run: matches.get_one("run").cloned(),
        workspace: matches.get_one("workspace").cloned(),
        prompt: agent::read_prompt(matches),
        typed: words::typed(&command(), matches),
    }
}

impl ResumeArgs {
    /// Makes a run of an agent out of an earlier one and of what was typed.
    ///
    /// # Errors
    ///
    /// When there is no such agent any more, or it does not take the flags.
    pub(crate) fn into_agent(
        self,
        registry: &Registry,
        earlier: Earlier<'_>,
    ) -> Result<AgentArgs, CliError> {
        let mut words = vec![earlier.agent.to_owned()];
        words.extend(earlier.grants.iter().map(|grant| format!("--grant={grant}")));
        words.extend(earlier.flags.iter().cloned());
        words.extend(self.typed.into_iter().filter(|word| !earlier.flags.contains(word)));
        words.push(format!("--resume={}", earlier.session));
        words.extend(self.prompt.into_iter().flat_map(|prompt| ["--".to_owned(), prompt]));
        let provider = registry.require(earlier.agent)?;
        let command = words::last_prevails(agent::command(registry, &**provider));
        let matches = command.try_get_matches_from(words).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let first = crate::output::line(first);
            CliError::usage(format!("the earlier run cannot be repeated: {first}"))
                .with_hint(format!("moat {} --resume {}", earlier.agent, earlier.session))
        })?;
        Ok(agent::read(registry, earlier.agent, &matches)?)
    }
}
