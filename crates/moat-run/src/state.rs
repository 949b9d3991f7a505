//! Where a host keeps what belongs to runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use moat_provider_core::{Entropy, RunId};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::remove::remove_tree;
use crate::sandbox::VISITS_SOCKET;
use crate::{Result, RunError, RunErrorKind};

/// The longest path that a Unix socket can have on Linux: `sun_path` of unix(7) with its NUL is 108
/// bytes.
const SOCKET_PATH: usize = 107;

/// The directory in which a host keeps what belongs to runs.
///
/// | path | what it is |
/// |---|---|
/// | `runs/ID/` | one run, mode 0700 |
/// | `runs/ID/lock` | locked for as long as the process of the run lives |
/// | `runs/ID/metadata.json` | [`RunMetadata`](crate::RunMetadata) |
/// | `runs/ID/requests.jsonl` | what the proxy saw, one line of JSON for each request |
/// | `runs/ID/stage/` | what the container is given; removed when the run ends |
/// | `workspaces/HASH/` | what a provider or a person keeps for a workspace across runs |
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// Names the directory. Nothing is made before the first run.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the directory of a run, whether it is there or not.
    #[must_use]
    pub fn run(&self, id: &RunId) -> PathBuf {
        self.0.join("runs").join(id.as_str())
    }

    /// Returns the identities of all runs that left something, in no order.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::Io`] when the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>> {
        let directory = self.0.join("runs");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &directory, error)),
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        Ok(entries.filter_map(name).collect())
    }

    /// Whether the process of a run lives.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::Io`] when that cannot be seen.
    pub fn is_alive(&self, id: &RunId) -> Result<bool> {
        let path = self.run(id);
        Ok(path.join("lock").exists() && lock(&path)?.is_none())
    }

    /// Whether neither the directory is reached by this path nor the path by the directory, all links
    /// followed.
    pub(crate) fn is_apart(&self, path: &Path) -> bool {
        let (path, state) = (real(path), real(&self.0));
        !state.starts_with(&path) && !path.starts_with(&state)
    }

    /// Makes the directory of what is kept for a workspace under a name.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::Io`] when it cannot be made.
    pub fn of_workspace(&self, workspace: &Path, name: &str) -> Result<PathBuf> {
        let hash = Sha256::digest(workspace.as_os_str().as_bytes());
        let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = self.0.join("workspaces").join(hash).join(name);
        private_dir(&path)?;
        Ok(path)
    }
}

/// The longest of the names that sockets of a run have.
const LONGEST: &str = "publish.sock";

/// The directory of one run that this process owns.
#[derive(Debug)]
pub(crate) struct RunDir {
    id: RunId,
    path: PathBuf,
    /// Where the socket is when the path to it would be too long.
    short: Option<tempfile::TempDir>,
    /// Whether there is something to keep of the run when this is dropped.
    is_kept: bool,
    /// Locked until this process ends, however it ends.
    _lock: File,
}

impl RunDir {
    /// Draws an identity and makes its directory.
    pub(crate) fn create(state: &StateDir, entropy: &dyn Entropy) -> Result<Self> {
        let runs = state.0.join("runs");
        private_dir(&runs)?;
        loop {
            let id = draw_id(entropy)?;
            let path = runs.join(id.as_str());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self::own(id, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", &path, error)),
            }
        }
    }

    fn own(id: RunId, path: PathBuf) -> Result<Self> {
        let lock = lock(&path)?.ok_or_else(|| {
            RunError::new(RunErrorKind::Io, format!("the run {id} belongs to another process"))
        })?;
        private_dir(&path.join("stage"))?;
        let is_long = path.join(LONGEST).as_os_str().len() > SOCKET_PATH;
        let short = is_long.then(|| tempfile::Builder::new().prefix("moat-").tempdir());
        let short = short.transpose().map_err(|error| failed("make", &path, error))?;
        Ok(Self { id, path, short, is_kept: false, _lock: lock })
    }

