//! `moat run`: what is run, with which grants, where.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use moat_provider_core::{ContainerPath, EnvVar, Error, GrantRef, MountAccess, Result};

use super::network::{self, NetworkArgs};
use super::words;

/// A run, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunArgs {
    /// The agent by its name or an alias; without it the command's name may be one.
    pub(crate) agent: Option<String>,
    pub(crate) grants: Vec<GrantRef>,
    pub(crate) network: NetworkArgs,
    pub(crate) sandbox: Option<SandboxChoice>,
    pub(crate) home: Option<HomeChoice>,
    pub(crate) env: Vec<EnvSpec>,
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) publish: Vec<Publish>,
    pub(crate) no_proxy: Vec<String>,
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) config: ConfigUse,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// The flags that a run which resumes this one has as well.
    pub(crate) kept: Vec<String>,
}

/// What isolates a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SandboxChoice {
    /// The first of these that is there.
    Auto,
    /// bubblewrap.
    Bubblewrap,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// Nothing.
    None,
}

impl SandboxChoice {
    /// The words, in the order of help texts.
    pub(crate) const WORDS: [&str; 5] = ["auto", "bubblewrap", "docker", "podman", "none"];
}

impl FromStr for SandboxChoice {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "auto" => Self::Auto,
            "bubblewrap" => Self::Bubblewrap,
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "none" => Self::None,
            _ => return Err(no_such_word("sandbox", word, &Self::WORDS)),
        })
    }
}

/// How long the home directory of the sandbox is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HomeChoice {
    /// It is removed with the run.
    Private,
    /// It is kept for the workspace.
    Kept,
}

impl HomeChoice {
    /// The words, in the order of help texts.
    pub(crate) const WORDS: [&str; 2] = ["private", "kept"];
}

impl FromStr for HomeChoice {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "private" => Ok(Self::Private),
            "kept" => Ok(Self::Kept),
            _ => Err(no_such_word("home", word, &Self::WORDS)),
        }
    }
}

fn no_such_word(what: &str, word: &str, words: &[&str]) -> Error {
    Error::invalid(format!("there is no {what} {word:?}"))
        .with_hint(format!("one of: {}", words.join(", ")))
}

/// A variable of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvSpec {
    /// With this value.
    Set(EnvVar),
    /// With the value that it has outside.
    Inherit(String),
}

impl FromStr for EnvSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, value)) => EnvVar::new(name, value).map(Self::Set),
            None => EnvVar::new(text, "").map(|var| Self::Inherit(var.name().to_owned())),
        }
    }
}

/// A directory or file of the host that appears in the sandbox: `SOURCE:TARGET[:ro|rw]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountSpec {
    pub(crate) source: PathBuf,
    pub(crate) target: ContainerPath,
    pub(crate) access: MountAccess,
}

impl FromStr for MountSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!("{text:?} is not SOURCE:TARGET, nor that with :ro or :rw"))
                .with_hint("for example --mount /srv/data:/data:ro")
        };
        let (paths, access) = match text.rsplit_once(':') {
            Some((paths, "rw")) => (paths, MountAccess::ReadWrite),
            Some((paths, "ro")) => (paths, MountAccess::ReadOnly),
            _ => (text, MountAccess::ReadOnly),
        };
        let (source, target) = paths.rsplit_once(':').ok_or_else(invalid)?;
        if source.is_empty() {
            return Err(invalid());
        }
        Ok(Self { source: source.into(), target: target.parse()?, access })
    }
}

/// A port of the sandbox that is reached from the host: `PORT` or `HOST-PORT:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) host: u16,
    pub(crate) container: u16,
}

impl FromStr for Publish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (host, container) = text.split_once(':').unwrap_or((text, text));
        match (port(host), port(container)) {
            (Some(host), Some(container)) => Ok(Self { host, container }),
            _ => Err(Error::invalid(format!("{text:?} is no port, nor HOST-PORT:PORT"))
                .with_hint("for example --publish 3000")),
        }
    }
}

/// What is made of the workspace's `moat.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConfigUse {
    /// It is read; the person is asked for what has to be asked for.
    #[default]
    Ask,
    /// It is read, and has what it asks for from now on.
    Trust,
    /// It is not read.
    Ignore,
}

