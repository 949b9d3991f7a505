//! Programs that a person has installed elsewhere than the system: below the home directory, with a
//! version manager, with a package manager of a language.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use moat_provider_core::{ContainerPath, MountAccess, StagedFile};

use super::lookup::SYSTEM;
use crate::{Bind, Result};

/// The directory that a sandbox's `PATH` begins with when it has such programs.
pub const INSTALLED: &str = "/run/moat/bin";

/// How many interpreters of interpreters are looked for.
const DEPTH: usize = 3;

/// A program of the person's, and what of the host it needs.
///
/// As little as possible is shown: a program that is one file alone is that file, a package of npm's
/// is the directory of the package, and what was installed with a prefix of its own
/// (`.../versions/node/v22/bin/node`) is the prefix. A directory that stands directly in the home
/// directory, such as `~/.cargo`, is never shown: it may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    name: String,
    program: PathBuf,
    shown: Vec<PathBuf>,
}

impl Installed {
    /// Finds a program on the person's `PATH`, with the interpreters that it names. Nothing when
    /// there is none, and nothing when every sandbox has it.
    ///
    /// Relative entries of the path do not count, nor does what stands in a `foreign` directory, such
    /// as the workspace, or leads there: a script from there would name what of the host is shown.
    #[must_use]
    pub fn find(name: &str, path: &OsStr, home: Option<&Path>, foreign: &[PathBuf]) -> Vec<Self> {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let foreign: Vec<_> = foreign.iter().map(|directory| real(directory)).collect();
        let mut search = Search { path, home, foreign: &foreign, found: Vec::new() };
        search.add(name, DEPTH);
        search.found
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what of the host is shown.
    #[must_use]
    pub fn shown(&self) -> &[PathBuf] {
        &self.shown
    }

    /// Returns what shows it, at the same paths and read-only.
    ///
    /// # Errors
    ///
    /// When a path is none that a container can have.
    pub fn binds(&self) -> Result<Vec<Bind>> {
        let bind = |path: &PathBuf| {
            let target: ContainerPath = path.display().to_string().parse()?;
            Ok(Bind { source: path.clone(), target, access: MountAccess::ReadOnly })
        };
        self.shown.iter().map(bind).collect()
    }

    /// Returns the file in [`INSTALLED`] that starts it.
    ///
    /// # Errors
    ///
    /// When the name is none that a file can have.
    pub fn starter(&self) -> Result<StagedFile> {
        let path: ContainerPath = format!("{INSTALLED}/{}", self.name).parse()?;
        let program = self.program.display().to_string().replace('\'', r"'\''");
        let script = format!("#!/bin/sh\nexec '{program}' \"$@\"\n");
        Ok(StagedFile::new(path, script).mode(0o755))
    }
}

/// The person's programs, and those of them that were found.
struct Search<'a> {
    path: &'a OsStr,
    home: Option<&'a Path>,
    foreign: &'a [PathBuf],
    found: Vec<Installed>,
}

impl Search<'_> {
    fn add(&mut self, name: &str, depth: usize) {
        if name.contains('/') || self.found.iter().any(|known| known.name == name) {
            return;
        }
        let Some((program, real)) = self.locate(name) else { return };
        if is_system(&program) && is_system(&real) {
            return;
        }
        let mut shown = vec![needs(&real, self.home)];
        match interpreter(&real) {
            Some(Interpreter::Named(name)) if depth > 0 => self.add(&name, depth - 1),
            Some(Interpreter::At(path)) if !is_system(&path) && is_program(&path) => {
                shown.push(needs(&path, self.home));
                let real = fs::canonicalize(&path).unwrap_or(path);
                let real = Some(real).filter(|real| !is_system(real));
                shown.extend(real.map(|real| needs(&real, self.home)));
            }
            _ => {}
        }
        shown.dedup();
        self.found.push(Installed { name: name.to_owned(), program: real, shown });
    }

    /// Returns the first program of a name, and what it leads to.
    fn locate(&self, name: &str) -> Option<(PathBuf, PathBuf)> {
        let directories = std::env::split_paths(self.path);
        let mut directories = directories.filter(|directory| directory.is_absolute());
        directories.find_map(|directory| {
            let program = Some(directory.join(name)).filter(|program| is_program(program))?;
            let real = fs::canonicalize(&program).ok()?;
            let is_own = self.is_own(&fs::canonicalize(directory).ok()?) && self.is_own(&real);
            is_own.then_some((program, real))
        })
    }

    fn is_own(&self, path: &Path) -> bool {
        !self.foreign.iter().any(|directory| path.starts_with(directory))
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|tree| path.starts_with(tree))
}

