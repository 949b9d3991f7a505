//! Errors as a person meets them: what happened, why, and the command that fixes it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use moat_provider_core::{Error, ErrorKind, GrantError};
use moat_run::RunError;
use moat_store::StoreError;

/// The result of a command.
pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct CliError {
    code: Code,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

/// How a command of our own ends. What a started command ends with is passed through instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// It did what it was asked for.
    Success,
    /// It did not.
    Failure,
    /// What the person typed, or wrote into `moat.toml`, makes no sense.
    Usage,
    /// The person said no, or pressed Ctrl-C.
    Cancelled,
    /// What a command that was started ended with, or 125 when it never began.
    Passed(u8),
    /// Nobody reads standard output any more: there is nothing to say.
    Hangup,
}

impl Code {
    /// Returns the exit code: 1, 2 as in other programs, 128 and the number of SIGINT.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Success | Self::Hangup => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Cancelled => 130,
            Self::Passed(code) => code,
        }
    }
}

impl CliError {
    /// Makes an error of a lower-case fragment without a full stop.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: Code::Failure, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Makes an error about what the person typed or wrote.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: Code::Usage, ..Self::new(message) }
    }

    /// Adds what the person can do: best a command that can be pasted.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets how the command ends.
    pub(crate) fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Adds the cause and the causes of that.
    pub(crate) fn with_source(mut self, source: &dyn StdError) -> Self {
        self.causes.push(source.to_string());
        self.with_causes_of(source)
    }

    fn with_causes_of(mut self, error: &dyn StdError) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            self.causes.push(cause.to_string());
            source = cause.source();
        }
        self
    }

    fn with(mut self, hint: Option<&str>, error: &dyn StdError) -> Self {
        self.hint = hint.map(str::to_owned);
        self.with_causes_of(error)
    }

    /// Makes the error for output that cannot be written.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => Code::Hangup,
            _ => Code::Failure,
        };
        Self { code, ..Self::new("the output cannot be written").with_source(error) }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the causes, the nearest first. One that only repeats the line before is left out.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &str> {
        let mut before = self.message.as_str();
        self.causes.iter().map(String::as_str).filter(move |cause| {
            let is_new = !before.contains(cause);
            before = cause;
            is_new
        })
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Cancelled => Code::Cancelled,
            ErrorKind::InvalidInput | ErrorKind::ProviderNotFound => Code::Usage,
            _ => Code::Failure,
        };
        Self { code, ..Self::new(error.message()) }.with(error.hint(), &error)
    }
}

impl From<GrantError> for CliError {
    fn from(error: GrantError) -> Self {
        let code = match error.kind() {
            ErrorKind::Cancelled => Code::Cancelled,
            _ => Code::Failure,
        };
        let message = format!("{} was not granted: {}", error.provider(), error.cause().message());
        Self { code, ..Self::new(message) }.with(error.hint(), &error)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::new(error.message()).with(error.hint(), &error)
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::new(error.message()).with(error.hint(), &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_causes_is_kept_and_nothing_is_said_twice() {
        let inner = io::Error::new(io::ErrorKind::PermissionDenied, "no entry");
        let core = Error::new(ErrorKind::Io, "the file cannot be read")
            .with_source(inner)
            .with_hint("chmod 600 FILE");
        let error = CliError::from(core);
        assert_eq!(error.message(), "the file cannot be read");
        assert_eq!(error.causes().collect::<Vec<_>>(), ["no entry"]);
        assert_eq!(error.hint(), Some("chmod 600 FILE"));
        let wrapped = CliError::new("cannot read: no entry").with_source(&CliErrorText("no entry"));
        assert_eq!(wrapped.causes().count(), 0);
    }

    #[test]
    fn the_kind_decides_the_exit_code() {
        let code = |kind| CliError::from(Error::new(kind, "x")).code();
        assert_eq!(code(ErrorKind::InvalidInput), Code::Usage);
        assert_eq!(code(ErrorKind::Cancelled).number(), 130);
        assert_eq!(code(ErrorKind::Offline), Code::Failure);
        let pipe = CliError::of_output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(pipe.code().number(), 0);
    }

    #[derive(Debug)]
    struct CliErrorText(&'static str);

    impl fmt::Display for CliErrorText {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for CliErrorText {}
}