/// Builds the command.
pub(super) fn command() -> Command {
    let agent = Arg::new("agent")
        .long("agent")
        .value_name("NAME")
        .help("The agent that prepares the sandbox; an agent's own command is chosen without this");
    let words = Arg::new("command")
        .value_name("COMMAND")
        .last(true)
        .num_args(0..)
        .help("Program and arguments; an agent says itself what to start");
    flags(
        Command::new("run")
            .about("Runs a command in a sandbox that uses your grants without holding them")
            .arg(agent)
            .arg(words),
    )
}

/// Adds what runs of agents take as well.
pub(super) fn flags(command: Command) -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let many = |name: &'static str, of: &'static str, help: &'static str| {
        value(name, of, help).action(ArgAction::Append)
    };
    let command = command
        .arg(network::grants("A grant to use, such as github; repeatable"))
        .arg(
            value("workspace", "DIR", "The directory to work in; the current one without this")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            value("sandbox", "KIND", "What isolates the run; none is for debugging")
                .value_parser(PossibleValuesParser::new(SandboxChoice::WORDS)),
        )
        .arg(
            value("home", "KIND", "Whether the home directory is kept for the workspace")
                .value_parser(PossibleValuesParser::new(HomeChoice::WORDS)),
        )
        .arg(
            many("env", "NAME[=VALUE]", "A variable of the sandbox; without a value the one that it has here; repeatable")
                .short('e')
                .value_parser(value_parser!(EnvSpec)),
        )
        .arg(
            many("mount", "SOURCE:TARGET[:ro|rw]", "A directory or file that appears in the sandbox, to read unless told otherwise; repeatable")
                .value_parser(value_parser!(MountSpec)),
        )
        .arg(
            many("publish", "[PORT:]PORT", "A port of the sandbox that is reached from here; repeatable")
                .short('p')
                .value_parser(value_parser!(Publish)),
        )
        .arg(many("no-proxy", "HOST", "A host that clients reach without the proxy; repeatable"))
        .arg(
            Arg::new("trust-config")
                .long("trust-config")
                .action(ArgAction::SetTrue)
                .help("Let the moat.toml of the workspace have what it asks for, from now on"),
        )
        .arg(
            Arg::new("no-config")
                .long("no-config")
                .action(ArgAction::SetTrue)
                .conflicts_with("trust-config")
                .help("Leave the moat.toml of the workspace unread"),
        );
    network::add(command)
}

/// Reads `moat run`.
pub(super) fn read(matches: &ArgMatches) -> RunArgs {
    RunArgs {
        agent: matches.get_one("agent").cloned(),
        command: matches.get_many("command").unwrap_or_default().cloned().collect(),
        ..read_flags(&flags(Command::new("run")), matches)
    }
}

/// Reads what runs of agents take as well. `command` is the one that was typed, with all its flags.
pub(super) fn read_flags(command: &Command, matches: &ArgMatches) -> RunArgs {
    fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
        matches.get_many(name).unwrap_or_default().cloned().collect()
    }
    let word = |name: &str| matches.get_one::<String>(name);
    RunArgs {
        agent: None,
        grants: network::read_grants(matches),
        network: NetworkArgs::read(matches),
        sandbox: word("sandbox").and_then(|word| word.parse().ok()),
        home: word("home").and_then(|word| word.parse().ok()),
        env: all(matches, "env"),
        mounts: all(matches, "mount"),
        publish: all(matches, "publish"),
        no_proxy: all(matches, "no-proxy"),
        workspace: matches.get_one("workspace").cloned(),
        config: match (matches.get_flag("trust-config"), matches.get_flag("no-config")) {
            (true, _) => ConfigUse::Trust,
            (_, true) => ConfigUse::Ignore,
            _ => ConfigUse::Ask,
        },
        command: Vec::new(),
        kept: kept(command, matches),
    }
}

