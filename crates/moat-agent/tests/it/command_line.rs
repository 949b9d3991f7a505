//! Commands that start agents.

use moat_agent::CommandLine;
use moat_provider_core::ErrorKind;
use proptest::prelude::*;

#[test]
fn no_value_is_read_as_a_flag() {
    let command = CommandLine::new("agent").flag("run").option("--model", "-x").prompt("--help");
    assert_eq!(command.finish().unwrap(), ["agent", "run", "--model=-x", "--", "--help"]);
    assert_eq!(CommandLine::new("agent").finish().unwrap(), ["agent"]);
}

#[test]
fn the_prompt_is_last_whenever_it_was_set() {
    let command = CommandLine::new("agent").prompt("hello").flag("--print");
    assert_eq!(command.finish().unwrap(), ["agent", "--print", "--", "hello"]);
}

#[test]
fn a_nul_is_refused() {
    for command in [
        CommandLine::new("agent").prompt("a\0b"),
        CommandLine::new("agent").option("--model", "a\0b"),
    ] {
        let error = command.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.hint().is_some());
    }
}

proptest! {
    /// Behind `--` stands one word: the prompt as it was given.
    #[test]
    fn every_other_prompt_arrives_as_it_is(prompt in "[^\0]{0,64}") {
        let words = CommandLine::new("agent").flag("-p").prompt(&prompt).finish().unwrap();
        let end = words.iter().position(|word| word == "--").unwrap();
        prop_assert_eq!(&words[end + 1..], [prompt]);
    }
}
