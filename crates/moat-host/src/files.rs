//! Files of the person.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_core::{
    BoxFuture, Environment, Error, ErrorKind, FileSystem, HostDir, HostFile, HostPath, Result,
    Secret, escape_line,
};
use nix::fcntl::OFlag;

use crate::bounded::{Bounded, read_bounded};
use crate::environment::plain;
use crate::{background, bounded};

/// Reads files in the person's home and configuration directories.
///
/// Directories come from the variables `HOME` and `XDG_CONFIG_HOME`, and those that a
/// [`HostFile`] names, of the environment that it was made with. An `XDG_CONFIG_HOME` that is not
/// absolute does not count (XDG Base Directory Specification).
#[derive(Clone, Debug)]
pub struct SystemFiles {
    environment: Arc<dyn Environment>,
}

impl SystemFiles {
    /// Makes a reader that finds directories in this environment.
    #[must_use]
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        Self { environment }
    }

    /// Returns where the file has to stand: the first candidate whose directory is known.
    fn locate(&self, file: &HostFile) -> Result<Option<PathBuf>> {
        for candidate in file.candidates() {
            if let Some(path) = self.resolve(candidate)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn resolve(&self, candidate: &HostPath) -> Result<Option<PathBuf>> {
        let absolute = |name| {
            let value = plain(&*self.environment, name)?.map(PathBuf::from);
            Ok::<_, Error>(value.filter(|path| path.is_absolute()))
        };
        let dir = match candidate.dir() {
            HostDir::Home => absolute("HOME")?,
            HostDir::Config => match absolute("XDG_CONFIG_HOME")? {
                Some(dir) => Some(dir),
                None => absolute("HOME")?.map(|home| home.join(".config")),
            },
            HostDir::Variable(name) => match plain(&*self.environment, name)?.map(PathBuf::from) {
                // It would mean another file in each working directory, a workspace among them.
                Some(dir) if dir.is_relative() => {
                    return Err(Error::invalid(format!("{name} is not an absolute path"))
                        .with_hint(format!("set {name} to an absolute path, or unset it")));
                }
                dir => dir,
            },
            other => {
                let message = format!("this host knows no directory of the kind {other:?}");
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint("use a moat-host of the same version as moat-provider-core"));
            }
        };
        Ok(dir.map(|dir| match candidate.relative() {
            "" => dir,
            relative => dir.join(relative),
        }))
    }
}

impl FileSystem for SystemFiles {
    fn read<'a>(&'a self, file: &'a HostFile) -> BoxFuture<'a, Result<Option<Secret>>> {
        Box::pin(async move {
            let Some(path) = self.locate(file)? else { return Ok(None) };
            background::run("moat-file", move || read(&path)).await
        })
    }
}

fn read(path: &Path) -> Result<Option<Secret>> {
    let failed = |what: &str| {
        let shown = path.to_string_lossy();
        let shown = escape_line(&shown);
        Error::new(ErrorKind::Io, format!("{shown} {what}"))
            .with_hint(format!("look at it with: ls -l '{shown}'"))
    };
    let file = match open(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(failed("is not a regular file")),
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(failed("cannot be opened").with_source(error)),
            };
        }
    };
    match read_bounded(file, bounded::MAX_TEXT) {
        Ok(Bounded::Whole(bytes)) => match bytes.into_secret() {
            Ok(secret) => Ok(Some(secret)),
            Err(_) => Err(failed("is not UTF-8 text")),
        },
        Ok(Bounded::TooLong) => Err(failed("is longer than 1 MiB")),
        Err(error) => Err(failed("cannot be read").with_source(error)),
    }
}

/// Opens a regular file. Nothing else is waited for: a pipe would block until somebody writes.
fn open(path: &Path) -> io::Result<Option<impl Read + use<>>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let is_regular = file.metadata()?.is_file();
    Ok(is_regular.then_some(file))
}