/// Returns what has to be there for a program to start.
fn needs(program: &Path, home: Option<&Path>) -> PathBuf {
    if let Some(package) = package(program) {
        return package;
    }
    let prefix = program.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent);
    match prefix {
        Some(prefix) if is_of_its_own(prefix, home) => prefix.to_owned(),
        _ => program.to_owned(),
    }
}

/// Returns the package of npm's that a program belongs to, with the packages inside of it.
fn package(program: &Path) -> Option<PathBuf> {
    let mut package = PathBuf::new();
    let mut parts = program.components();
    for part in parts.by_ref() {
        package.push(part);
        if part.as_os_str() == "node_modules" {
            let name = parts.next()?;
            package.push(name);
            if name.as_os_str().to_string_lossy().starts_with('@') {
                package.push(parts.next()?);
            }
            return parts.next().is_some().then_some(package);
        }
    }
    None
}

/// Whether a prefix holds one installation and nothing of the person's.
fn is_of_its_own(prefix: &Path, home: Option<&Path>) -> bool {
    let is_deep = prefix.components().count() > 2;
    let in_home = home.is_some_and(|home| {
        home.starts_with(prefix) || prefix.parent() == Some(home) || prefix == home
    });
    is_deep && !in_home
}

/// What a script begins with.
enum Interpreter {
    Named(String),
    At(PathBuf),
}