/// Returns the flags that hold for whoever resumes the run. Grants and the workspace are kept by
/// themselves, consent holds for the file that was shown, each run has its own prompt and
/// conversation, and a value of a variable may be a secret.
fn kept(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let kept = words::typed(command, matches).into_iter().filter_map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((&word, ""));
        match name {
            "--grant" | "--workspace" | "--trust-config" => None,
            "--continue" | "--resume" | "--headless" => None,
            "--env" if value.contains('=') => None,
            // The run that resumes this one may be started elsewhere.
            "--mount" if !value.starts_with('/') => {
                let here = std::path::absolute(".").ok()?;
                Some(format!("{name}={}/{value}", here.to_str()?))
            }
            _ => Some(word),
        }
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<RunArgs, clap::Error> {
        let words = ["run"].iter().chain(words).copied();
        command().try_get_matches_from(words).map(|matches| read(&matches))
    }

    #[test]
    fn what_stands_behind_the_dashes_is_the_command_as_it_is() {
        let args = run(&["--grant", "github,aws:prod", "-g", "npm", "--", "gh", "--grant", "x"]);
        let args = args.unwrap();
        assert_eq!(args.command, ["gh", "--grant", "x"]);
        let grants: Vec<_> = args.grants.iter().map(ToString::to_string).collect();
        assert_eq!(grants, ["github", "aws:prod", "npm"]);
        run(&["gh"]).unwrap_err();
    }

    #[test]
    fn a_mount_is_kept_with_its_whole_path() {
        let kept = run(&["--mount", "a:/b:rw", "--grant", "github", "-e", "A=b"]).unwrap().kept;
        let here = std::env::current_dir().unwrap();
        assert_eq!(kept, [format!("--mount={}/a:/b:rw", here.display())]);
    }

    #[test]
    fn every_flag_is_read() {
        let args = run(&[
            "--agent",
            "toy",
            "--policy",
            "strict",
            "--allow",
            "a.example",
            "--deny",
            "DELETE b.example",
            "--default",
            "github",
            "--sandbox",
            "none",
            "--home",
            "kept",
            "-e",
            "A=b=c",
            "--env",
            "TERM",
            "--mount",
            "/a:/b",
            "--mount",
            "/c:d:/e:rw",
            "-p",
            "3000",
            "--publish",
            "8080:80",
            "--no-proxy",
            "x",
            "--workspace",
            "/w",
            "--trust-config",
        ]);
        let args = args.unwrap();
        assert_eq!(args.agent.as_deref(), Some("toy"));
        assert_eq!(args.network.mode, Some(moat_proxy::Mode::Strict));
        assert_eq!(args.network.policy().unwrap().mode(), moat_proxy::Mode::Strict);
        assert_eq!((args.sandbox, args.home), (Some(SandboxChoice::None), Some(HomeChoice::Kept)));
        assert_eq!(
            args.kept,
            [
                "--sandbox=none",
                "--home=kept",
                "--env=TERM",
                "--mount=/a:/b",
                "--mount=/c:d:/e:rw",
                "--publish=3000",
                "--publish=8080:80",
                "--no-proxy=x",
                "--policy=strict",
                "--allow=a.example",
                "--deny=DELETE b.example",
                "--default=github",
            ]
        );
        let var = EnvVar::new("A", "b=c").unwrap();
        assert_eq!(args.env, [EnvSpec::Set(var), EnvSpec::Inherit("TERM".into())]);
        assert_eq!(args.mounts[0].access, MountAccess::ReadOnly);
        assert_eq!(args.mounts[1].source, PathBuf::from("/c:d"));
        assert_eq!(args.mounts[1].access, MountAccess::ReadWrite);
        let ports: Vec<_> = args.publish.iter().map(|it| (it.host, it.container)).collect();
        assert_eq!(ports, [(3000, 3000), (8080, 80)]);
        assert_eq!(args.config, ConfigUse::Trust);
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        for wrong in [
            &["--mount", "/a"][..],
            &["--mount", ":/a"],
            &["--mount", "/a:b"],
            &["--publish", "0"],
            &["--publish", "x:1"],
            &["--env", "1A=x"],
            &["--grant", "GitHub"],
            &["--allow", "https://a.example"],
            &["--deny", "GET"],
            &["--sandbox", "jail"],
            &["--trust-config", "--no-config"],
        ] {
            let error = run(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
            assert!(error.to_string().contains(wrong[1]), "{error}");
        }
    }
}
