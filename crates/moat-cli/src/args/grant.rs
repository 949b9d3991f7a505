//! `moat grant`: one command for each provider, made from the options that it declares.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use moat_provider_core::{Error, GrantOption, GrantRef, OptionValue, Provider, Registry};

use super::{Invocation, global};
use crate::error::{CliError, Result};

const TOKEN_STDIN: &str = "token-stdin";
const FROM_COMMAND: &str = "from-command";
const GRANT: &str = "grant";

/// What stands in the place of a provider's name.
pub(super) const COMMANDS: &[&str] =
    &["claim", "help", "list", "providers", "refresh", "show", "test"];

/// Whether a flag of `moat grant PROVIDER` is our own.
pub(super) fn is_own_flag(name: &str) -> bool {
    [TOKEN_STDIN, FROM_COMMAND, "help"].contains(&name) || global::FLAGS.contains(&name)
}

/// A grant to be made.
#[derive(Debug)]
pub(crate) struct GrantArgs {
    pub(crate) grant: GrantRef,
    /// Names and values of the provider's own options; a switch has an empty value.
    pub(crate) options: Vec<(String, String)>,
    pub(crate) token: TokenFrom,
}

/// Where the token comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenFrom {
    /// The provider looks for it and asks the person.
    Provider,
    /// Standard input.
    Stdin,
    /// What this program prints.
    Command(Vec<String>),
}

/// Builds the command. `words` are those that were typed.
pub(super) fn command(registry: &Registry, words: &[&str]) -> Command {
    let named = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let grant = Arg::new(GRANT)
        .value_name("GRANT")
        .help("A grant, such as github or aws:prod")
        .required(true)
        .value_parser(value_parser!(GrantRef));
    let mut command = Command::new("grant")
        .about("Grants a credential, and looks after those that are granted")
        .long_about(
            "Acquires a credential, checks it with its vendor, and keeps it encrypted. A grant is \
             the name of a provider, for some with a qualifier: github, github:ghe.example.com.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        // What has no command of its own gets a better answer than that there is none.
        .allow_external_subcommands(true)
        .subcommand(named("list", "Lists the credentials that are granted"))
        .subcommand(named("refresh", "Renews a credential now, where its vendor can").arg(&grant))
        .subcommand(named("show", "Shows all about a credential but its secrets").arg(&grant))
        .subcommand(named("providers", "Lists what can be granted"))
        .subcommand(
            named("claim", "Refreshes a credential here from now on")
                .long_about(
                    "Refreshes a credential here from now on. It is a copy of a login that another \
                     program refreshes, and that program is not used any more: of two that refresh \
                     one login, a vendor logs both out.",
                )
                .arg(&grant),
        )
        .subcommand(
            named(
                "test",
                "Checks that a credential is good, with its vendor where that is possible",
            )
            .arg(&grant),
        );
    for provider in registry.iter() {
        let name = provider.name().as_str();
        let aliases = registry.aliases().filter(|(_, canonical)| *canonical == provider.name());
        let aliases: Vec<_> = aliases.map(|(alias, _)| alias.as_str().to_owned()).collect();
        if let Some(own) = of_provider(&**provider, name) {
            command = command.subcommand(own.visible_aliases(aliases));
        }
    }
    let mut qualified: Vec<_> = words.iter().filter(|word| word.contains(':')).collect();
    qualified.sort_unstable();
    qualified.dedup();
    for word in qualified {
        let provider = word.split_once(':').and_then(|(name, _)| registry.get(name));
        if let Some(own) = provider.and_then(|provider| of_provider(&**provider, word)) {
            command = command.subcommand(own.hide(true));
        }
    }
    command
}

fn of_provider(provider: &dyn Provider, name: &str) -> Option<Command> {
    let credential = provider.as_credential()?;
    let about = provider.as_describable().map(|text| crate::output::line(text.description()));
    let token_stdin = Arg::new(TOKEN_STDIN)
        .long(TOKEN_STDIN)
        .action(ArgAction::SetTrue)
        .help("Read the token from standard input");
    let from_command = Arg::new(FROM_COMMAND)
        .long(FROM_COMMAND)
        .value_name("COMMAND")
        .conflicts_with(TOKEN_STDIN)
        .help("Take what a program prints as the token: 'op read op://vault/item/field'");
    let mut command = Command::new(name.to_owned()).arg(token_stdin).arg(from_command);
    if let Some(about) = about {
        command = command.about(about);
    }
    for option in credential.grant_options() {
        command = command.arg(flag(option));
    }
    Some(command)
}

/// The identity of a provider's option; it cannot be that of one of our own.
fn id(option: &str) -> String {
    format!("option:{option}")
}

fn flag(option: &GrantOption) -> Arg {
    let arg = Arg::new(id(option.name()))
        .long(option.name().to_owned())
        .help(option.help().to_owned())
        .required(option.is_required());
    match option.value() {
        OptionValue::Switch => arg.action(ArgAction::SetTrue),
        OptionValue::Choice(words) => {
            let words = words.iter().map(|word| word.clone().into_owned());
            arg.value_name(option.name().to_uppercase())
                .value_parser(PossibleValuesParser::new(words))
        }
        OptionValue::Text(name) => arg.value_name(name.clone().into_owned()),
        // A kind of value of a later version: text, which the provider checks.
        _ => arg.value_name("VALUE"),
    }
}

/// Reads what was typed behind `moat grant`.
pub(super) fn read(registry: &Registry, matches: &ArgMatches) -> Result<Invocation> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(CliError::usage("no provider is given").with_hint("moat grant providers"));
    };
    Ok(match name {
        "list" => Invocation::GrantList,
        "providers" => Invocation::GrantProviders,
        "show" => Invocation::GrantShow(named(matches)?),
        "claim" => Invocation::GrantClaim(named(matches)?),
        "test" => Invocation::GrantTest(named(matches)?),
        "refresh" => Invocation::GrantRefresh(named(matches)?),
        grant => Invocation::Grant(read_grant(registry, grant, matches)?),
    })
}

