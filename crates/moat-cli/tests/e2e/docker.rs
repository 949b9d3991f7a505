//! Docker: each test has a daemon of its own, which ends with it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use moat_provider_testkit::Canary;
use serde_json::json;
use tempfile::TempDir;

use crate::engine::{self, BRIDGE, CLIENTS, Engine, IMAGE};
use crate::machine::{GITHUB, Machine, NONE};
use crate::program::{Output, Program, found, search_path};

/// The user and the group of a person who is not root. Debian gives the group no name but this one.
const PERSON: &str = "65534";
const GROUP: &str = "nogroup";

/// A daemon of the test's own.
struct Daemon {
    process: Child,
    directory: TempDir,
}

/// What a daemon reads its map of ids from, in a view of the system of its own.
const WITH_IDS: &str = "set -e; cp -a /etc $1/etc; mount --bind $1/etc /etc
    echo nobody:100000:65536 >/etc/subuid; echo nobody:100000:65536 >/etc/subgid
    shift; exec \"$@\"";

/// Whose ids containers have by themselves.
#[derive(Clone, Copy, PartialEq)]
enum Ids {
    Same,
    Mapped,
}

impl Daemon {
    fn start(ids: Ids) -> Self {
        // A short path: its sockets are below it.
        let directory = TempDir::new_in("/tmp").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let log = fs::File::create(path("log")).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the end of this process is waited for in `drop`"
        )]
        let mut command = Command::new(found("setpriv").unwrap());
        // It must not outlive the test, however that ends.
        command.args(["--pdeathsig", "TERM"]);
        if ids == Ids::Mapped {
            command.args(["unshare", "--mount", "sh", "-c", WITH_IDS, "sh"]).arg(directory.path());
        }
        command.arg(found("dockerd").expect("dockerd"));
        if ids == Ids::Mapped {
            command.arg("--userns-remap=nobody:nogroup");
        }
        command.args(["--host", &format!("unix://{}", path("docker.sock")), "--group", GROUP]);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec")]);
        command.args(["--pidfile", &path("pid"), "--storage-driver", "vfs"]);
        // Nothing of this machine's network is touched.
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.env_clear().env("PATH", search_path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self { process: command.spawn().unwrap(), directory }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    /// Waits until it answers.
    async fn ready(&mut self) {
        let host = self.host();
        let answers = async || {
            let version = Program::new("docker").env("DOCKER_HOST", &host).arg("version");
            version.run().await.code == Some(0)
        };
        while !answers().await {
            if let Some(ended) = self.process.try_wait().unwrap() {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
                panic!("dockerd ended, {ended}: {log}");
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        _ = self.process.wait();
    }
}

/// A machine whose person has Docker. The daemon ends first.
struct Docker {
    _daemon: Daemon,
    engine: Engine,
}

/// Makes a machine whose person has Docker and an image with these programs.
async fn docker(programs: &[&str]) -> Docker {
    with_daemon(Daemon::start(Ids::Same), programs).await
}

async fn with_daemon(mut daemon: Daemon, programs: &[&str]) -> Docker {
    let machine = Machine::granted().await;
    let store = machine.path("docker");
    fs::create_dir(&store).unwrap();
    daemon.ready().await;
    let variables = [("DOCKER_HOST", daemon.host()), ("DOCKER_CONFIG", path(&store))];
    let engine = Engine::new(machine, "docker", variables);
    engine.import(&store, programs).await;
    Docker { _daemon: daemon, engine }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn clients_are_logged_in_and_find_no_token() {
    engine::clients_are_logged_in_and_find_no_token(&docker(CLIENTS).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn the_run_s_socket_is_the_only_way_out() {
    engine::the_run_s_socket_is_the_only_way_out(&docker(&["curl"]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn what_the_host_sees_has_no_token() {
    engine::what_the_host_sees_has_no_token(&docker(&["curl"]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn variables_arrive_as_they_are() {
    engine::variables_arrive_as_they_are(&docker(&[]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn a_run_is_stopped_while_it_starts() {
    engine::a_run_is_stopped_while_it_starts(&docker(&[]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn exit_codes_and_signals_pass_through() {
    engine::exit_codes_and_signals_pass_through(&docker(&[]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn nothing_is_left_of_a_container() {
    engine::nothing_is_left_of_a_container(&docker(&[]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn a_shell_is_where_the_command_is() {
    engine::a_shell_is_where_the_command_is(&docker(&["curl"]).await.engine).await;
}

#[tokio::test]
#[ignore = "needs Docker, root and Python; run cargo xtask e2e"]
async fn keys_of_a_terminal_are_for_the_command() {
    engine::keys_of_a_terminal_are_for_the_command(&docker(&[]).await.engine).await;
}

/// The client of Docker puts them into every container, unless it is told otherwise.
#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn proxies_of_docker_s_own_configuration_stay_outside() {
    let docker = docker(&["curl"]).await;
    let engine = &docker.engine;
    let password = Canary::new();
    let proxy = format!("http://person:{}@proxy.corp.test:3128", password.text());
    let proxies = json!({ "proxies": { "default": {
        "httpProxy": proxy, "httpsProxy": proxy, "ftpProxy": proxy, "allProxy": proxy,
        "noProxy": "api.github.com",
    } } });
    let configuration = engine.machine.path("docker").join("config.json");
    fs::write(configuration, proxies.to_string()).unwrap();
    let by_hand = ["run", "--rm", "--network", "none", IMAGE, "/bin/env"];
    let by_hand = engine.client().args(by_hand).run().await;
    assert!(password.find_in(&by_hand.stdout).is_some(), "Docker itself: {by_hand}");
    let seen = engine.sh(GITHUB, "env; curl -sS https://api.github.com/user").await;
    assert!(seen.text().contains("octocat"), "{seen}");
    assert_eq!(password.find_in(&seen.stdout), None, "{seen}");
}

/// Returns a program that is run by a person who is not root, with this group.
fn as_person(group: &str) -> Program {
    let person = ["--reuid", PERSON, "--regid", group, "--clear-groups"];
    Program::new("setpriv").args(person)
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn a_person_who_is_not_root_owns_what_the_container_writes() {
    let docker = docker(&["curl"]).await;
    let engine = &docker.engine;
    let machine = &engine.machine;
    // Where these are built may be out of the person's reach.
    let [moat, bridge] = ["moat", "moat-bridge"].map(|name| machine.path(name));
    fs::copy(env!("CARGO_BIN_EXE_moat"), &moat).unwrap();
    fs::copy(BRIDGE, &bridge).unwrap();
    let all = machine.path("").parent().unwrap().to_owned();
    let owner = format!("{PERSON}:{PERSON}");
    Program::new("chown").args(["-R", &owner]).arg(all).run().await.text();
    let moat = async |group: &str, script: &str| -> Output {
        let moat = engine.configured(machine.with_state(as_person(group).arg(&moat)));
        let moat = moat.env("MOAT_BRIDGE", &bridge).args(engine.words(GITHUB, script));
        let output = moat.run().await;
        machine.checked(&output);
        output
    };
    let script = "echo text >written; echo text >$HOME/.profile; id -un; stat -c %u /run/moat/proxy.sock; curl -sS https://api.github.com/user | grep -o octocat";
    let seen = moat(PERSON, script).await;
    assert_eq!(seen.text(), format!("agent\n{PERSON}\noctocat"));
    let written = fs::metadata(machine.workspace().join("written")).unwrap();
    assert_eq!([written.uid(), written.gid()].map(|id| id.to_string()), [PERSON, PERSON]);
    // A group that may not use the daemon.
    let refused = moat("1", "echo started").await;
    assert_eq!(refused.code, Some(125), "{refused}");
    assert!(refused.says("the right to use its daemon (permission denied"), "{refused}");
    assert!(refused.says("sudo usermod --append --groups docker"), "{refused}");
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn a_daemon_that_maps_ids_leaves_the_person_s_as_they_are() {
    let docker = with_daemon(Daemon::start(Ids::Mapped), &[]).await;
    let engine = &docker.engine;
    let workspace = path(&engine.machine.workspace());
    let volume = format!("{workspace}:{workspace}");
    let file = format!("{workspace}/by-hand");
    let by_hand = ["run", "--rm", "--network", "none", "--volume", &volume, IMAGE, "touch", &file];
    let by_hand = engine.client().args(by_hand).run().await;
    assert!(by_hand.says("Permission denied"), "Docker itself: {by_hand}");
    let written = engine.sh(NONE, "echo text >written; echo text >$HOME/.profile; id -u").await;
    let person = rustix::process::getuid().as_raw();
    assert_eq!(written.text(), person.to_string());
    let written = fs::metadata(engine.machine.workspace().join("written")).unwrap();
    assert_eq!(written.uid(), person);
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn what_is_missing_is_said_with_what_brings_it() {
    let docker = docker(&[]).await;
    let engine = &docker.engine;
    let words = engine.words(NONE, "echo started");
    let lacks = async |program: Program, message: &str, fix: &str| {
        let lacks = program.args(&words).run().await;
        assert_eq!((lacks.code, &lacks.stdout[..]), (Some(125), &b""[..]), "{lacks}");
        let expected = format!("error: docker does not work here: {message}");
        assert!(lacks.says(&expected) && lacks.says(&format!("\n\n    {fix}")), "{lacks}");
    };
    let elsewhere = format!("unix://{}", path(&engine.machine.path("none.sock")));
    let silent = engine.moat().env("DOCKER_HOST", &elsewhere);
    let message = format!("its daemon (Cannot connect to the Docker daemon at {elsewhere}.");
    lacks(silent, &message, "start it, or say where it is: docker context ls; echo $DOCKER_HOST")
        .await;
    let image = engine.moat().env("MOAT_IMAGE", "no-such-image:1");
    lacks(image, "the image no-such-image:1 is missing", "docker pull no-such-image:1").await;
    let bridge = engine.moat().env("MOAT_BRIDGE", found("curl").unwrap());
    lacks(
        bridge,
        "a moat-bridge that runs in other images",
        "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo",
    )
    .await;
    let fix = "install the package docker.io, for example: apt-get install docker.io";
    lacks(without(engine, "docker"), "docker is missing", fix).await;
}

#[tokio::test]
#[ignore = "needs Docker and root; run cargo xtask e2e"]
async fn docker_is_taken_where_there_is_no_bubblewrap() {
    let docker = docker(&[]).await;
    let engine = &docker.engine;
    let words = ["run", "--", "sh", "-c", "test -e /.dockerenv && echo contained"];
    assert_eq!(without(engine, "bwrap").args(words).run().await.text(), "contained");
    let lacking = without(engine, "bwrap").env("MOAT_IMAGE", "no-such-image:1").args(words);
    let lacking = lacking.run().await;
    assert!(lacking.says("there is no sandbox on this machine"), "{lacking}");
    assert!(lacking.says("docker lacks the image no-such-image:1: docker pull"), "{lacking}");
}

/// Returns the command in a view of the system that has no program of this name.
fn without(engine: &Engine, program: &str) -> Program {
    let hide = "for place in /usr/bin /usr/local/bin /bin /run/current-system/sw/bin; do
            test ! -e $place/$0 || mount --bind /dev/null $place/$0 || exit 1
        done
        exec \"$@\"";
    let unshare = ["--mount", "sh", "-c", hide, program, env!("CARGO_BIN_EXE_moat")];
    engine.configured(engine.machine.with_state(Program::new("unshare").args(unshare)))
}
