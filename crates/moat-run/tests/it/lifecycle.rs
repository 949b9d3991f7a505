//! From a request to a container and to what is kept of it.

use std::fs;
use std::sync::Arc;

use moat_provider_core::{EnvVar, Launch};
use moat_provider_testkit::Canary;
use moat_run::{AgentLaunch, Home, Place, RunErrorKind, RunMetadata, RunState, Way};
use moat_store::CredentialStore;

use crate::support::{Toy, World, ask, assert_no_leak, read, var};

#[tokio::test]
async fn a_container_uses_a_token_that_it_does_not_hold() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let run = world.runner.prepare(world.request(&["toy"])).await.unwrap();
    let spec = run.spec();
    assert_no_leak(spec, &token);
    assert_eq!(read(spec, "/home/agent/.toy/config"), "[toy]\n");
    assert!(read(spec, "/home/agent/.gitconfig").contains("[safe]"));
    assert_eq!(var(spec, "HOME"), "/home/agent");
    assert_eq!(var(spec, "HTTPS_PROXY"), "http://127.0.0.1:3128");

    let placeholder = format!("Bearer {}", var(spec, "TOY_TOKEN"));
    for authorization in [Some(&*placeholder), None] {
        let answer = ask(spec, authorization).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(token.find_in_str(&answer), None);
    }
    // What is not the run's own placeholder stays what it is, and the vendor refuses it.
    let answer = ask(spec, Some("Bearer toy_somebody-elses")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let (id, Way::Socket { path, .. }) = (run.id().clone(), spec.way.clone()) else { panic!() };
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let metadata = run.stopped(3).await.metadata;
    assert_eq!((metadata.state, metadata.exit_code), (RunState::Stopped, Some(3)));
    assert!(!path.exists());
    let directory = world.runner.state().run(&id);
    assert!(!directory.join("stage").exists());
    assert_eq!(RunMetadata::read(&directory).unwrap(), metadata);
    let records = fs::read_to_string(directory.join("requests.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 3, "{records}");
    assert!(records.contains("\"rule\":\"api.toy.test/** authorization\""), "{records}");
    assert!(records.contains("\"grant\":\"toy\""), "{records}");
    assert_eq!(token.find_in_str(&records), None);
}

#[tokio::test]
async fn without_the_grant_the_vendor_refuses() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let mut request = world.request(&[]);
    // An entry with a path has the host intercepted.
    request.policy = moat_proxy::Policy::builder(moat_proxy::Mode::Permissive)
        .allow("GET api.toy.test/**")
        .unwrap()
        .build();
    let run = world.runner.prepare(request).await.unwrap();
    let answer = ask(run.spec(), None).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    run.stopped(0).await;
}

#[tokio::test]
async fn no_mount_shows_what_the_host_keeps() {
    let world = World::new(&Canary::new());
    let state = world.runner.state().path().to_owned();
    fs::create_dir_all(state.join("credentials")).unwrap();
    fs::write(state.join("master.key"), "key").unwrap();
    let link = state.parent().unwrap().join("link");
    std::os::unix::fs::symlink(state.join("credentials"), &link).unwrap();
    for source in [state.join("credentials"), state.join("master.key"), state.clone(), link] {
        let mut request = world.request(&[]);
        let target = "/shown".parse().unwrap();
        let access = moat_provider_core::MountAccess::ReadOnly;
        request.binds.push(moat_run::Bind { source: source.clone(), target, access });
        let error = world.runner.prepare(request).await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::InvalidInput, "{source:?}");
        assert!(error.message().contains("cannot be a mount"), "{error}");
    }
}

#[tokio::test]
async fn all_grants_that_cannot_be_used_are_named_together() {
    let world = World::new(&Canary::new());
    let error = world.runner.prepare(world.request(&["toy", "toy:b"])).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Grants);
    assert_eq!(error.problems().len(), 2);
    assert_eq!(error.hint(), Some("moat grant toy\nmoat grant toy:b"));
    let error = world.runner.prepare(world.request(&["tuy", "nobody:x"])).await.unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
    assert!(world.runner.state().runs().unwrap().is_empty(), "what failed leaves nothing");
}

