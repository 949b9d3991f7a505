//! Files of a workspace that the host itself executes or obeys (law L17): what a run changed there
//! is worth a look before the next command.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use sha2::{Digest, Sha256};

/// Files that programs of the host obey, below a workspace.
const FILES: [&str; 14] = [
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".codex/config.toml",
    ".cursor/mcp.json",
    ".envrc",
    ".gemini/settings.json",
    ".git/config",
    ".git/config.worktree",
    ".gitmodules",
    ".mcp.json",
    ".npmrc",
    ".vscode/settings.json",
    ".vscode/tasks.json",
    "moat.toml",
];

/// Directories whose files programs of the host execute.
const DIRECTORIES: [&str; 3] = [".git/hooks", ".husky", ".claude/hooks"];

/// The most that is read of a file, in bytes; what comes after it is looked at by length alone.
const MOST: u64 = 1024 * 1024;
/// The most files of one directory that are looked at.
const MOST_FILES: usize = 256;

/// What these files held at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched(BTreeMap<PathBuf, [u8; 32]>);

impl Watched {
    /// Looks at a workspace. No link is followed; what cannot be read counts as not there.
    pub(crate) fn look(workspace: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut add = |relative: PathBuf| {
            if let Some(hash) = hash(&workspace.join(&relative)) {
                found.insert(relative, hash);
            }
        };
        FILES.iter().for_each(|file| add(file.into()));
        for directory in DIRECTORIES {
            for name in names(&workspace.join(directory)) {
                add(Path::new(directory).join(name));
            }
        }
        Self(found)
    }

    /// Returns the files that are new, changed or gone since.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<PathBuf> {
        let all = self.0.keys().chain(before.0.keys());
        let mut changed: Vec<_> =
            all.filter(|path| self.0.get(*path) != before.0.get(*path)).cloned().collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

fn hash(path: &Path) -> Option<[u8; 32]> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(openat(CWD, path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    if !found.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).ok()?;
    let hash = Sha256::new().chain_update(found.len().to_be_bytes()).chain_update(text);
    Some(hash.finalize().into())
}

fn names(directory: &Path) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(directory) = openat(CWD, directory, flags, Mode::empty()) else { return Vec::new() };
    let Ok(entries) = Dir::new(directory) else { return Vec::new() };
    let name = |entry: Result<rustix::fs::DirEntry, _>| {
        entry.ok()?.file_name().to_str().ok().map(str::to_owned)
    };
    let names = entries.filter_map(name).filter(|name| name != "." && name != "..");
    names.take(MOST_FILES).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_host_obeys_is_noticed_and_the_rest_is_not() {
        let workspace = tempfile::tempdir().unwrap();
        let path = |name: &str| workspace.path().join(name);
        fs::create_dir_all(path(".git/hooks")).unwrap();
        fs::write(path(".git/config"), "[core]").unwrap();
        fs::write(path(".envrc"), "x").unwrap();
        let before = Watched::look(workspace.path());
        fs::write(path("main.rs"), "fn main() {}").unwrap();
        assert_eq!(
            Watched::look(workspace.path()).changed_since(&before),
            [""; 0].map(PathBuf::from)
        );
        fs::write(path(".git/config"), "[core]\n\tsshCommand = x").unwrap();
        fs::write(path(".git/hooks/pre-push"), "#!/bin/sh").unwrap();
        fs::remove_file(path(".envrc")).unwrap();
        let changed = Watched::look(workspace.path()).changed_since(&before);
        assert_eq!(changed, [".envrc", ".git/config", ".git/hooks/pre-push"].map(PathBuf::from));
    }

    #[test]
    fn a_link_and_a_pipe_are_nothing() {
        let workspace = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", workspace.path().join(".envrc")).unwrap();
        rustix::fs::mknodat(
            CWD,
            workspace.path().join(".npmrc"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(Watched::look(workspace.path()), Watched::default());
    }
}
