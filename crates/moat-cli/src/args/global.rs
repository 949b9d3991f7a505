//! What every command takes.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use moat_provider_core::{Environment, Result};

use crate::app::plain_variable;
use crate::output::{ColorChoice, Format, Verbosity};

const PROFILE: &str = "profile";
const UPSTREAM_CA: &str = "upstream-ca";
const CONNECT_TO: &str = "connect-to";
const JSON: &str = "json";
const QUIET: &str = "quiet";
const COLOR: &str = "color";

/// The names of the flags.
pub(super) const FLAGS: [&str; 6] = [PROFILE, UPSTREAM_CA, CONNECT_TO, JSON, QUIET, COLOR];

const HEADING: &str = "Everywhere";

/// Adds the flags to the root.
pub(super) fn add(root: Command) -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).global(true).help_heading(HEADING)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
            .global(true)
            .help_heading(HEADING)
    };
    root.arg(value(PROFILE, "NAME", "Set of credentials to use [env: MOAT_PROFILE]"))
        .arg(
            value(UPSTREAM_CA, "FILE", "Further certificate authorities to trust, as PEM [env: MOAT_UPSTREAM_CA]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            value(CONNECT_TO, "HOST:PORT:ADDR:PORT", "Connect elsewhere for a host and port, as in curl; repeatable [env: MOAT_CONNECT_TO, separated by white space]")
                .action(ArgAction::Append),
        )
        .arg(switch(JSON, "Write JSON for programs"))
        .arg(switch(QUIET, "Say nothing but results, warnings and errors").short('q'))
        .arg(
            value(COLOR, "WHEN", "When to use colours")
                .value_parser(PossibleValuesParser::new(["auto", "always", "never"])),
        )
}

/// The values of these flags, from the command line or else the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Globals {
    pub(crate) profile: Option<String>,
    pub(crate) upstream_ca: Option<PathBuf>,
    pub(crate) connect_to: Vec<String>,
    pub(crate) format: Format,
    pub(crate) verbosity: Verbosity,
    pub(crate) color: ColorChoice,
}

impl Globals {
    /// Reads them. A flag prevails over the variable of the same meaning.
    ///
    /// # Errors
    ///
    /// Those of the environment.
    pub(crate) fn read(matches: &ArgMatches, environment: &dyn Environment) -> Result<Self> {
        let variable = |name: &str| plain_variable(environment, name);
        let profile = match matches.get_one::<String>(PROFILE) {
            Some(profile) => Some(profile.clone()),
            None => variable("MOAT_PROFILE")?,
        };
        let upstream_ca = match matches.get_one::<PathBuf>(UPSTREAM_CA) {
            Some(path) => Some(path.clone()),
            None => variable("MOAT_UPSTREAM_CA")?.map(PathBuf::from),
        };
        let connect_to = match matches.get_many::<String>(CONNECT_TO) {
            Some(rules) => rules.cloned().collect(),
            None => {
                let rules = variable("MOAT_CONNECT_TO")?.unwrap_or_default();
                rules.split_whitespace().map(str::to_owned).collect()
            }
        };
        let when = matches.get_one::<String>(COLOR).map(String::as_str);
        Ok(Self {
            profile,
            upstream_ca,
            connect_to,
            format: if matches.get_flag(JSON) { Format::Json } else { Format::Text },
            verbosity: if matches.get_flag(QUIET) { Verbosity::Quiet } else { Verbosity::Normal },
            color: match when {
                Some("always") => ColorChoice::Always,
                Some("never") => ColorChoice::Never,
                _ => ColorChoice::Auto,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_testkit::FakeEnvironment;

    use super::*;

    fn globals(words: &[&str], environment: &FakeEnvironment) -> Globals {
        let root = add(Command::new("moat").subcommand(Command::new("x")));
        let words = ["moat"].iter().chain(words).chain(&["x"]).copied();
        Globals::read(&root.try_get_matches_from(words).unwrap(), environment).unwrap()
    }

    #[test]
    fn a_flag_prevails_over_the_variable() {
        let environment = FakeEnvironment::new()
            .text("MOAT_PROFILE", "work")
            .text("MOAT_UPSTREAM_CA", "/ca.pem")
            .text("MOAT_CONNECT_TO", "a:443:b:1 \n c:443:d:2");
        let from_environment = globals(&[], &environment);
        assert_eq!(from_environment.profile.as_deref(), Some("work"));
        assert_eq!(from_environment.upstream_ca, Some("/ca.pem".into()));
        assert_eq!(from_environment.connect_to, ["a:443:b:1", "c:443:d:2"]);
        let flags = ["--profile", "home", "--upstream-ca=x", "--connect-to", "e:1:f:2"];
        let from_flags = globals(&flags, &environment);
        assert_eq!(from_flags.profile.as_deref(), Some("home"));
        assert_eq!(from_flags.upstream_ca, Some("x".into()));
        assert_eq!(from_flags.connect_to, ["e:1:f:2"]);
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let environment = FakeEnvironment::new().text("MOAT_PROFILE", "");
        assert_eq!(globals(&[], &environment), Globals::default());
    }
}
