//! When to colour, and how.

use std::io::{self, IsTerminal};

use moat_provider_core::{Environment, Result};

use crate::app::plain_variable;

/// What the person says about colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On terminals, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the environment says about colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wishes {
    never: bool,
    always: bool,
}

impl Wishes {
    /// Reads `NO_COLOR` (no-color.org), `CLICOLOR`, `CLICOLOR_FORCE` (bixense.com/clicolors) and
    /// `TERM`.
    fn read(environment: &dyn Environment) -> Result<Self> {
        let is = |name: &str, matches: fn(&str) -> bool| -> Result<bool> {
            Ok(plain_variable(environment, name)?.is_some_and(|value| matches(&value)))
        };
        Ok(Self {
            never: is("NO_COLOR", |value| !value.is_empty())?
                || is("CLICOLOR", |value| value == "0")?
                || is("TERM", |value| value == "dumb")?,
            always: is("CLICOLOR_FORCE", |value| !value.is_empty() && value != "0")?,
        })
    }
}

/// Which of the two streams is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Colors {
    pub(crate) stdout: Paint,
    pub(crate) stderr: Paint,
}

impl Colors {
    /// Decides for this process. What the person typed prevails over the environment.
    ///
    /// # Errors
    ///
    /// Those of the environment.
    pub(crate) fn decide(choice: ColorChoice, environment: &dyn Environment) -> Result<Self> {
        let wishes = Wishes::read(environment)?;
        Ok(Self {
            stdout: decide(choice, wishes, io::stdout().is_terminal()),
            stderr: decide(choice, wishes, io::stderr().is_terminal()),
        })
    }
}

fn decide(choice: ColorChoice, wishes: Wishes, is_terminal: bool) -> Paint {
    match choice {
        ColorChoice::Always => Paint::Ansi,
        ColorChoice::Never => Paint::Plain,
        ColorChoice::Auto if wishes.never => Paint::Plain,
        ColorChoice::Auto if wishes.always || is_terminal => Paint::Ansi,
        ColorChoice::Auto => Paint::Plain,
    }
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Nothing is coloured.
    #[default]
    Plain,
    /// Escape sequences of ECMA-48.
    Ansi,
}

impl Paint {
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31;1", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33;1", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_testkit::FakeEnvironment;

    use super::*;

    fn paint(choice: ColorChoice, set: &[(&str, &str)], is_terminal: bool) -> Paint {
        let environment = set.iter().fold(FakeEnvironment::new(), |environment, (name, value)| {
            environment.text(name, value)
        });
        decide(choice, Wishes::read(&environment).unwrap(), is_terminal)
    }

    #[test]
    fn the_person_goes_before_the_environment_and_that_before_the_terminal() {
        use ColorChoice::{Always, Auto, Never};
        assert_eq!(paint(Auto, &[], true), Paint::Ansi);
        assert_eq!(paint(Auto, &[], false), Paint::Plain);
        for set in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert_eq!(paint(Auto, &[set], true), Paint::Plain, "{set:?}");
            assert_eq!(paint(Always, &[set], false), Paint::Ansi, "{set:?}");
        }
        for set in [("NO_COLOR", ""), ("CLICOLOR", "1"), ("CLICOLOR_FORCE", "0")] {
            assert_eq!(paint(Auto, &[set], true), Paint::Ansi, "{set:?}");
        }
        assert_eq!(paint(Auto, &[("CLICOLOR_FORCE", "1")], false), Paint::Ansi);
        assert_eq!(paint(Auto, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true), Paint::Plain);
        assert_eq!(paint(Never, &[("CLICOLOR_FORCE", "1")], true), Paint::Plain);
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Paint::Plain.red("x"), "x");
        assert_eq!(Paint::Ansi.cyan("x"), "\u{1b}[36mx\u{1b}[0m");
    }
}
