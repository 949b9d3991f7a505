//! What a container sees: placeholders, the proxy's address, a bundle of authorities, a home.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use moat_provider_core::{
    Alphabet, Credential, CredentialKey, CredentialRule, HeaderTemplate, PlaceholderKey,
    PlaceholderShape, ProxyConfigurer, ProxyRules, RunContext, SecretRef, Target,
};
use moat_provider_testkit::Canary;
use moat_proxy::engine::Generation;
use moat_proxy::{Mode, Policy, RunRules};
use tokio::net::{TcpListener, UnixListener};

use crate::program::{Output, Program};
use crate::support::{RealClock, Rules, TOKEN, World};

/// The host that the run has a credential for.
pub(crate) const VENDOR: &str = "api.vendor.test";

/// Every variable by which a program may be told what to trust, as a container has them.
pub(crate) const TRUST: [&str; 12] = [
    "BUNDLE_SSL_CA_CERT",
    "CARGO_HTTP_CAINFO",
    "CODEX_CA_CERTIFICATE",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "npm_config_cafile",
];

/// A run with a credential for some hosts, and the home of its container.
pub(crate) struct Container {
    pub(crate) world: World,
    pub(crate) token: Canary,
    run: Arc<RunContext>,
    key: PlaceholderKey,
    template: HeaderTemplate,
    home: Home,
    /// What belongs to hosts.
    pub(crate) outside: Home,
    /// Files of the home in which the token was looked for, each with its length and time.
    searched: Mutex<HashSet<(PathBuf, u64, SystemTime)>>,
}

impl Container {
    /// Begins a run with a credential for [`VENDOR`].
    pub(crate) async fn new() -> Self {
        Self::granted(&[VENDOR], HeaderTemplate::Bearer).await
    }

    /// Begins a run with a credential for these hosts.
    pub(crate) async fn granted(hosts: &[&str], template: HeaderTemplate) -> Self {
        let world = World::new(Rules::default()).await;
        let key = PlaceholderKey::from_bytes([7; 32]);
        let run = run("first", &key);
        let home = Home::new();
        let token = Canary::of_shape(&shape());
        // A container trusts the run's authority next to what the host trusts.
        let bundle = [world.ca.certificate_pem(), world.origins.pem()].concat();
        std::fs::write(home.0.join("bundle.pem"), bundle).unwrap();
        let container = Self {
            world,
            token,
            run,
            key,
            template,
            home,
            outside: Home::new(),
            searched: Mutex::default(),
        };
        container.world.run.swap(container.rules(hosts));
        container
    }

    /// Makes it a run without any grant, which may go everywhere.
    pub(crate) fn ungranted(&self) {
        self.world.run.swap(self.rules(&[]));
    }

    fn rules(&self, hosts: &[&str]) -> Arc<RunRules> {
        let token = self.token.secret();
        let credential = Credential::builder(grant(), token, time::OffsetDateTime::UNIX_EPOCH);
        let mut rules = ProxyRules::default();
        for host in hosts {
            let (target, secret) = (Target::host(host).unwrap(), SecretRef::token(&grant()));
            let rule = CredentialRule::new(target, AUTHORIZATION, self.template.clone(), secret);
            rules.credential(
                rule.placeholder(self.run.placeholder(&grant(), "token", &shape()).unwrap()),
            );
        }
        let secrets = BTreeMap::from([(grant(), credential.build().secrets().clone())]);
        let mode = if hosts.is_empty() { Mode::Permissive } else { Mode::Strict };
        let key = self.key.clone();
        let generation = Generation::new(&rules, &[], &secrets, key, mode).unwrap();
        // The names of the test have addresses of TEST-NET-3.
        let policy = Policy::builder(mode).allow("203.0.113.0/24").unwrap().build();
        let (run, clock) = (Arc::clone(&self.run), Arc::new(RealClock));
        Arc::new(RunRules::builder(run, clock, policy, generation).build().unwrap())
    }

