//! The composition root: the one place that names the real ports and the real store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use moat_host::{
    ConnectTo, CorporateProxy, EndingSignals, HttpsClient, LoopbackRedirects, SystemClock,
    SystemCommands, SystemEntropy, SystemEnvironment, SystemFiles, SystemTerminal,
};
use moat_provider_core::{
    BoxFuture, Clock, CommandRunner, Entropy, Environment, FileSystem, HttpClient,
    RedirectListener, Secret, Terminal,
};
use moat_proxy::plane::{UpstreamProxy, UpstreamTls};
use moat_store::{CredentialStore, FileStore, GoStore, KeyFile, KeyringEntry, Passphrase, Profile};
use time::OffsetDateTime;

use crate::app::plain_variable;
use crate::args::Globals;
use crate::error::{CliError, Code, Result};
use crate::passphrase;
use crate::system::{System, Upstream};

/// The name of moat's directory in the person's home.
const DIRECTORY: &str = ".moat";

/// Where the key of the store may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyPlace {
    /// In the keyring, or in a file where the machine has none.
    Any,
    Keyring,
    File,
    /// Behind a passphrase that the person knows.
    Passphrase,
}

/// This machine.
#[derive(Debug)]
pub(crate) struct Machine {
    environment: Arc<dyn Environment>,
    store: OnceLock<FileStore>,
    signals: EndingSignals,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            environment: Arc::new(SystemEnvironment),
            store: OnceLock::new(),
            signals: EndingSignals::new(),
        }
    }

    /// The store of the profile, the same for the whole process.
    fn file_store(&self, globals: &Globals) -> Result<FileStore> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let home = self.home()?;
        let mut store = FileStore::builder(&home).profile(profile(globals)?);
        let place = self.key_place()?;
        if matches!(place, KeyPlace::Any | KeyPlace::Keyring) {
            store = store.key_source(Arc::new(KeyringEntry::system()));
        }
        if matches!(place, KeyPlace::Any | KeyPlace::File) {
            store = store.key_source(Arc::new(KeyFile::in_home(&home)));
        }
        if place == KeyPlace::Passphrase {
            let ask = passphrase::asking(Arc::clone(&self.environment), self.terminal(), &home);
            store = store.key_source(Arc::new(Passphrase::in_home(&home, ask)));
        }
        Ok(self.store.get_or_init(|| store.build()).clone())
    }

    fn key_place(&self) -> Result<KeyPlace> {
        match plain_variable(&*self.environment, "MOAT_KEY")?.as_deref() {
            None => Ok(KeyPlace::Any),
            Some("keyring") => Ok(KeyPlace::Keyring),
            Some("file") => Ok(KeyPlace::File),
            Some("passphrase") => Ok(KeyPlace::Passphrase),
            Some(other) => Err(CliError::usage(format!("there is no MOAT_KEY {other:?}"))
                .with_hint("one of: keyring, file, passphrase")),
        }
    }

    fn person_home(&self) -> Result<PathBuf> {
        match plain_variable(&*self.environment, "HOME")? {
            Some(home) => absolute(Path::new(&home)),
            None => Err(CliError::new(
                "neither MOAT_HOME nor HOME is set, so there is no place for credentials",
            )
            .with_hint("export MOAT_HOME=/path/of/a/private/directory")),
        }
    }

    /// Returns the proxy of the company, for hosts of proxied requests.
    fn corporate(&self) -> Result<Option<UpstreamProxy>> {
        let first = |names: [&str; 2]| -> Result<Option<Secret>> {
            for name in names {
                if let Some(url) = self.environment.var(name)?.filter(|url| !url.is_empty()) {
                    return Ok(Some(url));
                }
            }
            Ok(None)
        };
        let Some(url) = first(["HTTPS_PROXY", "https_proxy"])? else { return Ok(None) };
        #[expect(clippy::disallowed_methods, reason = "the proxy's password goes to that proxy")]
        let proxy = UpstreamProxy::parse(url.expose()).map_err(|error| {
            CliError::usage(format!("HTTPS_PROXY: {error}"))
                .with_hint("export HTTPS_PROXY=http://HOST:PORT, or unset it")
        })?;
        let bypass = match plain_variable(&*self.environment, "NO_PROXY")? {
            Some(bypass) => Some(bypass),
            None => plain_variable(&*self.environment, "no_proxy")?,
        };
        let entries = bypass.unwrap_or_default();
        let entries = entries.split(',').map(|entry| entry.trim().to_owned());
        Ok(Some(proxy.bypass(entries.filter(|entry| !entry.is_empty()))))
    }

    /// Starts programs from outside of the current directory: it may be a workspace (law L17).
    fn programs(&self) -> SystemCommands {
        let commands = SystemCommands::new(Arc::clone(&self.environment));
        match std::env::current_dir() {
            Ok(here) => commands.workspace(here),
            Err(_) => commands,
        }
    }
}

impl System for Machine {
    fn environment(&self) -> Arc<dyn Environment> {
        Arc::clone(&self.environment)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::new(SystemEntropy)
    }

