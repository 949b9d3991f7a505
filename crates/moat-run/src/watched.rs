//! Files of a workspace that the host itself executes or obeys (law L17): what a run changed there
//! is worth a look before the next command.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use sha2::{Digest, Sha256};

/// Files that programs of the host obey, below a workspace. `.git` is one in a worktree and in a
/// submodule.
const FILES: [&str; 23] = [
    ".cargo/config.toml",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".codex/config.toml",
    ".cursor/hooks.json",
    ".cursor/mcp.json",
    ".devcontainer.json",
    ".devcontainer/devcontainer.json",
    ".envrc",
    ".gemini/settings.json",
    ".git",
    ".git/config",
    ".git/config.worktree",
    ".gitmodules",
    ".mcp.json",
    ".npmrc",
    ".vscode/launch.json",
    ".vscode/mcp.json",
    ".vscode/settings.json",
    ".vscode/tasks.json",
    ".yarnrc.yml",
    "moat.toml",
    "opencode.json",
];

/// Directories whose files programs of the host execute.
const DIRECTORIES: [&str; 6] =
    [".claude/agents", ".claude/commands", ".claude/hooks", ".git/hooks", ".githooks", ".husky"];

/// Where git keeps the repositories of submodules, each with configuration and hooks of its own.
const MODULES: &str = ".git/modules";

/// The most that is read of a file, in bytes; of what comes after it the time of the last change
/// counts.
const MOST: u64 = 1024 * 1024;
/// The most entries of one directory that are looked at. That there are more is noticed.
const MOST_FILES: usize = 1024;

/// What these files held at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched(BTreeMap<PathBuf, [u8; 32]>);

impl Watched {
    /// Looks at a workspace. No link leads out of it; that there is a link, and where it leads, counts
    /// as what a file holds. What cannot be read counts as not there.
    pub(crate) fn look(workspace: &Path) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = openat(CWD, workspace, flags, Mode::empty()) else { return Self::default() };
        let mut look = Look { root, found: BTreeMap::new() };
        FILES.iter().for_each(|file| look.file(Path::new(file)));
        DIRECTORIES.iter().for_each(|directory| look.directory(Path::new(directory)));
        for name in look.names(Path::new(MODULES)) {
            let module = Path::new(MODULES).join(name);
            look.file(&module.join("config"));
            look.directory(&module.join("hooks"));
        }
        Self(look.found)
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

/// A look at a workspace.
struct Look {
    root: OwnedFd,
    found: BTreeMap<PathBuf, [u8; 32]>,
}

impl Look {
    fn directory(&mut self, path: &Path) {
        // Git follows a link in the place of the directory.
        self.file(path);
        for name in self.names(path) {
            self.file(&path.join(name));
        }
    }

    fn file(&mut self, path: &Path) {
        let link = readlinkat(&self.root, path, Vec::new()).ok();
        let contents = self.contents(path);
        if link.is_none() && contents.is_none() {
            return;
        }
        let hash = Sha256::new()
            .chain_update([u8::from(link.is_some()), u8::from(contents.is_some())])
            .chain_update(Sha256::digest(link.unwrap_or_default().as_bytes()))
            .chain_update(contents.unwrap_or_default());
        self.found.insert(path.to_owned(), hash.finalize().into());
    }

    /// Returns a hash of what a regular file holds.
    fn contents(&self, path: &Path) -> Option<[u8; 32]> {
        let file = std::fs::File::from(self.open(path, OFlags::NONBLOCK)?);
        let found = file.metadata().ok()?;
        if !found.is_file() {
            return None;
        }
        let mut hash = Sha256::new().chain_update(found.len().to_be_bytes());
        if found.len() > MOST {
            use std::os::unix::fs::MetadataExt;
            hash.update(found.ctime().to_be_bytes());
            hash.update(found.ctime_nsec().to_be_bytes());
        }
        let mut text = Vec::new();
        file.take(MOST).read_to_end(&mut text).ok()?;
        Some(hash.chain_update(text).finalize().into())
    }

