//! How Claude Code is started.

use moat_provider_claude::{Claude, SESSION_ID, SettingsSource};
use moat_provider_core::{
    AgentProvider, Approval, ContainerConfig, ErrorKind, Launch, LaunchMode, Session,
};
use moat_provider_testkit::Ports;
use serde_json::json;

use crate::support::prepare;

const OWN: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

fn config() -> ContainerConfig {
    let mut config = ContainerConfig::default();
    config.state.insert(SESSION_ID.to_owned(), OWN.to_owned());
    config
}

fn launch(session: Session, mode: LaunchMode, approval: Approval, prompt: Option<&str>) -> Launch {
    let mut launch = Launch::default();
    launch.session = session;
    launch.mode = mode;
    launch.approval = approval;
    launch.prompt = prompt.map(str::to_owned);
    launch
}

fn words(claude: &Claude, launch: &Launch) -> String {
    claude.command(launch, &config()).unwrap().join(" ")
}

#[test]
fn each_launch_has_its_flags() {
    use Approval::{AgentDefault, Unattended};
    use LaunchMode::{Headless, Interactive};
    let resume = || Session::Resume(OTHER.to_owned());
    let yolo = "--dangerously-skip-permissions";
    let own = format!("--session-id={OWN}");
    for (session, mode, approval, prompt, command) in [
        (Session::Fresh, Interactive, Unattended, None, format!("claude {yolo} {own}")),
        (Session::Fresh, Interactive, AgentDefault, None, format!("claude {own}")),
        (
            Session::Fresh,
            Headless,
            Unattended,
            Some("--help is what it says"),
            format!("claude {yolo} {own} --print -- --help is what it says"),
        ),
        (
            Session::Continue,
            Headless,
            AgentDefault,
            Some("go on"),
            format!("claude --continue --fork-session {own} --print -- go on"),
        ),
        (
            resume(),
            Interactive,
            AgentDefault,
            Some("-"),
            format!("claude --resume={OTHER} --fork-session {own} -- -"),
        ),
        // The prompt then comes by standard input.
        (Session::Fresh, Headless, Unattended, None, format!("claude {yolo} {own} --print")),
    ] {
        let launch = launch(session, mode, approval, prompt);
        assert_eq!(words(&Claude::new(), &launch), command, "{launch:?}");
    }
}

#[test]
fn a_model_is_an_option() {
    let claude = Claude::new().model("--opus");
    assert!(words(&claude, &Launch::default()).contains(" --model=--opus "));
}

#[test]
fn what_is_no_id_is_not_resumed() {
    for id in ["", "id", "--help", "../x", "11111111-1111-4111-8111-11111111111G"] {
        let launch = launch(
            Session::Resume(id.to_owned()),
            LaunchMode::Interactive,
            Approval::Unattended,
            None,
        );
        let error = Claude::new().command(&launch, &config()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn what_prevails_over_a_repository_comes_by_a_flag() {
    let container = prepare(&Claude::new(), &Ports::bare(), &["claude"], None, |_| {}).unwrap();
    let command = Claude::new().command(&Launch::default(), &container.config).unwrap();
    let flag = "--settings=/home/moatuser/.claude/moat-settings.json".to_owned();
    assert!(command.contains(&flag), "{command:?}");
    // A repository that brings a program for keys would have the conversation on its own account.
    let overrides = container.json(".claude/moat-settings.json");
    assert_eq!(overrides["apiKeyHelper"], json!(""));
    assert_eq!(overrides["env"]["ANTHROPIC_CUSTOM_HEADERS"], json!(""));
    let own = json!({"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-team: a", "OTHER": "1"}});
    let claude = Claude::new().settings(SettingsSource::Sandbox, own.as_object().unwrap().clone());
    let container = prepare(&claude, &Ports::bare(), &["claude"], None, |_| {}).unwrap();
    // The person's own variable prevails over a repository's as well.
    let overrides = container.json(".claude/moat-settings.json");
    assert_eq!(overrides["env"]["ANTHROPIC_CUSTOM_HEADERS"], json!("x-team: a"));
    assert_eq!(overrides["env"].get("OTHER"), None);
    assert_eq!(container.json(".claude/settings.json")["env"], own["env"]);
}
