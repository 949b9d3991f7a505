//! Sixteen real processes at one encrypted store, and a vendor on loopback whose refresh tokens
//! work once.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moat_provider_core::*;
use moat_provider_testkit::{Canary, Ports};
use moat_refresh::Refresher;
use moat_store::{CredentialStore, Expect, FileStore, KeyFile};
use time::OffsetDateTime;

const PROCESSES: usize = 16;
static NAME: ProviderName = ProviderName::from_static("vendor");

/// Stands in front of what a child says, because the test harness prints to the same place.
const MARK: &str = "@ ";

#[test]
fn sixteen_processes_call_the_vendor_once() {
    let home = tempfile::tempdir().unwrap();
    let vendor = Vendor::start();
    let token = Canary::new();
    vendor.state.lock().unwrap().valid.insert(token.text().to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let granted = runtime.block_on(async {
        let now = RealClock.now();
        let credential = Credential::builder(CredentialKey::new(NAME.clone()), token.secret(), now)
            .secret(SecretName::REFRESH_TOKEN, token.secret())
            .expires_at(now + Duration::from_secs(1))
            .build();
        store(home.path()).save(&credential, Expect::Absent).await.unwrap()
    });

    let mut children: Vec<_> =
        (0..PROCESSES).map(|_| Worker::start(home.path(), vendor.port)).collect();
    // All are there before the first may begin.
    children.iter_mut().for_each(|child| assert_eq!(child.next(), "ready"));
    children.iter_mut().for_each(Worker::go);
    let said: HashSet<_> = children.iter_mut().map(Worker::next).collect();
    assert_eq!(said.len(), 1, "all have the same generation: {said:?}");
    assert!(!said.contains(&granted.to_string()), "and it is a new one");
    let state = vendor.state.lock().unwrap();
    assert_eq!((state.calls, state.refused), (1, 0));
    children.into_iter().for_each(Worker::finish);
}

/// What one of the processes does. It is a test only to be found in this binary.
#[test]
#[ignore = "another test starts it, as a process of its own"]
fn refreshes_when_told() {
    let mut orders = std::io::stdin().lines().map(Result::unwrap);
    let (home, port) = (orders.next().unwrap(), orders.next().unwrap().parse().unwrap());
    let mut registry = Registry::builder();
    registry.register(Remote(port)).unwrap();
    let entropy = Arc::clone(Ports::new().relaxed().host_context().entropy());
    let cx = HostContext::builder(Arc::new(RealClock), entropy).build();
    let store = Arc::new(store(Path::new(&home)));
    let refresher = Refresher::new(registry.build(), store, cx);
    say("ready");
    assert_eq!(orders.next().unwrap(), "go");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let key = CredentialKey::new(NAME.clone());
    let fresh = refresher.ensure_fresh(&key);
    let stored = runtime.block_on(async { tokio::time::timeout(LIMIT, fresh).await.unwrap() });
    say(&stored.unwrap().generation.to_string());
}

const LIMIT: Duration = Duration::from_secs(60);

fn store(home: &Path) -> FileStore {
    FileStore::builder(home).key_source(Arc::new(KeyFile::in_home(home))).build()
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn say(text: &str) {
    println!("{MARK}{text}");
}

/// A process, which is killed when this is dropped.
struct Worker {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(home: &Path, port: u16) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the process is this test's own binary")]
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command
            .args(["--ignored", "--exact", "machine::refreshes_when_told", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.as_mut().unwrap();
        writeln!(orders, "{}\n{port}", home.to_str().unwrap()).unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn go(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "go").unwrap();
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            // The harness prints the name of the test without an end of line.
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                return said.to_owned();
            }
            line.clear();
        }
        panic!("a process has ended without a word")
    }

    fn finish(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The vendor: a connection sends a refresh token and gets the next one, or nothing.
struct Vendor {
    port: u16,
    state: Arc<Mutex<VendorState>>,
}

#[derive(Default)]
struct VendorState {
    valid: HashSet<String>,
    calls: usize,
    refused: usize,
}

impl Vendor {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vendor = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = Arc::clone(&vendor.state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut sent = String::new();
                BufReader::new(&stream).read_line(&mut sent).unwrap();
                let mut state = state.lock().unwrap();
                state.calls += 1;
                if state.valid.remove(sent.trim()) {
                    let next = Canary::new();
                    state.valid.insert(next.text().to_owned());
                    stream.write_all(next.text().as_bytes()).unwrap();
                } else {
                    state.refused += 1;
                }
            }
        });
        vendor
    }
}

/// The provider of that vendor.
#[derive(Debug)]
struct Remote(u16);

impl Provider for Remote {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Remote {
    fn grant<'a>(
        &'a self,
        _: &'a GrantContext,
        _: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        unreachable!("no test grants")
    }

    fn configure_proxy(
        &self,
        _: &mut dyn ProxyConfigurer,
        _: &CredentialInfo,
        _: &RunContext,
    ) -> Result<()> {
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("nothing is issued"))
    }
}

impl RefreshableProvider for Remote {
    fn can_refresh(&self, _: &CredentialInfo) -> bool {
        true
    }

    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    #[expect(clippy::disallowed_methods, reason = "the token goes to the vendor of the test")]
    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(async move {
            let token = credential.secrets().require(&SecretName::REFRESH_TOKEN)?;
            let mut stream = TcpStream::connect(("127.0.0.1", self.0)).unwrap();
            writeln!(stream, "{}", token.expose()).unwrap();
            let mut next = String::new();
            stream.read_to_string(&mut next).unwrap();
            if next.is_empty() {
                return Err(Error::new(ErrorKind::TokenRevoked, "the token was spent before"));
            }
            let renewed = credential
                .renew()
                .token(Secret::new(next.clone()))
                .secret(SecretName::REFRESH_TOKEN, Secret::new(next))
                .expires_at(cx.clock().now() + Duration::from_secs(3600));
            Ok(Refreshed::Renewed(renewed.build()))
        })
    }
}

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "processes share no other clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
