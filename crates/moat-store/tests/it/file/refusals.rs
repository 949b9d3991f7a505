//! Disks that are full or read-only: the error says so, and nothing is lost.
//!
//! A disk of its own needs a user namespace with mounts. Where the machine has none, a limit to the
//! size of files stands in for the full disk, and a directory without the right to write for the
//! read-only one.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use moat_provider_core::Secret;
use moat_store::{CredentialStore, Expect, FileStore, FixedKey, MasterKey, StoreErrorKind};
use tokio::runtime::Runtime;

use super::child::{Worker, counted, number_of, say};
use crate::support::{Home, credential, key};

fn command(program: &str, args: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test needs the system's own programs")]
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Prepares a shell that does something and then becomes this binary.
pub(super) fn shell(prefix: &[&str], script: &str, home: &Path) -> Command {
    let script = format!("{script} && exec \"$@\"");
    let words = [prefix, &["sh", "-c", &script, "sh"]].concat();
    let mut command = command(words[0], &words[1..]);
    command.arg(std::env::current_exe().unwrap()).env("DIR", home);
    command
}

fn has_namespaces() -> bool {
    let mut unshare = command("unshare", &["-rm", "mount", "-t", "tmpfs", "none", "/tmp"]);
    unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_file_that_may_not_grow_leaves_the_old_record() {
    let home = Home::new();
    let store = home.store();
    store.save(&counted(7), Expect::Absent).await.unwrap();
    let before = fs::read(home.record("counter")).unwrap();
    let mut limited = shell(&[], "trap '' XFSZ && ulimit -f 0", home.path());
    let said = Worker::start_with(&mut limited, "save once", home.path()).finish();
    assert_eq!(said, ["NoSpace"]);
    assert_eq!(fs::read(home.record("counter")).unwrap(), before);
    assert_eq!(home.names(), ["counter.cred", "locks"]);
    assert_eq!(number_of(&store.load(&key("counter")).await.unwrap().credential), 7);
}

#[test]
fn a_full_disk_and_a_read_only_one_lose_nothing() {
    let home = Home::new();
    if has_namespaces() {
        let mount = "mount -t tmpfs -o size=64k,mode=700 none \"$DIR\"";
        let mut mounted = shell(&["unshare", "-rm"], mount, home.path());
        let said = Worker::start_with(&mut mounted, "refuse", home.path()).finish();
        assert_eq!(said, ["full", "read-only"]);
    } else {
        // The limit above is the full disk.
        let is_root = rustix::process::geteuid().is_root();
        assert!(!is_root, "without namespaces this test cannot be run as root, who may do all");
        set_mode(home.path(), 0o700);
        let said = Worker::start("refuse", home.path()).finish();
        assert_eq!(said, ["read-only"]);
    }
}

pub(super) fn in_child(runtime: &Runtime, home: &Path) {
    let source = Arc::new(FixedKey::new(MasterKey::generate().unwrap()));
    let store = FileStore::builder(home).key_source(source).build();
    let secret = Secret::new("token".repeat(2_000));
    let (old, new) = (credential("old", &secret), credential("new", &secret));
    runtime.block_on(async {
        store.save(&old, Expect::Absent).await.unwrap();
        let is_mounted = home_is_small(home);
        if is_mounted {
            full(&store, home, &old, &new).await;
        }
        make_read_only(home, is_mounted);
        read_only(&store, &old, &new).await;
        if !is_mounted {
            set_mode(&home.join("credentials"), 0o700);
            set_mode(&home.join("credentials/locks"), 0o700);
        }
    });
}

fn home_is_small(home: &Path) -> bool {
    let stat = rustix::fs::statvfs(home).unwrap();
    stat.f_blocks * stat.f_frsize <= 64 << 10
}

type Old<'a> = &'a moat_provider_core::Credential;

async fn full(store: &FileStore, home: &Path, old: Old<'_>, new: Old<'_>) {
    let mut filler = File::create(home.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    for (credential, expect) in [(old, Expect::Anything), (new, Expect::Absent)] {
        let error = store.save(credential, expect).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NoSpace, "{error:?}");
        assert!(error.hint().unwrap().starts_with("df -h "), "{error:?}");
    }
    let read = store.load(old.key()).await.unwrap();
    assert!(read.credential.token().same_as(old.token()), "a full disk has cost a record");
    assert_eq!(store.names().await.unwrap(), [old.key().clone()]);
    assert!(store.try_lease(old.key()).await.unwrap().is_some());
    // Whoever removes a credential makes room.
    assert!(store.remove(old.key()).await.unwrap());
    store.save(old, Expect::Absent).await.unwrap();
    say("full");
}

async fn read_only(store: &FileStore, old: Old<'_>, new: Old<'_>) {
    let refused = [
        store.save(old, Expect::Anything).await.map(drop),
        store.save(new, Expect::Absent).await.map(drop),
        store.remove(old.key()).await.map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NotPermitted, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
    }
    let read = store.load(old.key()).await.unwrap();
    assert!(read.credential.token().same_as(old.token()), "what can be read is not read");
    assert_eq!(store.generation(old.key()).await.unwrap(), read.generation);
    assert_eq!(store.list().await.unwrap().len(), 1);
    say("read-only");
}

fn make_read_only(home: &Path, is_mounted: bool) {
    if is_mounted {
        let dir = home.to_str().unwrap();
        assert!(command("mount", &["-o", "remount,ro", dir]).status().unwrap().success());
    } else {
        set_mode(&home.join("credentials"), 0o500);
        set_mode(&home.join("credentials/locks"), 0o500);
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
