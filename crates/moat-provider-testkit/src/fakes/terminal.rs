//! A person who answers from a script.

use std::fmt;
use std::sync::Mutex;

use moat_provider_core::{
    Answer, BoxFuture, CommandSpec, Error, ErrorKind, Result, Secret, Terminal,
};

use super::script::{Script, lock};

/// A person at a terminal who answers from a script, in order.
///
/// A question that the script does not expect, and a step that was not taken, fail the test. Text
/// that is told is always welcome. Labels, questions and URLs are expected by a part of their text.
pub struct FakeTerminal {
    script: Script<Step>,
    shown: Mutex<String>,
    /// What a question beyond the script gets.
    nobody: Option<ErrorKind>,
}

struct Step {
    kind: Kind,
    part: String,
}

enum Kind {
    Tell,
    Ask(String),
    Secret(Secret),
    Confirm(Answer),
    Choose(String),
    Run(Vec<String>, Option<i32>),
    Open,
    OpenFails,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.part;
        match &self.kind {
            Kind::Tell => write!(f, "tell {part:?}"),
            Kind::Ask(_) => write!(f, "ask for {part:?}"),
            Kind::Secret(_) => write!(f, "ask for the secret {part:?}"),
            Kind::Confirm(_) => write!(f, "confirm {part:?}"),
            Kind::Choose(choice) => write!(f, "choose {choice:?} at {part:?}"),
            Kind::Run(args, _) => write!(f, "run {part} {args:?} attached"),
            Kind::Open | Kind::OpenFails => write!(f, "open {part:?}"),
        }
    }
}

impl FakeTerminal {
    /// Begins a script in which nothing is asked.
    #[must_use]
    pub fn new() -> Self {
        Self { script: Script::new("the terminal"), shown: Mutex::default(), nobody: None }
    }

    /// Makes a terminal at which nobody sits.
    #[must_use]
    pub fn not_interactive() -> Self {
        Self::new().then_not_interactive()
    }

    /// Makes a terminal at which the person cancels every question.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new().then_cancelled()
    }

    /// Makes every question beyond the script fail with [`ErrorKind::NotInteractive`].
    #[must_use]
    pub fn then_not_interactive(mut self) -> Self {
        self.nobody = Some(ErrorKind::NotInteractive);
        self
    }

    /// Makes every question beyond the script fail with [`ErrorKind::Cancelled`].
    #[must_use]
    pub fn then_cancelled(mut self) -> Self {
        self.nobody = Some(ErrorKind::Cancelled);
        self
    }

    /// Expects text that contains `part` to be told before the next step.
    #[must_use]
    pub fn expect_tell(self, part: &str) -> Self {
        self.push(Kind::Tell, part)
    }

    /// Expects a question whose label contains `label`, and answers it.
    #[must_use]
    pub fn expect_ask(self, label: &str, answer: &str) -> Self {
        self.push(Kind::Ask(answer.to_owned()), label)
    }

    /// Expects a hidden question whose label contains `label`, and answers it.
    #[must_use]
    pub fn expect_secret(self, label: &str, answer: Secret) -> Self {
        self.push(Kind::Secret(answer), label)
    }

    /// Expects a yes-or-no question that contains `question`, and answers it.
    #[must_use]
    pub fn expect_confirm(self, question: &str, answer: Answer) -> Self {
        self.push(Kind::Confirm(answer), question)
    }

    /// Expects a question that contains `question`, and takes the choice that contains `choice`.
    #[must_use]
    pub fn expect_choose(self, question: &str, choice: &str) -> Self {
        self.push(Kind::Choose(choice.to_owned()), question)
    }

    /// Expects a program to run on the terminal with exactly these arguments, and ends it with a
    /// code.
    #[must_use]
    pub fn expect_run<I>(self, program: &str, args: I, code: Option<i32>) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let args = args.into_iter().map(Into::into).collect();
        self.push(Kind::Run(args, code), program)
    }

    /// Expects a URL that contains `part` to be opened in the browser.
    #[must_use]
    pub fn expect_open(self, part: &str) -> Self {
        self.push(Kind::Open, part)
    }

    /// Expects a URL that contains `part` to be opened, where there is no browser.
    #[must_use]
    pub fn expect_open_without_browser(self, part: &str) -> Self {
        self.push(Kind::OpenFails, part)
    }

    fn push(self, kind: Kind, part: &str) -> Self {
        self.script.push(Step { kind, part: part.to_owned() });
        self
    }

    /// Returns everything that the person saw, line by line: text, questions, choices, commands,
    /// URLs. No answers.
    #[must_use]
    pub fn shown(&self) -> String {
        lock(&self.shown).clone()
    }

    /// Fails the test if a question that was expected was not asked.
    ///
    /// # Panics
    ///
    /// As it says. Dropping the fake does the same.
    pub fn verify(&self) {
        self.script.verify();
    }

    pub(crate) fn unused(&self) -> Option<String> {
        self.script.unused()
    }

    /// Leaves the person only the answers that are in the script.
    pub(crate) fn relax(&self) {
        self.script.relax();
    }

    fn show(&self, text: &str) {
        let mut shown = lock(&self.shown);
        shown.push_str(text);
        shown.push('\n');
    }

    /// Takes the step for a question, or says that nobody answers.
    fn answer<T>(&self, asked: &str, text: &str, take: impl Fn(&Kind) -> Option<T>) -> Result<T> {
        let fits = |step: &Step| text.contains(&step.part) && take(&step.kind).is_some();
        let step = match self.nobody {
            Some(_) => self.script.take_if(fits),
            None => self.script.take(&format!("{asked} {text:?}"), fits),
        };
        let answer = step.and_then(|step| take(&step.kind));
        answer.ok_or_else(|| match self.nobody {
            Some(ErrorKind::Cancelled) => {
                Error::new(ErrorKind::Cancelled, "the person cancelled the question")
            }
            _ => Error::new(ErrorKind::NotInteractive, "there is nobody to ask"),
        })
    }
}

