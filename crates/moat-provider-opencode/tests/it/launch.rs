//! How OpenCode is started.

use moat_provider_core::{AgentProvider, Approval, ErrorKind, Launch, LaunchMode, Session};
use moat_provider_opencode::OpenCode;

use crate::support::{credential, prepare};

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
    let resume = || Session::Resume("ses_1aB".to_owned());
    for (session, mode, approval, prompt, words) in [
        (Session::Fresh, Interactive, Unattended, None, "opencode --auto"),
        (Session::Fresh, Interactive, AgentDefault, Some("-"), "opencode --prompt=-"),
        (Session::Fresh, Headless, Unattended, Some("--help"), "opencode run --auto -- --help"),
        (Session::Continue, Headless, AgentDefault, None, "opencode run --continue"),
        (resume(), Interactive, AgentDefault, None, "opencode --session=ses_1aB"),
    ] {
        let launch = launch(session, mode, approval, prompt);
        let command = OpenCode::new().command(&launch, &Default::default()).unwrap();
        assert_eq!(command.join(" "), words, "{launch:?}");
    }
}

/// OpenCode puts quotation marks around a word with a space in it.
#[test]
fn a_prompt_is_handed_over_word_by_word() {
    let prompt = "--say  hello\nto \"them\" ";
    let launch = launch(Session::Fresh, LaunchMode::Headless, Approval::Unattended, Some(prompt));
    let command = OpenCode::new().command(&launch, &Default::default()).unwrap();
    assert_eq!(command[..4], ["opencode", "run", "--auto", "--"]);
    assert_eq!(command[4..], ["--say", "", "hello\nto", "\"them\"", ""]);
    assert_eq!(command[4..].join(" "), prompt);
}

#[test]
fn a_model_belongs_to_the_backend_of_the_run() {
    let agent = OpenCode::new().model("gemini-3-pro");
    let config = prepare(&agent, vec![credential("gemini")], |_| {}).unwrap();
    let command = agent.command(&Launch::default(), &config).unwrap();
    assert!(command.contains(&"--model=google/gemini-3-pro".to_owned()), "{command:?}");
}

#[test]
fn what_is_no_id_is_not_resumed() {
    for id in ["", "5", "--help", "ses_", "ses_../x", "ses_--x"] {
        let session = Session::Resume(id.to_owned());
        let launch = launch(session, LaunchMode::Interactive, Approval::Unattended, None);
        let error = OpenCode::new().command(&launch, &Default::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
    }
}