    fn terminal(&self) -> Arc<dyn Terminal> {
        Arc::new(SystemTerminal::new(self.programs()).ended_by(self.signals.clone()))
    }

    fn release_signals(&self) {
        self.signals.release();
    }

    fn commands(&self) -> Arc<dyn CommandRunner> {
        Arc::new(self.programs())
    }

    fn files(&self) -> Arc<dyn FileSystem> {
        Arc::new(SystemFiles::new(Arc::clone(&self.environment)))
    }

    fn redirects(&self) -> Arc<dyn RedirectListener> {
        Arc::new(LoopbackRedirects)
    }

    fn http(&self, globals: &Globals) -> Result<Arc<dyn HttpClient>> {
        let mut client = HttpsClient::builder();
        if let Some(file) = &globals.upstream_ca {
            client = client.upstream_ca(file)?;
        }
        let rules: Vec<ConnectTo> =
            globals.connect_to.iter().map(|rule| rule.parse()).collect::<Result<_, _>>()?;
        let proxy = CorporateProxy::from_environment(&*self.environment)?;
        Ok(Arc::new(client.connect_to(rules).proxy(proxy).build()?))
    }

    fn upstream(&self, globals: &Globals) -> Result<Upstream> {
        let mut trusted = String::new();
        let tls = match &globals.upstream_ca {
            None => None,
            Some(file) => {
                let failed = |error: &dyn std::error::Error| {
                    CliError::usage(format!("{} cannot be trusted", file.display()))
                        .with_source(error)
                        .with_hint("pass a file of PEM certificates: --upstream-ca FILE")
                };
                trusted = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
                let tls = UpstreamTls::system().or_else(|_| Ok(UpstreamTls::empty()));
                Some(
                    tls.and_then(|tls| tls.trust_pem(trusted.as_bytes()))
                        .map_err(|error| failed(&error))?,
                )
            }
        };
        let wrong = |error: moat_proxy::plane::SetupError| {
            CliError::usage(error.to_string()).with_hint("--connect-to HOST:PORT:ADDR:PORT")
        };
        let rules = globals.connect_to.iter().map(|rule| rule.parse().map_err(wrong));
        let connect_to = rules.collect::<Result<_>>()?;
        Ok(Upstream { tls, trusted, connect_to, proxy: self.corporate()? })
    }

    fn bridge(&self) -> Result<PathBuf> {
        if let Some(bridge) = plain_variable(&*self.environment, "MOAT_BRIDGE")? {
            return absolute(Path::new(&bridge));
        }
        let own = std::env::current_exe().map_err(|error| {
            CliError::new("it is not known where this program is").with_source(&error)
        })?;
        // The small program of its own is there where moat was installed; it alone runs in images of
        // other systems.
        let beside = own.with_file_name(moat_bridge::NAME);
        Ok(if beside.is_file() { beside } else { own })
    }

    fn is_interactive(&self) -> bool {
        use std::io::IsTerminal;
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    fn home(&self) -> Result<PathBuf> {
        if let Some(home) = plain_variable(&*self.environment, "MOAT_HOME")? {
            return absolute(Path::new(&home));
        }
        Ok(self.person_home()?.join(DIRECTORY))
    }

    fn store(&self, globals: &Globals) -> Result<Arc<dyn CredentialStore>> {
        Ok(Arc::new(self.file_store(globals)?))
    }

    fn unlock<'a>(&'a self, globals: &'a Globals) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async {
            let unlocked = self.file_store(globals)?.unlock().await?;
            Ok(unlocked.is_new().then(|| unlocked.to_string()))
        })
    }

    fn key<'a>(&'a self, globals: &'a Globals) -> BoxFuture<'a, Result<String>> {
        Box::pin(async {
            let unlocked = self.file_store(globals)?.unlock().await?;
            Ok(unlocked.description().to_owned())
        })
    }

    fn installed_at(&self) -> Option<OffsetDateTime> {
        let own = std::env::current_exe().ok()?;
        Some(std::fs::metadata(own).ok()?.modified().ok()?.into())
    }

    fn go_store(&self, directory: Option<&Path>, globals: &Globals) -> Result<GoStore> {
        let directory = match directory {
            Some(directory) => absolute(directory)?,
            None => self.person_home()?.join(DIRECTORY),
        };
        let mut store = GoStore::at(&directory);
        if matches!(self.key_place()?, KeyPlace::Any | KeyPlace::Keyring) {
            store = store.with_keyring();
        }
        let profile = profile(globals)?;
        Ok(if profile.is_default() { store } else { store.profile(&profile) })
    }

    fn secret_from_stdin(&self) -> BoxFuture<'_, Result<Secret>> {
        Box::pin(async { Ok(moat_host::read_secret_from_stdin().await?) })
    }
}

fn profile(globals: &Globals) -> Result<Profile> {
    match &globals.profile {
        Some(name) => {
            Ok(name.parse().map_err(|error| CliError::from(error).with_code(Code::Usage))?)
        }
        None => Ok(Profile::default()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        CliError::usage(format!("{} is no directory for credentials", path.display()))
            .with_source(&error)
            .with_hint("export MOAT_HOME=/path/of/a/private/directory")
    })
}