fn interpreter(program: &Path) -> Option<Interpreter> {
    let mut first = [0; 256];
    let length = File::open(program).ok()?.read(&mut first).ok()?;
    let line = first[..length].split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.strip_prefix("#!")?.split_whitespace();
    let at = Path::new(words.next()?);
    if !at.ends_with("env") {
        return Some(Interpreter::At(at.to_owned()));
    }
    let mut words = words.filter(|word| !word.starts_with('-') && !word.contains('='));
    words.next().map(|name| Interpreter::Named(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Writes a program below a home directory.
    fn program(home: &Path, path: &str, text: &str) -> PathBuf {
        let path = home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn link(home: &Path, path: &str, to: &Path) {
        let path = home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    fn found(home: &Path, name: &str, path: &[&str]) -> Vec<(String, Vec<PathBuf>)> {
        let path = std::env::join_paths(path.iter().map(|directory| home.join(directory))).unwrap();
        let found = Installed::find(name, &path, Some(home), &[]);
        found.into_iter().map(|it| (it.name, it.shown)).collect()
    }

    #[test]
    fn as_little_is_shown_as_a_program_needs() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let only = |name: &str, path: &str| {
            let found = found(&home, name, &[path]);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            found[0].1.clone()
        };
        let native = program(&home, ".local/share/claude/versions/2.1.0", "\x7fELF");
        link(&home, ".local/bin/claude", &native);
        assert_eq!(only("claude", ".local/bin"), [native]);
        // Beside it there may be credentials.
        let proxy = program(&home, ".cargo/bin/rustup", "\x7fELF");
        link(&home, ".cargo/bin/cargo", &proxy);
        assert_eq!(only("cargo", ".cargo/bin"), [proxy]);
        let own = program(&home, "bin/own", "#!/bin/sh\n");
        assert_eq!(only("own", "bin"), [own]);
        program(&home, ".pyenv/versions/3.13/bin/python3", "\x7fELF");
        let prefix = home.join(".pyenv/versions/3.13");
        assert_eq!(only("python3", ".pyenv/versions/3.13/bin"), [prefix]);
        assert!(found(&home, "nothing", &["bin"]).is_empty());
        let system = Installed::find("sh", OsStr::new("/usr/bin:/bin"), Some(&home), &[]);
        assert!(system.is_empty(), "{system:?}");
    }

    #[test]
    fn a_script_brings_its_package_and_its_interpreter() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let node = ".nvm/versions/node/v22/";
        program(&home, &format!("{node}bin/node"), "\x7fELF");
        let script = format!("{node}lib/node_modules/@openai/codex/bin/codex.js");
        let script = program(&home, &script, "#!/usr/bin/env -S node --no-warnings\n");
        link(&home, &format!("{node}bin/codex"), &script);
        let found = found(&home, "codex", &[&format!("{node}bin")]);
        let package = home.join(node).join("lib/node_modules/@openai/codex");
        let expected = [
            ("node".to_owned(), vec![home.join(".nvm/versions/node/v22")]),
            ("codex".to_owned(), vec![package]),
        ];
        assert_eq!(found, expected);
        let tool = format!("#!{}\n", home.join("tools/venv/bin/python").display());
        let tool = program(&home, ".local/share/tool/tool", &tool);
        program(&home, "tools/venv/bin/python", "\x7fELF");
        link(&home, ".local/bin/tool", &tool);
        let path = home.join(".local/bin");
        let found = Installed::find("tool", path.as_os_str(), Some(&home), &[]);
        assert_eq!(found[0].shown, [tool, home.join("tools/venv")]);
    }

    #[test]
    fn a_workspace_does_not_choose_what_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let workspace = home.join("project");
        program(&home, ".config/gh/hosts.yml", "secret");
        program(&home, ".config/gh/bin/gh", "\x7fELF");
        let script = format!("#!{}\n", home.join(".config/gh/bin/gh").display());
        let evil = program(&workspace, "node_modules/.bin/claude", &script);
        link(&home, ".local/bin/linked", &evil);
        let found = |name: &str, path: &str| {
            Installed::find(name, OsStr::new(path), Some(&home), std::slice::from_ref(&workspace))
        };
        let at = |path: &str| home.join(path).display().to_string();
        link(&home, "link", &workspace.join("node_modules/.bin"));
        for path in [at("project/node_modules/.bin"), at("link"), "node_modules/.bin".into()] {
            assert!(found("claude", &path).is_empty(), "{path}");
        }
        assert!(found("linked", &at(".local/bin")).is_empty());
        let own = program(&home, ".local/share/claude/1", "\x7fELF");
        link(&home, ".local/bin/claude", &own);
        let path = [at("project/node_modules/.bin"), at(".local/bin")].join(":");
        let found = found("claude", &path);
        assert_eq!((found.len(), found[0].shown()), (1, &[own][..]));
    }

    #[test]
    fn an_interpreter_is_a_program() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        fs::write(home.join(".netrc"), "secret").unwrap();
        let script = format!("#!{}\n", home.join(".netrc").display());
        let script = program(&home, ".local/share/tool/tool", &script);
        link(&home, ".local/bin/tool", &script);
        assert_eq!(found(&home, "tool", &[".local/bin"]), [("tool".into(), vec![script])]);
    }

    #[test]
    fn a_starter_quotes_the_path_of_the_program() {
        let program = PathBuf::from("/home/o'hara/x");
        let installed = Installed { name: "x".into(), program, shown: Vec::new() };
        let starter = installed.starter().unwrap();
        assert_eq!(starter.path().as_str(), "/run/moat/bin/x");
        assert_eq!(&starter.contents()[..], b"#!/bin/sh\nexec '/home/o'\\''hara/x' \"$@\"\n");
    }
}