#[tokio::test]
async fn another_credential_reaches_the_run_and_a_removed_one_leaves_it() {
    let (first, second) = (Canary::with_prefix("toy_"), Canary::with_prefix("toy_"));
    let world = World::new(&second);
    world.grant("toy", &first).await;
    let run = world.runner.prepare(world.request(&["toy"])).await.unwrap();
    assert!(ask(run.spec(), None).await.starts_with("HTTP/1.1 401"));
    world.grant("toy", &second).await;
    let key = "toy".parse().unwrap();
    world.runner.refresher().ensure_fresh(&key).await.unwrap();
    until(async || ask(run.spec(), None).await.starts_with("HTTP/1.1 200")).await;
    world.store.remove(&key).await.unwrap();
    world.runner.refresher().ensure_fresh(&key).await.unwrap_err();
    let before = world.vendor.requests().len();
    until(async || {
        let asked = ask(run.spec(), None);
        // Without a rule the tunnel is not intercepted any more, so that TLS fails here.
        let ended = tokio::spawn(async { tokio::task::yield_now().await });
        tokio::select! { _ = asked => {}, _ = ended => {} }
        world.vendor.requests().len() >= before
    })
    .await;
    run.stopped(0).await;
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if done().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn a_secret_in_the_environment_or_the_command_is_refused() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let mut request = world.request(&["toy"]);
    request.env.push(EnvVar::new("COPY", format!("x{}", token.text())).unwrap());
    let error = world.runner.prepare(request).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Leak);
    assert!(error.to_string().contains("the variable COPY"), "{error}");
    assert_eq!(token.find_in_str(&format!("{error} {error:?}")), None);
    let mut request = world.request(&["toy"]);
    request.command.push(token.text().to_owned());
    assert_eq!(world.runner.prepare(request).await.unwrap_err().kind(), RunErrorKind::Leak);
    fs::write(world.directory.path().join("work/.env"), token.text()).unwrap();
    let run = world.runner.prepare(world.request(&["toy"])).await.unwrap();
    assert!(run.warnings()[0].contains("work/.env holds the secret toy"), "{:?}", run.warnings());
    run.stopped(0).await;
}

#[tokio::test]
async fn what_the_run_sets_cannot_be_set_by_the_person() {
    let world = World::new(&Canary::new());
    let mut request = world.request(&[]);
    request.env.push(EnvVar::new("https_proxy", "http://elsewhere").unwrap());
    let error = world.runner.prepare(request).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::InvalidInput);
}

#[tokio::test]
async fn two_grants_share_a_host_when_one_is_the_default() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    world.grant("toy:greedy", &Canary::with_prefix("toy_")).await;
    let mut request = world.request(&["toy", "toy:greedy"]);
    request.defaults = vec!["toy".parse().unwrap()];
    let error = world.runner.prepare(request).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Conflict);
    assert!(error.to_string().contains("toy:greedy"), "{error}");
    let run = world.runner.prepare(world.request(&["toy", "toy:other"])).await.unwrap_err();
    assert_eq!(run.problems().len(), 1);
    world.grant("toy:other", &Canary::with_prefix("toy_")).await;
    let mut request = world.request(&["toy", "toy:other"]);
    request.defaults = vec!["toy".parse().unwrap()];
    let run = world.runner.prepare(request).await.unwrap();
    assert!(ask(run.spec(), None).await.starts_with("HTTP/1.1 200"));
    run.stopped(0).await;
    let mut request = world.request(&["toy"]);
    request.defaults = vec!["toy:other".parse().unwrap()];
    let error = world.runner.prepare(request).await.unwrap_err();
    assert_eq!(error.hint(), Some("--grant toy:other"));
}

