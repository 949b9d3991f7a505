//! Conversations: their ids, and where they are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use moat_provider_core::{
    ContainerPath, Entropy, Error, MountAccess, MountConfig, MountSource, ProviderName, Result,
    Session,
};

/// The id of a conversation: a UUID in lower case (RFC 9562, section 4).
///
/// Ids come back from containers and from people, and become arguments and names of files: nothing
/// but a UUID is ever one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// Draws an id (RFC 9562, section 5.4: version 4).
    ///
    /// # Errors
    ///
    /// Those of the port.
    pub fn random(entropy: &dyn Entropy) -> Result<Self> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        Ok(Self(text))
    }

    /// Returns the id of the conversation that an agent is about to open: a new one is given an id, and
    /// a resumed one has it. Which is the latest one, the agent alone knows: `None`.
    ///
    /// # Errors
    ///
    /// Those of the port, and
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) for what is no id.
    pub fn of_session(session: &Session, entropy: &dyn Entropy) -> Result<Option<Self>> {
        match session {
            Session::Fresh => Self::random(entropy).map(Some),
            Session::Resume(id) => id.parse().map(Some),
            _ => Ok(None),
        }
    }

    /// Reads the id out of what a run kept under a name. Anything but an id is none.
    #[must_use]
    pub fn kept(state: &BTreeMap<String, String>, name: &str) -> Option<Self> {
        state.get(name)?.parse().ok()
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::invalid("this is not the id of a conversation")
                .with_hint("an id looks like 01234567-89ab-4def-8123-456789abcdef")),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where an agent's conversations are kept.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionStore {
    /// A directory that the host keeps for the workspace, across runs. No conversation that the
    /// person had outside is in it, and none of it is read outside.
    #[default]
    Private,
    /// A directory of the person's own agent. The container reads every conversation in it and may
    /// change them, and what it writes there the agent outside reads later.
    Shared(PathBuf),
}

impl SessionStore {
    /// Returns the mount that puts the conversations where the agent looks for them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the shared
    /// directory is not absolute, has dot segments, or is hardly deeper than a home directory.
    pub fn mount(&self, agent: &ProviderName, target: ContainerPath) -> Result<MountConfig> {
        let source = match self {
            Self::Private => MountSource::PrivateToWorkspace(format!("{agent}-sessions")),
            Self::Shared(directory) if is_narrow(directory) => MountSource::Host(directory.clone()),
            Self::Shared(directory) => {
                return Err(Error::invalid(format!(
                    "{:?} is not a directory of conversations alone",
                    directory.display().to_string()
                ))
                .with_hint("name the directory of one workspace, with its absolute path"));
            }
        };
        Ok(MountConfig::new(source, target, MountAccess::ReadWrite))
    }
}

/// Conversations of one workspace lie below a directory of the agent below the home directory.
fn is_narrow(directory: &Path) -> bool {
    const LEAST_DEPTH: usize = 4;
    let mut depth = 0;
    for component in directory.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::RootDir | Component::Prefix(_) => {}
            Component::CurDir | Component::ParentDir => return false,
        }
    }
    directory.is_absolute() && depth >= LEAST_DEPTH
}
