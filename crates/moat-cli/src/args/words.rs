//! What was typed, as words that mean the same when they are read again.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Returns the flags of a command that were typed, each as one word, `--name=value`; in the order
/// of the help text. Words that stand alone, such as a prompt, are not among them.
pub(super) fn typed(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let flags = command.get_arguments().filter(|arg| is_typed(arg, matches));
    flags.flat_map(|arg| words(arg, matches)).collect()
}

/// Whether one of a command's own flags was typed.
pub(super) fn is_any_typed(command: &Command, matches: &ArgMatches) -> bool {
    command.get_arguments().any(|arg| is_typed(arg, matches))
}

fn is_typed(arg: &Arg, matches: &ArgMatches) -> bool {
    matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

fn words(arg: &Arg, matches: &ArgMatches) -> Vec<String> {
    let Some(name) = arg.get_long() else { return Vec::new() };
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return vec![format!("--{name}")];
    }
    let values = matches.get_raw(arg.get_id().as_str()).unwrap_or_default();
    values.map(|value| format!("--{name}={}", value.to_string_lossy())).collect()
}

/// Lets the last of several values of a flag prevail, where it takes one.
pub(super) fn last_prevails(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_action() {
        ArgAction::Set | ArgAction::SetTrue => {
            let id = arg.get_id().clone();
            arg.overrides_with(id)
        }
        _ => arg,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("x").args([
            Arg::new("one").long("one").short('o'),
            Arg::new("many").long("many").action(ArgAction::Append).value_delimiter(','),
            Arg::new("switch").long("switch").action(ArgAction::SetTrue),
            Arg::new("default").long("default").default_value("d"),
            Arg::new("word"),
        ])
    }

    #[test]
    fn what_was_typed_is_read_again_as_it_was() {
        let typed_again = |words: &[&str]| {
            let matches = command().try_get_matches_from([&["x"], words].concat()).unwrap();
            typed(&command(), &matches)
        };
        let words = typed_again(&["-o", "-", "--many", "a,b", "--switch", "--many=--c", "w"]);
        assert_eq!(words, ["--one=-", "--many=a", "--many=b", "--many=--c", "--switch"]);
        let again: Vec<_> = words.iter().map(String::as_str).collect();
        assert_eq!(typed_again(&again), words);
        assert!(typed_again(&[]).is_empty());
    }

    #[test]
    fn the_last_value_prevails() {
        let words = ["x", "--one=a", "--many=a", "--switch", "--switch", "--one=b", "--many=b"];
        let matches = last_prevails(command()).try_get_matches_from(words).unwrap();
        assert_eq!(typed(&command(), &matches), ["--one=b", "--many=a", "--many=b", "--switch"]);
    }
}
