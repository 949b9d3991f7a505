//! How Codex is started.

use moat_provider_codex::Codex;
use moat_provider_core::{AgentProvider, Approval, ErrorKind, Launch, LaunchMode, Session};

const ID: &str = "22222222-2222-4222-8222-222222222222";
const YOLO: &str = "--dangerously-bypass-approvals-and-sandbox";
const ASK: &str = "--config=approval_policy=\"on-request\"";
const CONFINE: &str = "--config=sandbox_mode=\"workspace-write\"";
const NO_REPOSITORY: &str = "--skip-git-repo-check";

fn launch(session: Session, mode: LaunchMode, approval: Approval, prompt: Option<&str>) -> Launch {
    let mut launch = Launch::default();
    launch.session = session;
    launch.mode = mode;
    launch.approval = approval;
    launch.prompt = prompt.map(str::to_owned);
    launch
}

#[test]
fn each_launch_has_its_words() {
    use Approval::{AgentDefault, Unattended};
    use LaunchMode::{Headless, Interactive};
    let resume = || Session::Resume(ID.to_owned());
    for (session, mode, approval, prompt, words) in [
        (Session::Fresh, Interactive, Unattended, None, &[YOLO][..]),
        (Session::Fresh, Interactive, AgentDefault, Some("-"), &[ASK, CONFINE, "--", "-"]),
        (
            Session::Fresh,
            Headless,
            Unattended,
            Some("--help me"),
            &["exec", NO_REPOSITORY, YOLO, "--", "--help me"],
        ),
        (
            Session::Fresh,
            Headless,
            AgentDefault,
            Some("x"),
            &["exec", NO_REPOSITORY, ASK, CONFINE, "--", "x"],
        ),
        (
            Session::Continue,
            Headless,
            Unattended,
            Some("x"),
            &["exec", "resume", NO_REPOSITORY, YOLO, "--last", "--", "x"],
        ),
        (
            Session::Continue,
            Interactive,
            Unattended,
            None,
            &["resume", YOLO, "--last", "--include-non-interactive"],
        ),
        (resume(), Interactive, AgentDefault, None, &["resume", ASK, CONFINE, ID]),
        (
            resume(),
            Headless,
            Unattended,
            Some("x"),
            &["exec", "resume", NO_REPOSITORY, YOLO, ID, "--", "x"],
        ),
    ] {
        let launch = launch(session, mode, approval, prompt);
        let command = Codex::new().command(&launch, &Default::default()).unwrap();
        assert_eq!(command[0], "codex");
        assert_eq!(command[1..], *words, "{launch:?}");
    }
    let command = Codex::new().model("-x").command(&Launch::default(), &Default::default());
    assert!(command.unwrap().contains(&"--model=-x".to_owned()));
}

#[test]
fn what_is_no_id_is_not_resumed() {
    for id in ["", "--last", "--help", "../x", "a b"] {
        let session = Session::Resume(id.to_owned());
        let launch = launch(session, LaunchMode::Interactive, Approval::Unattended, None);
        let error = Codex::new().command(&launch, &Default::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
    }
}
