//! What a run may reach, and with which grants: flags that several commands share.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use moat_provider_core::{GrantRef, Result};
use moat_proxy::{Mode, Policy};

const GRANT: &str = "grant";
const DEFAULT: &str = "default";
const POLICY: &str = "policy";
const ALLOW: &str = "allow";
const DENY: &str = "deny";

const HEADING: &str = "Network";

/// What a run may reach, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetworkArgs {
    pub(crate) mode: Option<Mode>,
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
    /// Grants that fill an empty slot where several could.
    pub(crate) defaults: Vec<GrantRef>,
}

impl NetworkArgs {
    pub(super) fn read(matches: &ArgMatches) -> Self {
        let texts = |name: &str| -> Vec<String> {
            matches.get_many::<String>(name).unwrap_or_default().cloned().collect()
        };
        Self {
            mode: matches.get_one::<String>(POLICY).and_then(|mode| mode.parse().ok()),
            allow: texts(ALLOW),
            deny: texts(DENY),
            defaults: matches.get_many(DEFAULT).unwrap_or_default().cloned().collect(),
        }
    }

    /// Makes the policy; permissive where nothing is said.
    ///
    /// # Errors
    ///
    /// Those of an entry.
    pub(crate) fn policy(&self) -> Result<Policy> {
        let mut policy = Policy::builder(self.mode.unwrap_or(Mode::Permissive));
        for entry in &self.allow {
            policy = policy.allow(entry)?;
        }
        for entry in &self.deny {
            policy = policy.deny(entry)?;
        }
        Ok(policy.build())
    }
}

/// Makes `--grant`.
pub(super) fn grants(help: &'static str) -> Arg {
    Arg::new(GRANT)
        .long(GRANT)
        .short('g')
        .value_name("GRANT")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .value_parser(value_parser!(GrantRef))
        .help(help)
}

/// Reads `--grant`.
pub(super) fn read_grants(matches: &ArgMatches) -> Vec<GrantRef> {
    matches.get_many(GRANT).unwrap_or_default().cloned().collect()
}

/// Adds the flags.
pub(super) fn add(command: Command) -> Command {
    let entry = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("ENTRY")
            .action(ArgAction::Append)
            .value_parser(check_entry)
            .help(help)
            .help_heading(HEADING)
    };
    command
        .arg(
            Arg::new(POLICY)
                .long(POLICY)
                .value_name("MODE")
                .value_parser(PossibleValuesParser::new(["permissive", "strict"]))
                .help("What happens to a request that nothing else is said about")
                .help_heading(HEADING),
        )
        .arg(entry(ALLOW, "A host, a network or a request that is allowed: api.example.com, 10.0.0.0/8, 'GET a.example.com/v1/**'; repeatable"))
        .arg(entry(DENY, "The same for what is denied; repeatable"))
        .arg(
            Arg::new(DEFAULT)
                .long(DEFAULT)
                .value_name("GRANT")
                .action(ArgAction::Append)
                .value_parser(value_parser!(GrantRef))
                .help("The grant that is used for requests without a credential, where several could be; repeatable")
                .help_heading(HEADING),
        )
}

/// Checks an entry where it is typed. An entry of either kind reads the same.
fn check_entry(text: &str) -> Result<String> {
    Policy::builder(Mode::Strict).deny(text)?;
    Ok(text.to_owned())
}
