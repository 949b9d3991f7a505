//! A proxy for a sandbox of the person's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::github::GitHub;
use crate::support::{Ended, Moat};

/// What makes hosts intercepted for which there is no grant.
const INTERCEPTED: [&str; 2] = ["--allow", "GET api.github.com/**"];

/// A proxy that serves. Killed when this is dropped.
pub(crate) struct Serving {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    pub(crate) said: String,
}

impl Serving {
    /// Starts a proxy, and waits until it has said what to export as JSON.
    pub(crate) fn start(moat: &Moat, arguments: &[&str]) -> Self {
        let mut child = moat.start(&[&["proxy", "--json"], arguments].concat());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.ends_with("\n}\n") {
            assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{:?}", Ended::of(child));
        }
        Self { child: Some(child), stdout, said }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.said).unwrap()
    }

    pub(crate) fn run(&self) -> String {
        self.json()["run"].as_str().unwrap().to_owned()
    }

    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.json()["env"].clone()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits for the end. What was read already stands in front.
    pub(crate) fn ended(mut self) -> Ended {
        let mut ended = Ended::of(self.child.take().unwrap());
        self.stdout.read_line(&mut ended.stdout).unwrap();
        ended.stdout.insert_str(0, &self.said);
        ended
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks GitHub who one is, with these variables alone. Returns the status and the body.
#[expect(clippy::disallowed_methods, reason = "a client of the proxy is started")]
fn whoami(env: &BTreeMap<String, String>) -> (String, String) {
    let output = Command::new("/usr/bin/curl")
        .args(["-sS", "-w", "\n%{http_connect} %{http_code}\n", "https://api.github.com/user"])
        .env_clear()
        .envs(env)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let status = text.lines().find(|line| line.len() == 7).unwrap_or_default();
    (status.to_owned(), text)
}

#[test]
fn what_is_exported_is_all_that_a_client_needs() {
    let github = GitHub::new();
    let moat = github.granted();
    let serving = Serving::start(&moat, &["--grant", "github"]);
    let mut env = serving.env();
    let (status, text) = whoami(&env);
    assert_eq!(status, "200 200", "{text}");
    assert!(text.contains("octocat"), "{text}");
    assert_eq!(github.token.find_in_str(&text), None);
    for file in moat.files().iter().filter(|file| file.starts_with("runs/")) {
        let bytes = fs::read(moat.home().join(file)).unwrap();
        assert_eq!(github.token.find_in(&bytes), None, "{file}");
    }
    let mounts = serving.json()["mounts"].clone();
    let is_mounted = |path: &str| {
        let mut mounts = mounts.as_array().unwrap().iter();
        mounts.any(|it| path.starts_with(it["target"].as_str().unwrap()))
    };
    for name in ["SSL_CERT_FILE", "WGETRC", "HOME"] {
        assert!(is_mounted(&env[name]), "{name} is not in {mounts}");
    }
    let port = serving.json()["port"].as_u64().unwrap();
    env.insert("https_proxy".into(), format!("http://127.0.0.1:{port}"));
    env.insert("HTTPS_PROXY".into(), format!("http://127.0.0.1:{port}"));
    let (status, text) = whoami(&env);
    assert_eq!(status, "407 000", "{text}");

    let id = serving.run();
    serving.signal(Signal::TERM);
    let ended = serving.ended().succeeded().without(&github.token);
    assert!(ended.stderr.contains(&format!("Stopped {id}.")), "{}", ended.stderr);
    let runs = moat.run(&["runs", "--json"]).succeeded().json();
    assert_eq!(runs["runs"][0]["state"], "stopped");
    assert_eq!(runs["runs"][0]["sandbox"], "proxy");
    let trace = moat.run(&["trace"]).succeeded().without(&github.token).stdout;
    assert!(trace.contains("https://api.github.com/user"), "{trace}");
    assert!(!moat.files().iter().any(|file| file.contains("/stage/")), "{:?}", moat.files());
}

#[test]
fn without_the_grant_the_vendor_refuses() {
    let github = GitHub::new();
    let moat = github.granted();
    let serving = Serving::start(&moat, &INTERCEPTED);
    let (status, text) = whoami(&serving.env());
    assert_eq!(status, "200 401", "{text}");
    serving.signal(Signal::INT);
    serving.ended().succeeded();
}

#[test]
fn variables_come_as_lines_of_a_shell_or_of_a_file() {
    let moat = Moat::new();
    let lines = |arguments: &[&str]| {
        let mut child = moat.start(arguments);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut text, mut line) = (String::new(), String::new());
        // The last variable in the order of their names.
        while !line.contains("npm_config_cafile=") {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "{text}");
            text.push_str(&line);
        }
        kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
        (text, Ended::of(child).succeeded())
    };
    let (shell, ended) = lines(&["proxy"]);
    assert!(ended.stderr.contains("holds the token of this run"), "{}", ended.stderr);
    assert!(shell.starts_with("# moat: run-"), "{shell}");
    assert!(shell.contains("\nexport HTTPS_PROXY="), "{shell}");
    let (dotenv, _) = lines(&["proxy", "--dotenv"]);
    assert!(dotenv.contains("\nHTTPS_PROXY=http://moat:"), "{dotenv}");
    let (socket, ended) = lines(&["proxy", "--socket"]);
    assert!(!ended.stderr.contains("token"), "{}", ended.stderr);
    assert!(socket.contains("\nexport HTTPS_PROXY=http://127.0.0.1:3128\n"), "{socket}");
    assert!(socket.contains("/proxy.sock\n# to be joined to 127.0.0.1:3128"), "{socket}");
    assert!(socket.contains(" /run/moat/ca-bundle.pem ro\n"), "{socket}");
}

#[test]
fn a_port_is_taken_where_it_is_free() {
    let moat = Moat::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let busy = moat.run(&["proxy", "--port", &port]);
    busy.failed(1, &["cannot listen at 127.0.0.1:", "because: ", "--port"]);
    drop(taken);
    let serving = Serving::start(&moat, &["--port", &port]);
    assert_eq!(serving.json()["port"].to_string(), port);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_served() {
    let moat = Moat::new();
    moat.run(&["proxy", "--grant", "github"])
        .failed(1, &["there is no credential github", "moat grant github"]);
    moat.run(&["proxy", "--port", "1", "--socket"]).failed(2, &["cannot be used with"]);
    moat.run(&["proxy", "--dotenv", "--json"]).failed(2, &["cannot be used with"]);
    moat.run(&["proxy", "--port", "0"]).failed(2, &["--port"]);
    moat.run(&["proxy", "--workspace", "/usr"]).failed(1, &["cannot be a workspace"]);
    moat.run(&["proxy", "--workspace", "/nonexistent"]).failed(2, &["no directory to work in"]);
}
