//! What the commands need of the machine and the person.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{
    BoxFuture, Clock, CommandRunner, Entropy, Environment, FileSystem, HttpClient,
    RedirectListener, Secret, Terminal,
};
use moat_proxy::plane::{ConnectTo, UpstreamProxy, UpstreamTls};
use moat_store::{CredentialStore, GoStore};
use time::OffsetDateTime;

use crate::args::Globals;
use crate::error::Result;

/// How proxied requests reach hosts.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    pub(crate) tls: Option<UpstreamTls>,
    /// The authorities of `--upstream-ca`, as PEM.
    pub(crate) trusted: String,
    pub(crate) connect_to: Vec<ConnectTo>,
    pub(crate) proxy: Option<UpstreamProxy>,
}

/// What the commands need of the machine and the person. Each is made when it is asked for: a
/// command that sends nothing reads no certificate authorities.
pub(crate) trait System {
    /// The environment of this process.
    fn environment(&self) -> Arc<dyn Environment>;

    /// The clock.
    fn clock(&self) -> Arc<dyn Clock>;

    /// The source of random bytes.
    fn entropy(&self) -> Arc<dyn Entropy>;

    /// The person.
    fn terminal(&self) -> Arc<dyn Terminal>;

    /// Leaves `SIGTERM` and `SIGHUP` to the command, which listens to them from now on. Before, they
    /// end this process, and the terminal has its modes back.
    fn release_signals(&self);

    /// The starter of programs.
    fn commands(&self) -> Arc<dyn CommandRunner>;

    /// The reader of files.
    fn files(&self) -> Arc<dyn FileSystem>;

    /// The listener for redirects.
    fn redirects(&self) -> Arc<dyn RedirectListener>;

    /// The client for vendors.
    ///
    /// # Errors
    ///
    /// When a flag about it makes no sense, or there is nothing to trust.
    fn http(&self, globals: &Globals) -> Result<Arc<dyn HttpClient>>;

    /// How proxied requests reach hosts.
    ///
    /// # Errors
    ///
    /// When a flag about it makes no sense.
    fn upstream(&self, globals: &Globals) -> Result<Upstream>;

    /// The program that is the first in a sandbox.
    ///
    /// # Errors
    ///
    /// When it is not known where this program is.
    fn bridge(&self) -> Result<PathBuf>;

    /// Whether a person can be asked.
    fn is_interactive(&self) -> bool;

    /// Where all state is.
    ///
    /// # Errors
    ///
    /// When that is not known.
    fn home(&self) -> Result<PathBuf>;

    /// The store of the profile.
    ///
    /// # Errors
    ///
    /// When the profile's name makes no sense, and those of [`home`](Self::home).
    fn store(&self, globals: &Globals) -> Result<Arc<dyn CredentialStore>>;

    /// Opens the key of the store, and returns a sentence about it where it was made just now.
    ///
    /// # Errors
    ///
    /// Those of [`store`](Self::store), and when the key cannot be had.
    fn unlock<'a>(&'a self, globals: &'a Globals) -> BoxFuture<'a, Result<Option<String>>>;

    /// Describes the place of the store's key: "the key file /home/…". To be asked where there are
    /// credentials: without any, a key would be made.
    ///
    /// # Errors
    ///
    /// Those of [`unlock`](Self::unlock).
    fn key<'a>(&'a self, globals: &'a Globals) -> BoxFuture<'a, Result<String>>;

    /// When this program came to this machine, as far as its file tells.
    fn installed_at(&self) -> Option<OffsetDateTime>;

    /// Names the store of an earlier moat, in a directory or where that moat has it.
    ///
    /// # Errors
    ///
    /// Those of [`store`](Self::store).
    fn go_store(&self, directory: Option<&Path>, globals: &Globals) -> Result<GoStore>;

    /// Reads a secret from standard input, without the white space around it.
    ///
    /// # Errors
    ///
    /// When there is none, or too much.
    fn secret_from_stdin(&self) -> BoxFuture<'_, Result<Secret>>;
}