    pub(crate) fn id(&self) -> &RunId {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where what the container is given stands.
    pub(crate) fn stage(&self) -> PathBuf {
        self.path.join("stage")
    }

    /// Where the proxy listens for this run.
    pub(crate) fn socket(&self) -> PathBuf {
        self.short.as_ref().map_or(&*self.path, tempfile::TempDir::path).join("proxy.sock")
    }

    /// Keeps what is left of the run when this is dropped; without this all of it goes.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        let removed = if self.is_kept { clear(&self.path) } else { remove_tree(&self.path) };
        if let Err(error) = removed {
            tracing::warn!(%error, run = %self.id, "what the run left cannot be removed");
        }
    }
}

/// Takes the lock of a run; none when the process of the run lives.
pub(crate) fn lock(run: &Path) -> Result<Option<File>> {
    let path = run.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("open", &path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed("lock", &path, error.into())),
    }
}

/// Removes from the directory of a run what only a run that lives needs.
pub(crate) fn clear(run: &Path) -> io::Result<()> {
    remove_tree(&run.join("stage"))?;
    for socket in ["proxy.sock", LONGEST, VISITS_SOCKET] {
        remove_file(&run.join(socket))?;
    }
    Ok(())
}

/// Follows the links of a path, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let mut there = path.ancestors();
    let found = there.find_map(|at| Some((at, at.canonicalize().ok()?)));
    let real = found.and_then(|(at, real)| Some(real.join(path.strip_prefix(at).ok()?)));
    // Joined with nothing, a file would end with a slash.
    real.map_or_else(|| path.to_owned(), |real| real.components().collect())
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a directory, and those above it, for this user alone.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("make", path, error))
}

/// Makes the error of a file operation.
pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> RunError {
    RunError::new(RunErrorKind::Io, format!("cannot {what} {}", path.display())).with_source(error)
}

fn draw_id(entropy: &dyn Entropy) -> Result<RunId> {
    let mut bytes = [0; 6];
    entropy.fill(&mut bytes)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("run-{hex}").parse()?)
}

#[cfg(test)]
mod tests {
    use moat_provider_testkit::Ports;

    use super::*;

    fn entropy() -> std::sync::Arc<dyn Entropy> {
        std::sync::Arc::clone(Ports::new().host_context().entropy())
    }

    #[test]
    fn a_run_is_locked_while_its_process_lives() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::new(directory.path());
        let mut run = RunDir::create(&state, &*entropy()).unwrap();
        run.keep();
        assert_eq!(state.runs().unwrap(), [run.id().clone()]);
        assert!(lock(run.path()).unwrap().is_none());
        let path = run.path().to_owned();
        drop(run);
        assert!(lock(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_not_a_run_is_not_listed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::new(directory.path());
        assert!(state.runs().unwrap().is_empty());
        fs::create_dir_all(directory.path().join("runs/NOT A RUN")).unwrap();
        assert!(state.runs().unwrap().is_empty());
    }

    #[test]
    fn a_socket_has_a_short_path_wherever_the_state_is() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::new(directory.path().join("long-".repeat(30)));
        let run = RunDir::create(&state, &*entropy()).unwrap();
        assert!(run.socket().as_os_str().len() <= SOCKET_PATH, "{:?}", run.socket());
        std::os::unix::net::UnixListener::bind(run.socket()).unwrap();
    }

    #[test]
    fn what_leads_to_the_state_is_not_apart_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("real/home")).unwrap();
        fs::create_dir(path("project")).unwrap();
        std::os::unix::fs::symlink(path("real/home"), path("link")).unwrap();
        // It is not made yet.
        let state = StateDir::new(path("link").join(".moat"));
        for near in ["real", "real/home", "link", "link/.moat", "real/home/.moat/master.key"] {
            assert!(!state.is_apart(&path(near)), "{near}");
        }
        for far in ["project", "real/home/other", "real/home/.moat2"] {
            assert!(state.is_apart(&path(far)), "{far}");
        }
    }

    #[test]
    fn two_workspaces_keep_things_apart() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::new(directory.path());
        let one = state.of_workspace(Path::new("/a"), "home").unwrap();
        assert_eq!(one, state.of_workspace(Path::new("/a"), "home").unwrap());
        assert_ne!(one, state.of_workspace(Path::new("/b"), "home").unwrap());
    }
}
