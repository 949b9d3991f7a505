//! How Copilot CLI is started.

use moat_provider_copilot::{Copilot, SESSION_ID};
use moat_provider_core::{AgentProvider, Approval, ErrorKind, Launch, LaunchMode, Session};
use moat_provider_testkit::Ports;

use crate::support::prepare;

const ID: &str = "22222222-2222-4222-8222-222222222222";

fn launch(session: Session, mode: LaunchMode, approval: Approval, prompt: Option<&str>) -> Launch {
    let mut launch = Launch::default();
    launch.session = session;
    launch.mode = mode;
    launch.approval = approval;
    launch.prompt = prompt.map(str::to_owned);
    launch
}

#[test]
fn each_launch_has_its_flags() {
    use Approval::{AgentDefault, Unattended};
    use LaunchMode::{Headless, Interactive};
    let resume = format!("--resume={ID}");
    let all = "--allow-all";
    for (session, mode, approval, prompt, words) in [
        (Session::Fresh, Interactive, Unattended, None, &[all][..]),
        (Session::Fresh, Interactive, AgentDefault, Some("-"), &["--interactive=-"]),
        (Session::Fresh, Headless, Unattended, Some("--help me"), &[all, "--prompt=--help me"]),
        (Session::Continue, Headless, Unattended, None, &[all, "--continue"]),
        (Session::Resume(ID.to_owned()), Interactive, Unattended, None, &[all, &resume]),
    ] {
        let launch = launch(session, mode, approval, prompt);
        let command = Copilot::new().command(&launch, &Default::default()).unwrap();
        assert_eq!(command[..3], ["copilot", "--no-auto-update", "--disable-client-telemetry"]);
        assert_eq!(command[3..], *words, "{launch:?}");
    }
    let copilot = Copilot::new().model("-x").context("default").reasoning_effort("max");
    let command = copilot.command(&Launch::default(), &Default::default()).unwrap();
    assert_eq!(command[4..], ["--model=-x", "--context=default", "--reasoning-effort=max"]);
}

#[test]
fn what_is_no_id_is_not_resumed() {
    for id in ["", "5", "latest", "--help", "../x"] {
        let session = Session::Resume(id.to_owned());
        let launch = launch(session, LaunchMode::Interactive, Approval::Unattended, None);
        let error = Copilot::new().command(&launch, &Default::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
    }
}

#[test]
fn a_run_keeps_the_id_of_its_conversation() {
    let started = |session: &Session| {
        let prepared = prepare(&Copilot::new(), &Ports::bare(), Vec::new(), |opts| {
            opts.session.clone_from(session);
        });
        let config = prepared.unwrap().config;
        let mode = LaunchMode::Interactive;
        let launch = launch(session.clone(), mode, Approval::Unattended, None);
        (Copilot::new().command(&launch, &config).unwrap(), config.state.get(SESSION_ID).cloned())
    };
    let (command, id) = started(&Session::Fresh);
    assert!(command.contains(&format!("--session-id={}", id.unwrap())), "{command:?}");
    let (command, id) = started(&Session::Resume(ID.to_owned()));
    assert_eq!(id.as_deref(), Some(ID));
    assert!(command.contains(&format!("--resume={ID}")), "{command:?}");
    let (command, id) = started(&Session::Continue);
    assert!(id.is_none() && !command.iter().any(|word| word.starts_with("--session-id")));
}