    /// Returns what stands for the token in this run.
    pub(crate) fn placeholder(&self) -> String {
        self.run.placeholder(&grant(), "token", &shape()).unwrap().to_string()
    }

    /// Returns what stood for the token in another run.
    pub(crate) fn stale(&self) -> String {
        run("second", &self.key).placeholder(&grant(), "token", &shape()).unwrap().to_string()
    }

    /// Returns the URL of the proxy, with the run's token.
    pub(crate) fn proxy(&self) -> String {
        format!("http://moat:{TOKEN}@{}", self.world.address)
    }

    /// Opens a socket to the proxy that is this run's alone.
    pub(crate) fn socket(&self) -> PathBuf {
        let path = self.path("moat.sock");
        _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(self.world.proxy.serve_unix(listener, &self.world.run));
        path
    }

    /// Opens a port to the proxy that is this run's alone, for clients that cannot name it.
    pub(crate) async fn port(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(self.world.proxy.serve_run_tcp(listener, &self.world.run));
        port
    }

    /// Returns the path of a file in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    /// Returns the path of a file in the home as text.
    pub(crate) fn path_text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file into the home and returns its path.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        let about = std::fs::metadata(&path).unwrap();
        let seen = (path.clone(), about.len(), about.modified().unwrap());
        self.searched.lock().unwrap().insert(seen);
        path
    }

    /// Returns the path of the bundle of authorities.
    pub(crate) fn bundle(&self) -> String {
        self.path("bundle.pem").display().to_string()
    }

    /// Issues a certificate for a host and returns the paths of it and its key, which are outside
    /// of the home.
    pub(crate) fn certificate(&self, host: &str) -> (String, String) {
        let (certificate, key) = self.world.origins.issue(host);
        let write = |name: &str, pem: String| {
            let path = self.outside.0.join(format!("{host}.{name}"));
            std::fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        (write("pem", certificate.pem()), write("key", key.serialize_pem()))
    }

    /// Prepares a program: with nothing in its environment but what a container has.
    pub(crate) fn program(&self, name: &str) -> Program {
        let mut program = self.bare(name).env("NODE_USE_ENV_PROXY", "1");
        for name in TRUST {
            program = program.env(name, self.bundle());
        }
        program
    }

    /// Prepares a program that knows the proxy, and not what to trust.
    pub(crate) fn bare(&self, name: &str) -> Program {
        let mut program = Program::new(name).env("HOME", self.home.0.display().to_string());
        program = program.directory(&self.home.0);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            program = program.env(name, self.proxy());
        }
        for name in ["NO_PROXY", "no_proxy"] {
            program = program.env(name, "localhost,127.0.0.1,::1");
        }
        program
    }

    /// Runs a program to its end, and looks for the token in all that it saw.
    pub(crate) async fn run(&self, program: Program) -> Output {
        let output = program.run().await;
        self.search(&output);
        output
    }

    fn search(&self, output: &Output) {
        let leak = self.token.find_in(&output.stdout).or(self.token.find_in(&output.stderr));
        assert_eq!(leak, None, "the token was printed: {output}");
        let mut searched = self.searched.lock().unwrap();
        for file in files(&self.home.0) {
            let about = std::fs::metadata(&file).unwrap();
            // The search is slow; what has not changed need not be searched again.
            if searched.insert((file.clone(), about.len(), about.modified().unwrap())) {
                let contents = std::fs::read(&file).unwrap();
                assert_eq!(self.token.find_in(&contents), None, "it is in {}", file.display());
            }
        }
    }
}

fn grant() -> CredentialKey {
    "vendor".parse().unwrap()
}

fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("ven_", Alphabet::Alphanumeric, 40)
}

fn run(id: &str, key: &PlaceholderKey) -> Arc<RunContext> {
    let home = "/home/agent".parse().unwrap();
    Arc::new(RunContext::builder(id.parse().unwrap(), home, key.clone()).build())
}

/// Returns the regular files under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// A directory that goes with the test.
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        let name = format!("moat-wild-{}", Canary::shaped("", Alphabet::Alphanumeric, 16).text());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