    /// Returns the names in a directory, in no order; notices when there are more than are looked at.
    fn names(&mut self, path: &Path) -> Vec<OsString> {
        let directory = self.open(path, OFlags::DIRECTORY);
        let Some(Ok(entries)) = directory.map(Dir::new) else { return Vec::new() };
        let name = |entry: Result<rustix::fs::DirEntry, _>| {
            Some(OsStr::from_bytes(entry.ok()?.file_name().to_bytes()).to_owned())
        };
        let names = entries.filter_map(name).filter(|name| name != "." && name != "..");
        let mut names: Vec<_> = names.take(MOST_FILES + 1).collect();
        if names.len() > MOST_FILES {
            names.pop();
            self.found.insert(path.to_owned(), Sha256::digest("more").into());
        }
        names
    }

    /// Opens what is there, by links that stay in the workspace.
    fn open(&self, path: &Path, flags: OFlags) -> Option<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path, flags, Mode::empty(), resolve).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

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
    fn a_pipe_is_nothing_and_no_link_leads_out() {
        let workspace = tempfile::tempdir().unwrap();
        let path = |name: &str| workspace.path().join(name);
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("x");
        fs::write(&target, "one").unwrap();
        symlink(&target, path(".envrc")).unwrap();
        symlink(outside.path(), path(".git")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, path(".npmrc"), pipe, mode, 0).unwrap();
        let before = Watched::look(workspace.path());
        assert_eq!(before.0.keys().collect::<Vec<_>>(), [".envrc", ".git"].map(Path::new));
        fs::write(&target, "two").unwrap();
        fs::write(outside.path().join("config"), "[core]").unwrap();
        assert_eq!(Watched::look(workspace.path()), before);
    }

    #[test]
    fn what_git_executes_by_a_link_is_noticed() {
        let workspace = tempfile::tempdir().unwrap();
        let path = |name: &str| workspace.path().join(name);
        fs::create_dir_all(path(".git/hooks")).unwrap();
        fs::create_dir_all(path("evil")).unwrap();
        fs::write(path("evil/pre-commit"), "#!/bin/sh").unwrap();
        let look = || Watched::look(workspace.path());
        let before = look();
        symlink("../../evil/pre-commit", path(".git/hooks/pre-commit")).unwrap();
        assert_eq!(look().changed_since(&before), [Path::new(".git/hooks/pre-commit")]);
        let before = look();
        fs::write(path("evil/pre-commit"), "#!/bin/bash").unwrap();
        assert_eq!(look().changed_since(&before), [Path::new(".git/hooks/pre-commit")]);
        fs::remove_dir_all(path(".git/hooks")).unwrap();
        let before = look();
        symlink("../evil", path(".git/hooks")).unwrap();
        let expected = [".git/hooks", ".git/hooks/pre-commit"].map(Path::new);
        assert_eq!(look().changed_since(&before), expected);
        fs::remove_dir_all(path(".git")).unwrap();
        let before = look();
        fs::write(path(".git"), "gitdir: evil").unwrap();
        assert_eq!(look().changed_since(&before), [Path::new(".git")]);
    }

    #[test]
    fn nothing_hides_among_many_or_behind_much() {
        let workspace = tempfile::tempdir().unwrap();
        let path = |name: &str| workspace.path().join(name);
        let look = || Watched::look(workspace.path());
        fs::create_dir_all(path(".husky")).unwrap();
        fs::create_dir_all(path(".git/modules/sub/hooks")).unwrap();
        let mut text = vec![b'#'; 2 * MOST as usize];
        fs::write(path(".envrc"), &text).unwrap();
        let before = look();
        *text.last_mut().unwrap() = b'!';
        let changed = || {
            let found = fs::metadata(path(".envrc")).unwrap();
            (std::os::unix::fs::MetadataExt::ctime(&found), found.modified().unwrap())
        };
        let written = changed();
        // The clock of the file system may not have moved yet.
        while changed() == written {
            fs::write(path(".envrc"), &text).unwrap();
        }
        fs::write(path(".git/modules/sub/config"), "[core]").unwrap();
        fs::write(path(".git/modules/sub/hooks/post-checkout"), "").unwrap();
        (0..=MOST_FILES).for_each(|n| fs::write(path(&format!(".husky/{n}")), "").unwrap());
        let changed = look().changed_since(&before);
        for name in
            [".envrc", ".git/modules/sub/config", ".git/modules/sub/hooks/post-checkout", ".husky"]
        {
            assert!(changed.iter().any(|path| path == Path::new(name)), "{name}: {changed:?}");
        }
    }
}
