//! Programs of the host.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use moat_host::SystemCommands;
use moat_provider_core::{
    CommandOutput, CommandRunner, CommandSpec, EnvVar, Error, ErrorKind, Secret,
};
use moat_provider_testkit::{Canary, FakeEnvironment};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::pty::example;
use crate::support::{exposed, script, text_of};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn commands() -> SystemCommands {
    SystemCommands::new(Arc::new(FakeEnvironment::new().text("PATH", PATH)))
}

fn sh(text: &str) -> CommandSpec {
    CommandSpec::new("sh").args(["-c", text])
}

async fn run(text: &str) -> CommandOutput {
    commands().run(&sh(text)).await.unwrap()
}

#[tokio::test]
async fn what_a_program_prints_and_its_code_are_returned() {
    let output = run("echo out; echo err >&2; exit 3").await;
    assert_eq!(output.code, Some(3));
    assert_eq!((exposed(&output.stdout), exposed(&output.stderr)), ("out\n", "err\n"));
    let output = run("kill -9 $$").await;
    assert_eq!(output.code, None);
    assert!(run("exit 0").await.succeeded());
}

#[tokio::test]
async fn a_program_gets_no_input_and_runs_outside_of_every_workspace() {
    assert_eq!(exposed(&run("cat; pwd").await.stdout), "/\n");
}

#[tokio::test]
async fn arguments_are_not_read_by_a_shell() {
    let spec = CommandSpec::new("printf").args(["%s\n", "$HOME `id` 'x' *"]);
    let output = commands().run(&spec).await.unwrap();
    assert_eq!(exposed(&output.stdout), "$HOME `id` 'x' *\n");
}

