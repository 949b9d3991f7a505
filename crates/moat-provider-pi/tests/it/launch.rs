//! How Pi is started.

use moat_provider_core::{AgentProvider, ErrorKind, Launch, LaunchMode, Session};
use moat_provider_pi::{Pi, SESSION_ID};

use crate::support::{credential, prepare};

const ID: &str = "22222222-2222-4222-8222-222222222222";

fn launch(session: Session, mode: LaunchMode, prompt: Option<&str>) -> Launch {
    let mut launch = Launch::default();
    launch.session = session;
    launch.mode = mode;
    launch.prompt = prompt.map(str::to_owned);
    launch
}

#[test]
fn each_launch_has_its_flags() {
    use LaunchMode::{Headless, Interactive};
    for (session, mode, prompt, words) in [
        (Session::Fresh, Interactive, None, &[][..]),
        (Session::Fresh, Headless, Some("--help me"), &["--print", "--", "--help me"]),
        (Session::Fresh, Interactive, Some("@x"), &["--", " @x"]),
        (Session::Continue, Headless, None, &["--continue", "--print"]),
        (Session::Resume(ID.to_owned()), Interactive, None, &["--session", ID]),
    ] {
        let launch = launch(session, mode, prompt);
        let command = Pi::new().command(&launch, &Default::default()).unwrap();
        assert_eq!(command[..2], ["pi", "--no-approve"]);
        assert_eq!(command[2..], *words, "{launch:?}");
    }
}

#[test]
fn a_model_belongs_to_the_backend_of_the_run() {
    let words = |model: &str, grant: &str| {
        let pi = Pi::new().model(model);
        let config = prepare(&pi, vec![credential(grant)], |_| {}).unwrap();
        pi.command(&Launch::default(), &config)
    };
    assert_eq!(words("gpt-5.2", "openai").unwrap()[2..4], ["--model", "openai/gpt-5.2"]);
    assert_eq!(words("gemini-3-pro", "gemini").unwrap()[3], "google/gemini-3-pro");
    for odd in ["", "--api-key"] {
        assert_eq!(words(odd, "openai").unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn what_is_no_id_is_not_resumed() {
    for id in ["", "5", "--help", "../x"] {
        let launch = launch(Session::Resume(id.to_owned()), LaunchMode::Interactive, None);
        let error = Pi::new().command(&launch, &Default::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
    }
}

#[test]
fn a_run_keeps_the_id_of_its_conversation() {
    let started = |session: &Session| {
        let config = prepare(&Pi::new(), vec![credential("openai")], |opts| {
            opts.session.clone_from(session);
        });
        let config = config.unwrap();
        let launch = launch(session.clone(), LaunchMode::Interactive, None);
        (Pi::new().command(&launch, &config).unwrap(), config.state.get(SESSION_ID).cloned())
    };
    let (command, id) = started(&Session::Fresh);
    assert_eq!(command[2..], ["--session-id", &id.unwrap()]);
    let (command, id) = started(&Session::Resume(ID.to_owned()));
    assert_eq!(
        (&command[2..], id.as_deref()),
        (&["--session".to_owned(), ID.to_owned()][..], Some(ID))
    );
    assert_eq!(started(&Session::Continue).1, None);
}
