//! The last look before a container starts: no secret of the run is in what it gets (law L2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use moat_provider_core::{CredentialKey, Error, SecretRef, Secrets};
use moat_proxy::scrub::Scrubber;

use crate::{Result, RunError, RunErrorKind};

/// Looks for the secrets of a run, in every form in which scrubbing knows them.
#[derive(Debug)]
pub(crate) struct LeakSearch(Scrubber);

impl LeakSearch {
    pub(crate) fn new(secrets: &BTreeMap<CredentialKey, Secrets>) -> Result<Self, Error> {
        let mut scrubber = Scrubber::builder();
        for (key, secrets) in secrets {
            for (name, secret) in secrets.iter() {
                scrubber = scrubber.secret(SecretRef::new(key, name.clone()), secret, 0);
            }
        }
        Ok(Self(scrubber.build()?))
    }

    /// Returns a secret that a text holds.
    pub(crate) fn find(&self, text: &[u8]) -> Option<SecretRef> {
        if self.0.is_empty() {
            return None;
        }
        let mut stream = self.0.text();
        // What comes out is of no interest.
        _ = stream.push(Bytes::copy_from_slice(text));
        _ = stream.finish();
        stream.found().hits().first().map(|hit| hit.secret().clone())
    }

    /// Refuses a text that holds a secret.
    pub(crate) fn check(&self, what: &str, text: &[u8]) -> Result<()> {
        match self.find(text) {
            None => Ok(()),
            Some(secret) => Err(RunError::new(
                RunErrorKind::Leak,
                format!("{what} would hand the secret {secret} to the sandbox"),
            )
            .with_hint("leave it out: inside of the sandbox its placeholder does the same")),
        }
    }

    /// Returns files of a workspace, of the usual places, that hold a secret.
    pub(crate) fn in_workspace(&self, workspace: &Path) -> Vec<(PathBuf, SecretRef)> {
        USUAL_PLACES
            .iter()
            .map(|place| workspace.join(place))
            .filter_map(|path| {
                let secret = self.find(&read_regular(&path)?)?;
                Some((path, secret))
            })
            .collect()
    }
}

/// Where people keep secrets in a workspace.
const USUAL_PLACES: [&str; 10] = [
    ".env",
    ".env.local",
    ".envrc",
    ".git/config",
    ".mcp.json",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".yarnrc.yml",
    ".claude/settings.local.json",
];

/// The most that is read of a file of the workspace, in bytes.
const MOST: u64 = 1024 * 1024;

/// Reads a file of which a container is the owner: a regular one, and not without bound.
fn read_regular(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;

    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(openat(CWD, path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use moat_provider_core::SecretName;
    use moat_provider_testkit::Canary;

    use super::*;

    fn search(canary: &Canary) -> LeakSearch {
        let key: CredentialKey = "github".parse().unwrap();
        let secrets = Secrets::from_iter([(SecretName::TOKEN, canary.secret())]);
        LeakSearch::new(&BTreeMap::from([(key, secrets)])).unwrap()
    }

    #[test]
    fn a_secret_is_found_as_it_is_and_encoded() {
        let canary = Canary::with_prefix("ghp_");
        let search = search(&canary);
        assert!(search.find(b"GH_TOKEN=placeholder").is_none());
        let basic = format!("x-access-token:{}", canary.text());
        for form in [canary.text().to_owned(), STANDARD.encode(basic)] {
            assert!(search.find(format!("a {form} b").as_bytes()).is_some());
        }
        let error = search.check("the variable X", canary.text().as_bytes()).unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Leak);
        assert!(canary.find_in_str(&format!("{error:?} {error}")).is_none());
    }

    #[test]
    fn usual_places_of_a_workspace_are_searched_without_following_links() {
        let canary = Canary::with_prefix("ghp_");
        let (workspace, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = canary.text();
        std::fs::write(workspace.path().join(".env"), text).unwrap();
        std::fs::write(outside.path().join("x"), text).unwrap();
        let link = workspace.path().join(".npmrc");
        std::os::unix::fs::symlink(outside.path().join("x"), link).unwrap();
        let found = search(&canary).in_workspace(workspace.path());
        assert_eq!(found.len(), 1);
        assert!(found[0].0.ends_with(".env"));
    }
}