#[tokio::test]
async fn a_child_gets_only_what_is_allowed_or_named() {
    let token = Canary::with_length("", 64);
    let environment = FakeEnvironment::new()
        .text("PATH", &format!("relative::{PATH}"))
        .text("HOME", "/home/person")
        .text("LC_TIME", "C")
        .text("XDG_CONFIG_HOME", "/home/person/.config")
        .text("TERM", "xterm")
        .text("SSH_AUTH_SOCK", "/agent")
        .secret("GH_TOKEN", token.secret())
        .text("GH_CONFIG_DIR", "/gh");
    let spec = CommandSpec::new("env")
        .inherit(["GH_CONFIG_DIR", "NOT_SET"])
        .env(EnvVar::new("GH_PROMPT_DISABLED", "1").unwrap());
    let output = SystemCommands::new(Arc::new(environment)).run(&spec).await.unwrap();
    let mut variables: Vec<_> = exposed(&output.stdout).lines().collect();
    variables.sort_unstable();
    let expected = [
        "GH_CONFIG_DIR=/gh",
        "GH_PROMPT_DISABLED=1",
        "HOME=/home/person",
        "LC_TIME=C",
        &format!("PATH={PATH}"),
        "XDG_CONFIG_HOME=/home/person/.config",
    ];
    assert_eq!(variables, expected);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process with a variable is what is tested")]
fn a_variable_of_this_process_does_not_reach_a_child() {
    let token = Canary::with_length("", 64);
    let output = Command::new(example())
        .args(["print-env", "env"])
        .env("MOAT_TEST_TOKEN", token.text())
        .env("LC_TIME", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("LC_TIME=C"), "{printed}");
    assert!(!printed.contains("MOAT_TEST_TOKEN"), "{printed}");
    assert_eq!(token.find_in_str(&printed), None);
}

#[tokio::test]
async fn a_program_of_the_workspace_does_not_run() {
    let root = TempDir::new().unwrap();
    let (bin, workspace) = (root.path().join("bin"), root.path().join("work"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&workspace).unwrap();
    script(&workspace.join("tool"), "echo evil");
    let path = format!("{}:{}", workspace.display(), bin.display());
    let environment = || Arc::new(FakeEnvironment::new().text("PATH", &path));
    let spec = CommandSpec::new("tool");

    let trusting = SystemCommands::new(environment());
    assert_eq!(exposed(&trusting.run(&spec).await.unwrap().stdout), "evil\n");
    let commands = SystemCommands::new(environment()).workspace(&workspace);
    let error = commands.run(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    assert_eq!(error.message(), "tool is not installed");
    assert!(error.hint().unwrap().contains("install tool"));
    script(&bin.join("tool"), "echo good; echo $PATH");
    let output = commands.run(&spec).await.unwrap();
    assert_eq!(exposed(&output.stdout), format!("good\n{}\n", bin.display()));
}

#[tokio::test]
async fn a_program_that_cannot_start_is_named() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("odd");
    fs::write(&path, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let odd = CommandSpec::new(path.to_str().unwrap());
    let error = commands().run(&odd).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    assert!(error.message().contains("the interpreter that it names is not installed"), "{error}");
    let error = commands().run(&CommandSpec::new("sh").args(["a\0b"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn refused(text: &str) -> Error {
    let error = commands().run(&sh(text)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedAnswer);
    error
}

#[tokio::test]
async fn output_that_is_too_long_or_no_text_is_refused() {
    assert_eq!(refused("yes").await.message(), "sh printed more than 1 MiB");
    let canary = Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 40);
    let error = refused(&format!("printf '{}\\377'", canary.text())).await;
    assert_eq!(error.message(), "sh printed what is not UTF-8 text");
    assert_eq!(canary.find_in_str(&text_of(&error)), None);
    let output = run("head -c 1048576 /dev/zero | tr '\\0' x").await;
    assert_eq!(exposed(&output.stdout).len(), 1 << 20);
}

#[tokio::test]
async fn what_is_too_much_on_standard_error_is_left_out() {
    let output =
        run("head -c 300000 /dev/zero | tr '\\0' x >&2; printf '\\377' >&2; echo end").await;
    assert_eq!(exposed(&output.stdout), "end\n");
    assert_eq!(exposed(&output.stderr).len(), 64 * 1024);
    assert_eq!(exposed(&run("printf 'a\\377b' >&2").await.stderr), "a\u{fffd}b");
}

/// A program that waits for ever with a child of its own; both hold a named pipe open. Reading from
/// the pipe ends when the last of them has.
struct Family {
    root: TempDir,
}

impl Family {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        mkfifo(&root.path().join("alive"), Mode::S_IRWXU).unwrap();
        Self { root }
    }

    fn fifo(&self) -> &Path {
        self.root.path()
    }

    fn spec(&self) -> CommandSpec {
        let fifo = self.fifo().join("alive");
        sh(&format!("exec 3>'{}'; echo up >&3; sleep 1000 & sleep 1000", fifo.display()))
    }

    /// Returns when the family is there.
    async fn is_up(&self) -> File {
        let fifo = self.fifo().join("alive");
        let mut alive =
            tokio::task::spawn_blocking(move || File::open(fifo)).await.unwrap().unwrap();
        let mut up = [0; 3];
        alive.read_exact(&mut up).unwrap();
        alive
    }
}

/// Waits until all of the family have ended.
async fn is_gone(mut alive: File) {
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        alive.read_to_end(&mut rest).map(|_| rest)
    });
    assert!(rest.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_its_children() {
    let family = Family::new();
    let spec = family.spec().timeout(Duration::from_millis(1500));
    let commands = commands();
    let (ended, alive) = tokio::join!(commands.run(&spec), family.is_up());
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.message(), "sh did not end within 1.5 seconds");
    is_gone(alive).await;
}

#[tokio::test]
async fn a_program_whose_future_is_dropped_is_killed_with_its_children() {
    let family = Family::new();
    let spec = family.spec();
    let commands = commands();
    let alive = tokio::select! {
        ended = commands.run(&spec) => panic!("{ended:?}"),
        alive = family.is_up() => alive,
    };
    is_gone(alive).await;
}

#[tokio::test]
async fn a_child_that_stays_does_not_hold_up_its_parents_end() {
    let root = TempDir::new().unwrap();
    let fifo = root.path().join("end");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    // It ends when somebody opens the pipe.
    let output = run(&format!("echo parent; (read x < '{}') & exit 0", fifo.display())).await;
    assert_eq!(exposed(&output.stdout), "parent\n");
    assert!(output.succeeded());
    tokio::task::spawn_blocking(move || fs::write(fifo, "go\n")).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_of_the_output_is_in_debug() {
    let secret = Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 40);
    let environment = FakeEnvironment::new().text("PATH", PATH).secret("TOKEN", secret.secret());
    let commands = SystemCommands::new(Arc::new(environment));
    let output =
        commands.run(&sh("echo $TOKEN; echo $TOKEN >&2").inherit(["TOKEN"])).await.unwrap();
    assert!(output.stdout.trimmed().same_as(&Secret::new(secret.text().to_owned())));
    assert_eq!(secret.find_in_str(&format!("{output:?} {commands:?}")), None);
}
