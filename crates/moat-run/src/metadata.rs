//! What is kept of a run: `metadata.json`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use moat_provider_core::{CredentialKey, RunId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::state::failed;
use crate::{Result, RunError, RunErrorKind};

const FILE: &str = "metadata.json";
/// More is no metadata of ours.
const MAX_BYTES: u64 = 1024 * 1024;

/// What is kept of a run, also after its end. It holds no secret.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMetadata {
    /// The run.
    #[serde(with = "text")]
    pub id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// The workspace on the host.
    pub workspace: String,
    /// The grants, in the order in which the person named them.
    pub grants: Vec<String>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How to ask for such a run again, as [`RunRequest::options`](crate::RunRequest::options) had it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The names of the variables that the person set for the run. Their values are not kept: they
    /// may be secrets of which nobody here knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// The kind of sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The socket at which a sandbox that takes visitors listens for
    /// [`sandbox::visit`](crate::sandbox::visit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits: Option<PathBuf>,
    /// The process that owns the run.
    pub pid: u32,
    /// When it was prepared.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it stopped.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub stopped_at: Option<OffsetDateTime>,
    /// The exit code of its command; 128 and the signal's number when one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What the hooks of providers returned, by provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_meta: BTreeMap<String, BTreeMap<String, String>>,
    /// What the agent keeps for its hook.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agent_state: BTreeMap<String, String>,
}

/// Where a run stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It is prepared, and may have started.
    Running,
    /// It came to its end.
    Stopped,
    /// Its process died before its end.
    Killed,
}

impl RunMetadata {
    /// Describes a run that begins.
    pub(crate) fn new(id: RunId, workspace: &Path, created_at: OffsetDateTime) -> Self {
        Self {
            id,
            state: RunState::Running,
            workspace: workspace.display().to_string(),
            grants: Vec::new(),
            agent: None,
            command: Vec::new(),
            options: Vec::new(),
            variables: Vec::new(),
            sandbox: None,
            visits: None,
            pid: std::process::id(),
            created_at,
            stopped_at: None,
            exit_code: None,
            provider_meta: BTreeMap::new(),
            agent_state: BTreeMap::new(),
        }
    }

    /// Returns the grants that can still be read as keys.
    pub fn keys(&self) -> impl Iterator<Item = CredentialKey> + '_ {
        self.grants.iter().filter_map(|grant| grant.parse().ok())
    }

    /// Returns the id of the agent's conversation, which [`Session::Resume`] opens again.
    ///
    /// It is what the agent's hook returned as `AGENT_session_id`, with the agent's name in the
    /// place of `AGENT`, or, as long as the run has not stopped, what the agent keeps under that
    /// name from the start.
    ///
    /// [`Session::Resume`]: moat_provider_core::Session::Resume
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        let agent = self.agent.as_ref()?;
        let name = session_name(agent);
        let of_hook = self.provider_meta.get(agent).and_then(|meta| meta.get(&name));
        of_hook.or_else(|| self.agent_state.get(&name)).map(String::as_str)
    }

    /// Forgets the conversation, in a run whose command is not the agent's own: nobody was told its
    /// id.
    pub(crate) fn forget_session(&mut self) {
        if let Some(agent) = &self.agent {
            self.agent_state.remove(&session_name(agent));
        }
    }

    /// Reads the metadata in the directory of a run.
    ///
    /// # Errors
    ///
    /// [`RunErrorKind::NotFound`] when there is none, [`RunErrorKind::Io`] when it cannot be read.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(FILE);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() && found.len() <= MAX_BYTES => {}
            Ok(_) => return Err(damaged(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no run in {}", run.display());
                return Err(RunError::new(RunErrorKind::NotFound, message).with_hint("moat runs"));
            }
            Err(error) => return Err(failed("read", &path, error)),
        }
        let text = fs::read(&path).map_err(|error| failed("read", &path, error))?;
        serde_json::from_slice(&text).map_err(|error| damaged(&path).with_source(error))
    }

    /// Writes the metadata; the earlier text is there until the new one is whole.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        let (path, new) = (run.join(FILE), run.join("metadata.new"));
        let write = || -> io::Result<()> {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&new)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| failed("write", &path, error))
    }
}

fn session_name(agent: &str) -> String {
    format!("{agent}_session_id")
}

fn damaged(path: &Path) -> RunError {
    RunError::new(RunErrorKind::Io, format!("{} is damaged", path.display()))
        .with_hint(format!("rm {}", path.display()))
}

/// Writes a value as its text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_a_round_trip_and_a_new_field() {
        let directory = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let mut metadata = RunMetadata::new("run-1".parse().unwrap(), Path::new("/w"), now);
        metadata.grants = vec!["github".into(), "NOT A KEY".into()];
        metadata.write(directory.path()).unwrap();
        assert_eq!(RunMetadata::read(directory.path()).unwrap(), metadata);
        assert_eq!(metadata.keys().count(), 1);
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap().replacen('{', "{\"later\": 1,", 1);
        fs::write(&path, text).unwrap();
        assert_eq!(RunMetadata::read(directory.path()).unwrap(), metadata);
    }

    #[test]
    fn the_conversation_is_that_of_the_hook_or_else_of_the_start() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut metadata = RunMetadata::new("run-1".parse().unwrap(), Path::new("/w"), now);
        let id = |text: &str| [("toy_session_id".to_owned(), text.to_owned())].into();
        metadata.agent_state = id("a");
        metadata.provider_meta = [("other".to_owned(), id("b"))].into();
        assert_eq!(metadata.session(), None);
        metadata.agent = Some("toy".to_owned());
        assert_eq!(metadata.session(), Some("a"));
        metadata.provider_meta.insert("toy".to_owned(), id("c"));
        assert_eq!(metadata.session(), Some("c"));
        metadata.provider_meta.clear();
        metadata.forget_session();
        assert_eq!(metadata.session(), None);
    }

    #[test]
    fn what_is_not_there_and_what_is_damaged_differ() {
        let directory = tempfile::tempdir().unwrap();
        let kind = || RunMetadata::read(directory.path()).unwrap_err().kind();
        assert_eq!(kind(), RunErrorKind::NotFound);
        fs::write(directory.path().join(FILE), "{").unwrap();
        assert_eq!(kind(), RunErrorKind::Io);
    }
}