/// Returns the grant that a command is about.
pub(super) fn named(matches: &ArgMatches) -> Result<GrantRef> {
    let grant = matches.get_one::<GrantRef>(GRANT).cloned();
    grant.ok_or_else(|| CliError::usage("no grant is given").with_hint("moat grant list"))
}

fn read_grant(registry: &Registry, grant: &str, matches: &ArgMatches) -> Result<GrantArgs> {
    let grant: GrantRef = grant.parse()?;
    let provider =
        registry.require(grant.name()).map_err(|error| suggesting(registry, &grant, error))?;
    let Some(credential) = provider.as_credential() else { return Err(no_credential(&**provider)) };
    let known = credential.grant_options();
    let mut options = Vec::new();
    for option in known {
        let name = option.name().to_owned();
        match option.value() {
            OptionValue::Switch if matches.get_flag(&id(&name)) => {
                options.push((name, String::new()));
            }
            OptionValue::Switch => {}
            _ => {
                if let Some(value) = matches.get_one::<String>(&id(&name)) {
                    options.push((name, value.clone()));
                }
            }
        }
    }
    let token = if matches.get_flag(TOKEN_STDIN) {
        TokenFrom::Stdin
    } else if let Some(command) = matches.get_one::<String>(FROM_COMMAND) {
        TokenFrom::Command(split(command)?)
    } else {
        TokenFrom::Provider
    };
    Ok(GrantArgs { grant, options, token })
}

/// Adds the name that was probably meant.
fn suggesting(registry: &Registry, grant: &GrantRef, error: Error) -> CliError {
    let names = registry.iter().map(|provider| provider.name().as_str());
    let likeness = |name: &str| strsim::jaro(grant.name(), name);
    let likely = names.chain(COMMANDS.iter().copied()).filter(|name| likeness(name) > 0.7);
    match likely.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(name) => CliError::from(error).with_hint(format!("did you mean: moat grant {name}")),
        None => error.into(),
    }
}

/// Says what an agent runs on that has no credential of its own.
fn no_credential(provider: &dyn Provider) -> CliError {
    let error = CliError::usage(format!("{} has no credential of its own", provider.name()));
    let wanted = provider.as_agent().and_then(|agent| agent.select_grants(&[], &[]).err());
    match wanted.as_ref().and_then(Error::hint) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint("moat grant providers"),
    }
}

/// Splits a command into words as a shell does, without running one.
fn split(command: &str) -> Result<Vec<String>> {
    let words = shell_words::split(command).unwrap_or_default();
    if words.is_empty() {
        return Err(CliError::usage(format!("--{FROM_COMMAND} holds no command"))
            .with_hint("close every quote: --from-command 'op read op://vault/item/field'"));
    }
    Ok(words)
}
