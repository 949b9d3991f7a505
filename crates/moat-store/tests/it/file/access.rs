//! Files and directories that others could read, or that are not files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use moat_provider_testkit::Canary;
use moat_store::{CredentialStore, Expect, StoreError, StoreErrorKind};

use crate::support::{Home, credential, key};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn saved() -> (Home, Canary) {
    let (home, canary) = (Home::new(), Canary::with_length("", 64));
    home.store().save(&credential("github", &canary.secret()), Expect::Absent).await.unwrap();
    (home, canary)
}

async fn refusal(home: &Home) -> StoreError {
    let error = home.store().load(&key("github")).await.expect_err("a record was read");
    assert_eq!(error.kind(), StoreErrorKind::NotPermitted, "{error:?}");
    error
}

#[tokio::test]
async fn everything_is_this_users_alone() {
    let (home, _) = saved().await;
    let work = home.store().in_profile("work".parse().unwrap());
    let _lease = work.try_lease(&key("github")).await.unwrap();
    let mut dirs = vec![home.path().to_owned()];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                seen += 1;
            }
        }
    }
    // key.json, key.lock, master.key, the record, its lock, the lease.
    assert_eq!(seen, 6);
}

#[tokio::test]
async fn a_record_that_others_can_read_is_refused_with_the_cure() {
    let (home, canary) = saved().await;
    let path = home.record("github");
    for wide in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666] {
        set_mode(&path, wide);
        let error = refusal(&home).await;
        assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", path.display()), "{wide:o}");
        assert!(error.message().contains(&format!("{wide:04o}")), "{error:?}");
    }
    // A new grant needs no cure.
    let store = home.store();
    store.save(&credential("github", &canary.secret()), Expect::Anything).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(store.load(&key("github")).await.is_ok());
}

#[tokio::test]
async fn a_directory_that_others_can_enter_is_refused_with_the_cure() {
    let (home, canary) = saved().await;
    let dir = home.credentials();
    for wide in [0o750, 0o705, 0o720, 0o777] {
        set_mode(&dir, wide);
        let error = refusal(&home).await;
        assert_eq!(error.hint().unwrap(), format!("chmod 700 {}", dir.display()), "{wide:o}");
        let store = home.store();
        let kinds = [
            store.generation(&key("github")).await.unwrap_err().kind(),
            store.list().await.unwrap_err().kind(),
            store.remove(&key("github")).await.unwrap_err().kind(),
            store.try_lease(&key("github")).await.unwrap_err().kind(),
            store
                .save(&credential("github", &canary.secret()), Expect::Anything)
                .await
                .unwrap_err()
                .kind(),
        ];
        assert_eq!(kinds, [StoreErrorKind::NotPermitted; 5]);
    }
    set_mode(&dir, 0o700);
    assert!(home.store().load(&key("github")).await.is_ok(), "a refusal has changed something");
}

#[tokio::test]
async fn a_home_in_which_others_can_write_is_refused() {
    let (home, canary) = saved().await;
    set_mode(home.path(), 0o770);
    let github = credential("github", &canary.secret());
    let error = home.store().save(&github, Expect::Anything).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotPermitted);
    set_mode(home.path(), 0o755);
    home.store().save(&github, Expect::Anything).await.unwrap();
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_and_not_replaced() {
    let (home, canary) = saved().await;
    for name in ["master.key", "key.json"] {
        let path = home.path().join(name);
        let before = fs::read(&path).unwrap();
        set_mode(&path, 0o644);
        let error = refusal(&home).await;
        assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", path.display()));
        let github = credential("github", &canary.secret());
        let error = home.store().save(&github, Expect::Anything).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NotPermitted, "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), before, "a second key was made");
        set_mode(&path, 0o600);
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_followed() {
    let (home, canary) = saved().await;
    let path = home.record("github");
    let elsewhere = home.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();

    symlink(&elsewhere, &path).unwrap();
    assert!(refusal(&home).await.message().contains("symbolic link"));
    fs::remove_file(&path).unwrap();

    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(refusal(&home).await.message().contains("not a regular file"));
    // A save replaces what stands there, and a removal removes it.
    home.store().save(&credential("github", &canary.secret()), Expect::Anything).await.unwrap();
    assert!(home.store().load(&key("github")).await.is_ok());
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(home.store().remove(&key("github")).await.unwrap());
    assert!(elsewhere.exists(), "a link was followed");

    fs::create_dir(&path).unwrap();
    assert!(refusal(&home).await.message().contains("not a regular file"));
    assert!(home.store().remove(&key("github")).await.is_err());
}

#[tokio::test]
async fn a_link_in_place_of_the_directory_is_not_followed() {
    let (home, _) = saved().await;
    let elsewhere = home.path().join("elsewhere");
    fs::rename(home.credentials(), &elsewhere).unwrap();
    symlink(&elsewhere, home.credentials()).unwrap();
    assert!(refusal(&home).await.message().contains("symbolic link"));
}