#[tokio::test]
async fn an_agent_chooses_its_grant_and_its_hook_is_asked_once() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy:own", &token).await;
    let mut request = world.request(&[]);
    request.command.clear();
    let mut launch = Launch::default();
    launch.prompt = Some("-x".into());
    request.agent = Some(AgentLaunch { provider: Arc::new(Toy), launch });
    let run = world.runner.prepare(request).await.unwrap();
    assert_eq!(run.spec().command, ["toy", "--", "-x"]);
    assert_eq!(var(run.spec(), "TOY_AGENT"), "1");
    let id = run.id().clone();
    let metadata = run.stopped(0).await.metadata;
    assert_eq!(metadata.grants, ["toy:own"]);
    assert_eq!(metadata.agent.as_deref(), Some("toy"));
    assert_eq!(metadata.provider_meta["toy"]["session"], format!("of-{id}"));
}

#[tokio::test]
async fn a_run_whose_process_died_is_ended_by_the_next() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let run = world.runner.prepare(world.request(&["toy"])).await.unwrap();
    // What a killed process leaves: everything but its lock.
    let (left, id) = (world.runner.state().run(run.id()), "run-dead".parse().unwrap());
    let dead = world.runner.state().run(&id);
    copy(&left, &dead);
    fs::remove_file(dead.join("lock")).unwrap();
    let mut metadata = RunMetadata::read(&dead).unwrap();
    metadata.id = id;
    fs::write(dead.join("metadata.json"), serde_json::to_vec(&metadata).unwrap()).unwrap();
    let half = world.runner.state().run(&"run-half".parse().unwrap());
    fs::create_dir(&half).unwrap();

    let ended = world.runner.clean_up().await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].state, RunState::Killed);
    assert!(dead.join("metadata.json").exists() && !dead.join("stage").exists());
    assert!(!half.exists());
    assert!(left.join("stage").exists(), "a run that lives is left alone");
    assert!(world.runner.clean_up().await.is_empty());
    assert!(ask(run.spec(), None).await.starts_with("HTTP/1.1 200"));
    run.stopped(0).await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_home_is_kept_for_a_workspace_where_that_is_asked() {
    let world = World::new(&Canary::new());
    for (home, is_there) in [(Home::Private, false), (Home::KeptForWorkspace, true)] {
        for attempt in 0..2 {
            let mut request = world.request(&[]);
            request.home = home;
            let run = world.runner.prepare(request).await.unwrap();
            let note = run.spec().binds[0].source.join("note");
            assert_eq!(note.exists(), is_there && attempt == 1);
            fs::write(note, "x").unwrap();
            run.stopped(0).await;
        }
    }
}

#[tokio::test]
async fn on_the_host_itself_a_token_names_the_run() {
    let token = Canary::with_prefix("toy_");
    let world = World::new(&token);
    world.grant("toy", &token).await;
    let mut request = world.request(&["toy"]);
    request.place = Place::Host;
    let run = world.runner.prepare(request).await.unwrap();
    let spec = run.spec();
    assert!(spec.binds.iter().all(|bind| bind.source.to_str() == Some(bind.target.as_str())));
    let home = var(spec, "HOME");
    assert_eq!(fs::read_to_string(format!("{home}/.toy/config")).unwrap(), "[toy]\n");
    assert!(fs::symlink_metadata(format!("{home}/.toy/history")).unwrap().is_symlink());
    assert!(fs::metadata(var(spec, "CURL_CA_BUNDLE")).unwrap().is_file());
    let Way::Port(port) = spec.way else { panic!() };
    assert!(var(spec, "HTTPS_PROXY").starts_with("http://moat:"));
    assert!(var(spec, "HTTPS_PROXY").ends_with(&format!("@127.0.0.1:{port}")));
    run.stopped(0).await;
}

#[tokio::test]
async fn a_workspace_and_what_the_host_keeps_stay_apart() {
    let world = World::new(&Canary::new());
    let state = world.runner.state().path().to_owned();
    fs::create_dir_all(state.join("inside")).unwrap();
    for workspace in [world.directory.path().to_owned(), state.join("inside"), state] {
        let request = moat_run::RunRequest::new(workspace, vec!["true".into()]);
        let error = world.runner.prepare(request).await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::InvalidInput);
        assert!(error.to_string().contains("cannot be a workspace"), "{error}");
    }
}