impl Default for FakeTerminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal for FakeTerminal {
    fn tell<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.show(text);
            self.script
                .take_if(|step| matches!(step.kind, Kind::Tell) && text.contains(&step.part));
            Ok(())
        })
    }

    fn ask<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            self.show(label);
            self.answer("ask for", label, |kind| match kind {
                Kind::Ask(answer) => Some(answer.clone()),
                _ => None,
            })
        })
    }

    fn ask_secret<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            self.show(label);
            self.answer("ask for the secret", label, |kind| match kind {
                Kind::Secret(answer) => Some(answer.trimmed()),
                _ => None,
            })
        })
    }

    fn confirm<'a>(&'a self, question: &'a str, _: Answer) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            self.show(question);
            self.answer("confirm", question, |kind| match kind {
                Kind::Confirm(answer) => Some(*answer),
                _ => None,
            })
        })
    }

    fn choose<'a>(
        &'a self,
        question: &'a str,
        choices: &'a [&'a str],
    ) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            self.show(question);
            choices.iter().for_each(|choice| self.show(choice));
            if choices.is_empty() {
                return Err(Error::invalid("there is nothing to choose from"));
            }
            let wanted = self.answer("choose at", question, |kind| match kind {
                Kind::Choose(choice) => Some(choice.clone()),
                _ => None,
            })?;
            match choices.iter().position(|choice| choice.contains(&wanted)) {
                Some(at) => Ok(at),
                None => panic!(
                    "the terminal was asked to choose at {question:?} among {choices:?}, but the \
                     script wants {wanted:?}"
                ),
            }
        })
    }

    fn run_attached<'a>(&'a self, command: &'a CommandSpec) -> BoxFuture<'a, Result<Option<i32>>> {
        Box::pin(async move {
            let program = command.program();
            self.show(&format!("{program} {}", command.arguments().join(" ")));
            self.answer("run attached", program, |kind| match kind {
                Kind::Run(args, code) if args == command.arguments() => Some(*code),
                _ => None,
            })
        })
    }

    fn open_url<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.show(url);
            let opens = self.answer("open", url, |kind| match kind {
                Kind::Open => Some(true),
                Kind::OpenFails => Some(false),
                _ => None,
            })?;
            if opens {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Unsupported, "there is no browser"))
            }
        })
    }
}

impl Drop for FakeTerminal {
    fn drop(&mut self) {
        self.script.verify_on_drop();
    }
}

impl fmt::Debug for FakeTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTerminal").finish_non_exhaustive()
    }
}
