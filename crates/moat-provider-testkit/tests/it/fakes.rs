//! Fakes keep to their scripts, and fail a test that does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use moat_provider_core::*;
use moat_provider_testkit::*;

/// Returns the sentence with which a test fails.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test does not fail");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().unwrap().to_string(),
    }
}

#[test]
fn the_clock_moves_when_it_is_told_or_slept_on() {
    let clock = FakeClock::new();
    let start = clock.now();
    clock.advance(Duration::from_secs(5));
    block_on(clock.sleep(Duration::from_secs(60)));
    assert_eq!(clock.now() - start, Duration::from_secs(65));
    assert_eq!(clock.slept(), [Duration::from_secs(60)]);
    let endless = || {
        for _ in 0..20_000 {
            block_on(clock.sleep(Duration::from_secs(1)));
        }
    };
    assert!(failure(endless).contains("waits for something that never comes"));
}

#[test]
fn entropy_follows_from_its_seed() {
    let draw = |seed| {
        let mut bytes = [0; 37];
        FakeEntropy::seeded(seed).fill(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let entropy = FakeEntropy::default();
    let (mut one, mut two) = ([0; 16], [0; 16]);
    entropy.fill(&mut one).unwrap();
    entropy.fill(&mut two).unwrap();
    assert_ne!(one, two);
}

#[test]
fn the_environment_remembers_what_was_read() {
    let canary = Canary::new();
    let environment = FakeEnvironment::new().secret("TOKEN", canary.secret()).text("HOST", "x");
    assert!(environment.var("TOKEN").unwrap().unwrap().same_as(&canary.secret()));
    assert!(environment.var("OTHER").unwrap().is_none());
    assert_eq!(environment.var("HOST").unwrap().unwrap().expose(), "x");
    assert_eq!(environment.reads(), ["TOKEN", "OTHER", "HOST"]);
    assert_eq!(canary.find_in_str(&format!("{environment:?}")), None);
    let forbidden = FakeEnvironment::forbidden();
    assert_eq!(
        failure(|| drop(forbidden.var("TOKEN"))),
        "the environment was asked for TOKEN, which this test forbids"
    );
}

#[test]
fn files_are_there_missing_or_unreadable() {
    let (there, locked) = (HostFile::new("there"), HostFile::new("locked"));
    let contents = Secret::new("x".to_owned());
    let files = FakeFiles::new().file(&there, contents).unreadable(&locked);
    assert!(block_on(files.read(&there)).unwrap().is_some());
    assert!(block_on(files.read(&HostFile::new("missing"))).unwrap().is_none());
    assert_eq!(block_on(files.read(&locked)).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(files.reads(), ["there", "missing", "locked"]);
    let forbidden = FakeFiles::forbidden();
    let read = || drop(block_on(forbidden.read(&there)));
    assert_eq!(failure(read), "the file system was asked for there, which this test forbids");
}

#[test]
fn commands_run_in_the_order_of_the_script() {
    let token = || CommandSpec::new("gh").args(["auth", "token"]).inherit(["LANG"]);
    let commands = FakeCommands::new()
        .expect_checked(
            "gh",
            ["auth", "token"],
            Reply::exits(4, Secret::new("out".to_owned()), "err"),
            |spec| assert_eq!(spec.inherited(), ["LANG"]),
        )
        .expect("gh", ["auth", "token"], Reply::fails(1, "no login"))
        .expect("gh", ["auth", "token"], Reply::not_found())
        .expect("gh", ["auth", "token"], Reply::timed_out());
    let first = block_on(commands.run(&token())).unwrap();
    assert_eq!((first.code, first.stdout.expose(), first.stderr.expose()), (Some(4), "out", "err"));
    assert!(!block_on(commands.run(&token())).unwrap().succeeded());
    for kind in [ErrorKind::CommandNotFound, ErrorKind::TimedOut] {
        assert_eq!(block_on(commands.run(&token())).unwrap_err().kind(), kind);
    }
    commands.verify();
    assert_eq!(commands.specs().len(), 4);
    assert_eq!(
        failure(|| drop(block_on(commands.run(&token())))),
        "the command runner was asked to run gh \"auth\" \"token\", but the script expects nothing \
         more of it"
    );
}

#[test]
fn a_command_with_other_arguments_fails() {
    let reply = Reply::prints(Secret::new(String::new()));
    let commands = FakeCommands::new().expect("gh", ["auth", "token"], reply);
    let other = CommandSpec::new("gh").args(["auth", "status"]);
    assert_eq!(
        failure(|| drop(block_on(commands.run(&other)))),
        "the command runner was asked to run gh \"auth\" \"status\", but the script expects it to \
         run gh \"auth\" \"token\""
    );
}

#[test]
fn what_is_not_used_fails_at_the_end() {
    let reply = Reply::not_found();
    let commands = FakeCommands::new().expect("gh", ["auth", "token"], reply);
    assert_eq!(
        failure(|| drop(commands)),
        "the command runner was never asked to run gh \"auth\" \"token\""
    );
    let terminal = FakeTerminal::new().expect_ask("Name", "x").expect_tell("hello");
    assert_eq!(
        failure(|| drop(terminal)),
        "the terminal was never asked to ask for \"Name\", nor to tell \"hello\""
    );
    let redirects = FakeRedirects::new().expect("/callback", "code=x");
    let ports = Ports::new().with_redirects(redirects);
    assert_eq!(
        failure(|| ports.verify()),
        "the redirect listener was never asked to listen at /callback"
    );
}

#[test]
fn the_person_answers_in_order() {
    let canary = Canary::new();
    let terminal = FakeTerminal::new()
        .expect_tell("example.com")
        .expect_ask("account", "work")
        .expect_secret("Token", canary.secret())
        .expect_confirm("Keep", Answer::Yes)
        .expect_choose("Which", "two")
        .expect_run("tool", ["login"], Some(3))
        .expect_open("https://example.com/authorize")
        .expect_open_without_browser("https://example.com/device");
    block_on(async {
        terminal.tell("first").await.unwrap();
        terminal.tell("see example.com").await.unwrap();
        assert_eq!(terminal.ask("Your account").await.unwrap(), "work");
        assert!(terminal.ask_secret("Token").await.unwrap().same_as(&canary.secret()));
        assert_eq!(terminal.confirm("Keep it?", Answer::No).await.unwrap(), Answer::Yes);
        assert_eq!(terminal.choose("Which one?", &["one", "number two"]).await.unwrap(), 1);
        let login = CommandSpec::new("tool").args(["login"]);
        assert_eq!(terminal.run_attached(&login).await.unwrap(), Some(3));
        terminal.open_url("https://example.com/authorize?x=y").await.unwrap();
        let error = terminal.open_url("https://example.com/device").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
    let shown = terminal.shown();
    assert_eq!(
        shown,
        "first\nsee example.com\nYour account\nToken\nKeep it?\nWhich one?\none\nnumber two\ntool \
         login\nhttps://example.com/authorize?x=y\nhttps://example.com/device\n"
    );
    assert_eq!(canary.find_in_str(&format!("{shown}{terminal:?}")), None);
}

#[test]
fn an_unexpected_question_fails() {
    let terminal = FakeTerminal::new().expect_tell("careful").expect_confirm("Sure", Answer::Yes);
    assert_eq!(
        failure(|| drop(block_on(terminal.confirm("Sure?", Answer::Yes)))),
        "the terminal was asked to confirm \"Sure?\", but the script expects it to tell \"careful\""
    );
    let terminal = FakeTerminal::new().expect_choose("Which", "three");
    assert_eq!(
        failure(|| drop(block_on(terminal.choose("Which?", &["one"])))),
        "the terminal was asked to choose at \"Which?\" among [\"one\"], but the script wants \
         \"three\""
    );
    let terminal = FakeTerminal::new();
    assert!(failure(|| drop(block_on(terminal.ask_secret("Token")))).contains("nothing more"));
}

#[test]
fn nobody_answers_beyond_the_script() {
    let terminal = FakeTerminal::new().expect_ask("Name", "x").then_cancelled();
    assert_eq!(block_on(terminal.ask("Name")).unwrap(), "x");
    assert_eq!(block_on(terminal.ask("Name")).unwrap_err().kind(), ErrorKind::Cancelled);
    let terminal = FakeTerminal::not_interactive();
    assert_eq!(block_on(terminal.ask("Name")).unwrap_err().kind(), ErrorKind::NotInteractive);
    block_on(terminal.tell("text is shown all the same")).unwrap();
}

#[test]
fn the_client_asks_the_vendor_or_nobody() {
    let request = || Request::get("https://api.example.com/x").body(Bytes::new()).unwrap();
    let http =
        FakeHttp::answered_by(|request: &Request<Bytes>| text(200, request.uri().to_string()));
    let response = block_on(http.send(request())).unwrap();
    assert_eq!(response.body(), "https://api.example.com/x");
    let plain = Request::get("http://api.example.com/x").body(Bytes::new()).unwrap();
    assert_eq!(block_on(http.send(plain)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(http.requests().len(), 2);
    for (http, kind) in [
        (FakeHttp::offline(), ErrorKind::Offline),
        (FakeHttp::timed_out(), ErrorKind::TimedOut),
        (FakeHttp::unexpected_answer(), ErrorKind::UnexpectedAnswer),
    ] {
        assert_eq!(block_on(http.send(request())).unwrap_err().kind(), kind);
    }
    let forbidden = FakeHttp::forbidden();
    assert_eq!(
        failure(|| drop(block_on(forbidden.send(request())))),
        "the HTTP client was asked to send GET to api.example.com, but this test expects no request"
    );
}

#[test]
fn redirects_bring_the_state_that_was_waited_for() {
    let state = Secret::new("a-state-that-nobody-can-guess".to_owned());
    let redirects =
        FakeRedirects::new().expect("/callback", "code=abc").expect_stranger("/callback");
    let limit = Duration::from_secs(300);
    let pending = block_on(redirects.listen("/callback")).unwrap();
    assert!(pending.redirect_uri().starts_with("http://127.0.0.1:"));
    let query = block_on(pending.receive(state.clone(), limit)).unwrap();
    assert_eq!(query.expose(), "code=abc&state=a-state-that-nobody-can-guess");
    let pending = block_on(redirects.listen("/callback")).unwrap();
    let error = block_on(pending.receive(state.clone(), limit)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(redirects.states()[0].same_as(&state));

    let redirects = FakeRedirects::new().expect("/a", "code=abc").expect("/a", "code=abc");
    for (state, sentence) in [("short", "5 characters"), (&"a b".repeat(10), "a URL cannot carry")]
    {
        let pending = block_on(redirects.listen("/a")).unwrap();
        let receive = || drop(block_on(pending.receive(Secret::new(state.to_owned()), limit)));
        assert!(failure(receive).contains(sentence));
    }
    assert_eq!(
        failure(|| drop(block_on(redirects.listen("/b")))),
        "the redirect listener was asked to listen at /b, but the script expects nothing more of it"
    );
}

#[test]
fn ports_lead_to_their_fakes() {
    let ports = Ports::new()
        .with_clock(FakeClock::at(time::OffsetDateTime::UNIX_EPOCH))
        .with_entropy(FakeEntropy::seeded(7))
        .with_files(FakeFiles::new())
        .with_vendor(|_: &Request<Bytes>| empty(204));
    let cx = ports.grant_context();
    assert_eq!(cx.host().clock().now(), time::OffsetDateTime::UNIX_EPOCH);
    ports.clock().advance(Duration::from_secs(1));
    assert_eq!(cx.host().clock().now().unix_timestamp(), 1);
    let request = Request::get("https://api.example.com/").body(Bytes::new()).unwrap();
    assert_eq!(block_on(cx.host().http().send(request)).unwrap().status(), 204);
    assert_eq!(ports.requests().len(), 1);
    block_on(cx.host().files().read(&HostFile::new("x"))).unwrap();
    assert_eq!(ports.files().reads(), ["x"]);
    block_on(cx.terminal().tell("hello")).unwrap();
    assert_eq!(ports.terminal().shown(), "hello\n");

    let bare = Ports::bare();
    let cx = bare.grant_context();
    let gh = CommandSpec::new("gh");
    let kinds = [
        block_on(cx.host().commands().run(&gh)).unwrap_err().kind(),
        block_on(cx.terminal().ask("Name")).unwrap_err().kind(),
        block_on(cx.redirects().listen("/")).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::CommandNotFound, ErrorKind::NotInteractive, ErrorKind::Io]);
}

#[test]
fn runs_are_made_for_tests() {
    let run = run_context("one").build();
    assert_eq!((run.id().as_str(), run.home().as_str()), ("one", "/home/moatuser"));
    assert!(failure(|| drop(run_context("Not An Id"))).starts_with("no run can be made"));
}

/// A test that fails for another reason is not blamed on the scripts.
#[test]
fn fakes_are_silent_while_a_test_fails() {
    let terminal = Arc::new(FakeTerminal::new().expect_ask("Name", "x"));
    let held = Arc::clone(&terminal);
    let test = move || {
        let _held = held;
        drop(terminal);
        panic!("the reason")
    };
    assert_eq!(failure(test), "the reason");
}
