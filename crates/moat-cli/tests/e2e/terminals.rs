//! The agents as people use them: a dialogue on a terminal.

mod claude;
mod codex;
mod copilot;
mod gemini;
mod opencode;
mod person;
mod pi;

use self::person::{CTRL_Z, ENTER, Person, plain};
use crate::agents::Agent;
use crate::machine::{GITHUB, Machine, tools};

/// What nobody should be asked or told who has granted everything.
const UNWANTED: [&str; 9] = [
    "log in",
    "login",
    "sign in",
    "trust",
    "theme",
    "update available",
    "error",
    "failed",
    "api key",
];

/// An agent's program, and how a person uses it.
struct Dialogue {
    agent: Agent,
    /// What it asks before anything else; the first answer is yes.
    question: Option<&'static str>,
    /// What stands on the screen when it waits for a prompt.
    ready: &'static str,
    /// What interrupts an answer, and what it says then.
    interrupt: (&'static str, &'static str),
    /// What is asked before a command runs, where the person wants to be asked.
    permission: Option<&'static str>,
    /// What ends it.
    leave: &'static str,
    /// A key that ends it as well, and what it says if that has to be pressed twice.
    quit: (&'static str, &'static str),
}

impl Dialogue {
    /// Starts the agent.
    fn start(&self, machine: &Machine, flags: &[&str]) -> Person {
        let tools = tools();
        let tools: Vec<_> = tools.iter().map(String::as_str).collect();
        let words = [&self.agent.words()[..], GITHUB, flags, &tools].concat();
        Person::start(machine, &words)
    }

    /// Starts the agent, which asks for nothing but a prompt.
    async fn begin(&self, machine: &Machine, flags: &[&str]) -> Person {
        let mut person = self.start(machine, flags);
        if let Some(question) = self.question {
            person.sees(question).await;
            person.presses(ENTER, self.ready).await;
        }
        person.sees(self.ready).await;
        calm(&person);
        person
    }

    /// Types a line, and waits for what comes of it.
    async fn says(&self, person: &mut Person, line: &str, answer: &str) {
        // A key that comes together with a text is taken for a part of it.
        person.writes(line).await;
        person.presses(ENTER, answer).await;
    }

    /// Ends the agent by a command of its own.
    async fn end(&self, machine: &Machine, mut person: Person) -> String {
        person.writes(self.leave).await;
        person.types(ENTER);
        ended(machine, person, 0).await
    }

    /// Lets it run a command that it has to ask for, and ends it by keys.
    async fn asked(&self, machine: &Machine, flags: &[&str], line: &str) -> String {
        let mut person = self.begin(machine, &[flags, &["--ask"]].concat()).await;
        self.says(&mut person, line, self.permission.unwrap()).await;
        assert!(!person.screen().contains("octocat"), "{}", person.screen());
        person.presses(ENTER, "octocat").await;
        person.sees("it printed").await;
        let (key, again) = self.quit;
        person.quits(key, again).await;
        ended(machine, person, 0).await
    }
    /// Has it killed, which leaves it no time to clean up.
    async fn killed(&self, machine: &Machine, flags: &[&str]) {
        let mut person = self.begin(machine, flags).await;
        // The command is the second process of a sandbox.
        person.writes("TOOL:kill -KILL 2").await;
        person.types(ENTER);
        ended(machine, person, 137).await;
    }

    /// Does with it what people do in a day.
    async fn day(&self, machine: &Machine, flags: &[&str]) -> String {
        let mut person = self.begin(machine, flags).await;
        self.says(&mut person, "SAY:walrus", "the double says walrus").await;
        calm(&person);
        self.says(&mut person, "TOOL:gh api user --jq .login", "octocat").await;
        person.resizes(45, 160);
        let is_wide = |row: String| row.chars().count() > 140;
        person.waits("a wide line", |screen| screen.rows(0, 160).any(is_wide)).await;
        self.says(&mut person, "HOLD:", "the double begins").await;
        let (keys, answer) = self.interrupt;
        person.presses(keys, answer).await;
        person.types(CTRL_Z);
        // Copilot CLI loads its servers anew when it comes back, and forgets what was typed before.
        person.repeats("SAY:otter", "the double says otter").await;
        self.end(machine, person).await
    }
}

/// Waits for the end, and searches all that was on the screen for secrets.
async fn ended(machine: &Machine, person: Person, expected: i32) -> String {
    let (code, shown) = person.leaves().await;
    let plain = plain(&shown);
    for secret in machine.vendor.canaries() {
        assert_eq!(secret.find_in(&shown), None);
        assert_eq!(secret.find_in(&plain), None);
    }
    let plain = String::from_utf8_lossy(&plain).into_owned();
    assert_eq!(code, Some(expected), "{plain}");
    plain
}

/// Fails when the screen asks for something, or complains.
fn calm(person: &Person) {
    let screen = person.screen();
    let lower = screen.to_lowercase();
    for unwanted in UNWANTED {
        assert!(!lower.contains(unwanted), "{unwanted:?}:\n{screen}");
    }
}
