//! Asks one thing at the terminal and prints the answer, for a look at how questions behave and for
//! the tests: `ask label`, `secret label`, `confirm question`, `choose question choice…`,
//! `tell text`, `run program argument…`, `token-stdin`, `print-env program argument…`.
//!
//! The options before it are for tests. `--session` makes a session whose terminal is standard
//! input, `--no-terminal` one without a terminal, `--background` puts the rest into the background
//! of the session, `--exec` becomes another program. `--until FIFO` drops the question when somebody
//! writes to a named pipe, `--panic FIFO` panics then. `--release` leaves the signals that end it to
//! itself, and only prints them; `--end` sends itself one after the answer.

#![expect(clippy::disallowed_methods, reason = "an example prints what it was told")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]
#![expect(clippy::unwrap_used, reason = "an example of how to ask, not of how to fail")]

use std::future::Future;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::sync::Arc;

use moat_host::{
    EndingSignals, SystemCommands, SystemEnvironment, SystemTerminal, read_secret_from_stdin,
};
use moat_provider_core::{Answer, CommandRunner, CommandSpec, Result, Terminal};
use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let (mut ends, signals) = (None, EndingSignals::new());
    let (mut heard, mut is_ended) = (None, false);
    while args.first().is_some_and(|arg| arg.starts_with("--")) {
        match args.remove(0).as_str() {
            "--session" => {
                rustix::process::setsid().unwrap();
                rustix::process::ioctl_tiocsctty(std::io::stdin()).unwrap();
            }
            "--no-terminal" => drop(rustix::process::setsid().unwrap()),
            "--exec" => {
                panic!("{}", std::process::Command::new(&args[0]).args(&args[1..]).exec());
            }
            "--background" => return in_background(&args),
            "--until" => ends = Some((args.remove(0), End::Drop)),
            "--panic" => ends = Some((args.remove(0), End::Panic)),
            "--release" => {
                heard = Some(signal(SignalKind::terminate()).unwrap());
                signals.release();
            }
            "--end" => is_ended = true,
            other => panic!("there is no option {other}"),
        }
    }
    let asked = ask(&args, signals);
    let answer = match ends {
        None => asked.await,
        Some((fifo, end)) => tokio::select! {
            answer = asked => answer,
            () = written(fifo) => match end {
                End::Drop => Ok("dropped".to_owned()),
                End::Panic => panic!("as asked"),
            },
        },
    };
    if is_ended {
        raise(Signal::SIGTERM).unwrap();
    }
    if let Some(mut heard) = heard {
        heard.recv().await;
        println!("heard");
    }
    match answer {
        Ok(answer) => {
            println!("answer: {answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{:?}: {error}\n{}", error.kind(), error.hint().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

enum End {
    Drop,
    Panic,
}

async fn ask(args: &[String], signals: EndingSignals) -> Result<String> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let commands = SystemCommands::new(Arc::new(SystemEnvironment));
    let terminal = SystemTerminal::new(commands.clone()).ended_by(signals);
    let spec = |args: &[&str]| CommandSpec::new(args[0]).args(args[1..].iter().copied());
    Ok(match args[..] {
        ["tell", text] => format!("{:?}", terminal.tell(text).await?),
        ["ask", label] => terminal.ask(label).await?,
        ["secret", label] => terminal.ask_secret(label).await?.expose().to_owned(),
        ["confirm", question] => format!("{:?}", terminal.confirm(question, Answer::No).await?),
        ["choose", question, ref choices @ ..] => {
            terminal.choose(question, choices).await?.to_string()
        }
        ["run", ref program @ ..] => {
            let code = terminal.run_attached(&spec(program)).await?;
            let next = terminal.ask("After it").await?;
            format!("{code:?}, then {next}")
        }
        ["print-env", ref program @ ..] => {
            commands.run(&spec(program)).await?.stdout.expose().to_owned()
        }
        ["token-stdin"] => read_secret_from_stdin().await?.expose().to_owned(),
        _ => panic!("this is not understood: {args:?}"),
    })
}

/// Waits until somebody opens a named pipe.
fn written(fifo: String) -> impl Future<Output = ()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(std::fs::read(fifo).unwrap()));
    async { drop(receiver.await) }
}

fn in_background(args: &[String]) -> ExitCode {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let status = command.args(args).process_group(0).status().unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
