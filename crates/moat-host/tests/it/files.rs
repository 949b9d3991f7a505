//! Files of the person.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use moat_host::SystemFiles;
use moat_provider_core::{Error, ErrorKind, FileSystem, HostDir, HostFile, Secret};
use moat_provider_testkit::{Canary, FakeEnvironment};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::support::{exposed, text_of};

fn environment(home: &Path) -> FakeEnvironment {
    FakeEnvironment::new().text("HOME", home.to_str().unwrap())
}

async fn read(environment: FakeEnvironment, file: &HostFile) -> Result<Option<Secret>, Error> {
    SystemFiles::new(Arc::new(environment)).read(file).await
}

/// A file of a tool that looks at a variable first, then at the usual place.
fn hosts() -> HostFile {
    HostFile::new("gh/hosts.yml")
        .at(HostDir::Variable("GH_CONFIG_DIR"), "hosts.yml")
        .at(HostDir::Config, "gh/hosts.yml")
}

fn put(path: &Path, contents: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

#[tokio::test]
async fn the_first_directory_that_is_known_decides() {
    let home = TempDir::new().unwrap();
    let at = |path: &str| home.path().join(path);
    put(&at(".config/gh/hosts.yml"), "usual");
    put(&at("xdg/gh/hosts.yml"), "xdg");
    put(&at("own/hosts.yml"), "own");
    let with =
        |name: &str, path: &str| environment(home.path()).text(name, at(path).to_str().unwrap());

    for (environment, expected) in [
        (environment(home.path()), Some("usual")),
        (with("XDG_CONFIG_HOME", "xdg"), Some("xdg")),
        (environment(home.path()).text("XDG_CONFIG_HOME", "xdg"), Some("usual")),
        (environment(home.path()).text("XDG_CONFIG_HOME", ""), Some("usual")),
        (with("GH_CONFIG_DIR", "own"), Some("own")),
        // Where the variable leads, there is none; gh looks nowhere else.
        (with("GH_CONFIG_DIR", "none"), None),
        (FakeEnvironment::new(), None),
    ] {
        let read = read(environment, &hosts()).await.unwrap();
        assert_eq!(read.as_ref().map(exposed), expected);
    }
    let whole = HostFile::new("key").at(HostDir::Variable("KEY_FILE"), "");
    let found = read(with("KEY_FILE", "own/hosts.yml"), &whole).await.unwrap().unwrap();
    assert_eq!(exposed(&found), "own");
}

#[tokio::test]
async fn a_relative_directory_is_refused() {
    let environment = FakeEnvironment::new().text("GH_CONFIG_DIR", "here");
    let error = read(environment, &hosts()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "GH_CONFIG_DIR is not an absolute path");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn what_is_no_file_of_text_is_refused_at_once() {
    let home = TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name);
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(at("dir")).unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    let canary = Canary::with_length("", 64);
    fs::write(at("bytes"), [canary.text().as_bytes(), b"\xff"].concat()).unwrap();
    fs::write(at("long"), canary.text().repeat((1 << 20) / 64 + 1)).unwrap();
    fs::write(at("longest"), vec![b'x'; 1 << 20]).unwrap();
    let read = |name: &'static str| {
        let environment = environment(home.path());
        async move { read(environment, &HostFile::new(name).at(HostDir::Home, name)).await }
    };
    for (name, what) in [
        ("fifo", "is not a regular file"),
        ("dir", "is not a regular file"),
        ("loop", "cannot be opened"),
        ("bytes", "is not UTF-8 text"),
        ("long", "is longer than 1 MiB"),
    ] {
        let error = read(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.message(), format!("{} {what}", at(name).display()));
        assert_eq!(canary.find_in_str(&text_of(&error)), None);
    }
    assert_eq!(exposed(&read("longest").await.unwrap().unwrap()).len(), 1 << 20);
    for name in ["none", "longest/below"] {
        assert!(read(name).await.unwrap().is_none());
    }
}
