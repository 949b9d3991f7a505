//! The credentials of an earlier moat.

use std::fs;
use std::path::{Path, PathBuf};

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use moat_provider_core::{CredentialRecord, Error, SecretName};
use moat_provider_testkit::Canary;
use moat_store::{
    CredentialStore, Existing, Expect, GoStore, ImportReport, MemoryStore, Outcome, StoreErrorKind,
    claim, import,
};

use crate::support::{Home, credential, key};

/// A home as the old moat leaves it.
struct Old {
    home: Home,
    key: [u8; 32],
}

impl Old {
    fn new() -> Self {
        let home = Home::new();
        let mut key = [0; 32];
        getrandom::fill(&mut key).unwrap();
        fs::create_dir(home.credentials()).unwrap();
        private(&home.path().join("encryption.key"), format!("{}\n", base64(&key)).as_bytes());
        Self { home, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.credentials().join(format!("{name}.enc"))
    }

    fn write(&self, name: &str, json: &str) {
        private(&self.path(name), &seal(&self.key, json.as_bytes()));
    }

    fn store(&self) -> GoStore {
        GoStore::at(self.home.path())
    }
}

fn private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn seal(key: &[u8; 32], clear: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).unwrap();
    let mut sealed = clear.to_vec();
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&nonce.into(), &[], sealed.as_mut_slice().into())
        .unwrap();
    [&nonce[..], &sealed, &tag].concat()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn json(provider: &str, token: &Canary, expires_at: &str, metadata: &str) -> String {
    let token = token.text().replace('\\', r"\\").replace('"', r#"\""#);
    format!(
        r#"{{"provider":"{provider}","token":"{token}","scopes":["repo"],
            "expires_at":"{expires_at}","created_at":"2025-05-01T10:00:00Z",
            "metadata":{{{metadata}}}}}"#
    )
}

const NEVER: &str = "0001-01-01T00:00:00Z";

async fn bring(old: &GoStore, new: &MemoryStore, existing: Existing) -> ImportReport {
    import(old, new, &|_| Ok(()), existing).await.unwrap()
}

/// Says what became of each record.
fn outcomes(report: &ImportReport) -> Vec<(&str, String)> {
    let outcome = |outcome: &Outcome| match outcome {
        Outcome::Copied(_) => "copied".to_owned(),
        Outcome::CopiedUnclaimed(_) => "unclaimed".to_owned(),
        Outcome::Kept(_) => "kept".to_owned(),
        Outcome::Failed(error) => {
            assert!(error.hint().is_some(), "{error:?}");
            format!("{:?}", error.kind())
        }
        other => panic!("{other:?}"),
    };
    report.records().iter().map(|record| (record.name(), outcome(record.outcome()))).collect()
}

/// Everything in a directory, to see that nothing changes.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn credentials_come_over_and_the_old_store_stays_as_it_is() {
    let (old, new) = (Old::new(), MemoryStore::new());
    let (github, notion, refresh) = (Canary::new(), Canary::new(), Canary::with_length("", 64));
    let refresh_text = refresh.text().replace('\\', r"\\").replace('"', r#"\""#);
    old.write("github", &json("github", &github, NEVER, r#""token_source":"cli""#));
    old.write(
        "oauth:notion",
        &json(
            "oauth:notion",
            &notion,
            "2026-01-01T00:00:00Z",
            &format!(r#""refresh_token":"{refresh_text}","client_id":"abc""#),
        ),
    );
    fs::write(old.home.credentials().join("ssh.json"), "{}").unwrap();
    let before = snapshot(old.home.path());

    let report = bring(&old.store(), &new, Existing::Keep).await;
    assert_eq!(
        outcomes(&report),
        [("github", "copied".to_owned()), ("oauth:notion", "unclaimed".to_owned())]
    );
    assert_eq!(snapshot(old.home.path()), before);

    let stored = new.load(&key("github")).await.unwrap().credential;
    assert!(stored.token().same_as(&github.secret()));
    assert_eq!(stored.info().expires_at(), None);
    assert_eq!(stored.info().refreshed_by(), None);
    assert_eq!(stored.info().metadata("token_source"), Some("cli"));

    let stored = new.load(&key("oauth:notion")).await.unwrap().credential;
    assert!(stored.token().same_as(&notion.secret()));
    assert_eq!(stored.info().refreshed_by(), Some("moat (Go)"));
    assert_eq!(stored.info().metadata("client_id"), Some("abc"));
    // Metadata is printed to people.
    assert_eq!(stored.info().metadata("refresh_token"), None);
    assert!(stored.secrets().get(&SecretName::REFRESH_TOKEN).unwrap().same_as(&refresh.secret()));
}

#[tokio::test]
async fn a_claim_makes_the_credential_ours() {
    let (old, new) = (Old::new(), MemoryStore::new());
    let token = Canary::new();
    old.write("claude", &json("claude", &token, "2026-01-01T00:00:00Z", ""));
    bring(&old.store(), &new, Existing::Keep).await;
    let before = new.generation(&key("claude")).await.unwrap();
    let claimed = claim(&new, &key("claude")).await.unwrap();
    assert!(claimed > before);
    let stored = new.load(&key("claude")).await.unwrap();
    assert_eq!(stored.generation, claimed);
    assert_eq!(stored.credential.info().refreshed_by(), None);
    assert!(stored.credential.token().same_as(&token.secret()));
    // It is ours already.
    assert_eq!(claim(&new, &key("claude")).await.unwrap(), claimed);
    let kind = claim(&new, &key("absent")).await.unwrap_err().kind();
    assert_eq!(kind, StoreErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_there_is_replaced_only_when_asked() {
    let (old, new) = (Old::new(), MemoryStore::new());
    let (theirs, ours) = (Canary::new(), Canary::new());
    old.write("github", &json("github", &theirs, NEVER, ""));
    new.save(&credential("github", &ours.secret()), Expect::Absent).await.unwrap();
    let token = async || new.load(&key("github")).await.unwrap().credential.token().clone();

    let report = bring(&old.store(), &new, Existing::Keep).await;
    assert_eq!(outcomes(&report), [("github", "kept".to_owned())]);
    assert!(token().await.same_as(&ours.secret()));

    let report = bring(&old.store(), &new, Existing::Replace).await;
    assert_eq!(outcomes(&report), [("github", "copied".to_owned())]);
    assert!(token().await.same_as(&theirs.secret()));
}

#[tokio::test]
async fn each_record_that_cannot_be_had_says_why() {
    let (old, new) = (Old::new(), MemoryStore::new());
    let token = Canary::new();
    old.write("fine", &json("fine", &token, NEVER, ""));
    old.write("swapped", &json("github", &token, NEVER, ""));
    old.write("no-json", "{");
    old.write("Bad_Name", &json("Bad_Name", &token, NEVER, ""));
    old.write("refused", &json("refused", &token, NEVER, ""));
    private(&old.path("short"), b"short");
    private(&old.path("foreign"), &seal(&[7; 32], json("foreign", &token, NEVER, "").as_bytes()));

    let upgrade = |record: &mut CredentialRecord| match record.provider() {
        "refused" => Err(Error::invalid("not of today").with_hint("moat grant refused")),
        _ => {
            record.metadata_mut().insert("upgraded".to_owned(), "yes".to_owned());
            Ok(())
        }
    };
    let report = import(&old.store(), &new, &upgrade, Existing::Keep).await.unwrap();
    let found = outcomes(&report);
    let expected = [
        ("Bad_Name", "Damaged"),
        ("fine", "copied"),
        ("foreign", "CannotDecrypt"),
        ("no-json", "Damaged"),
        ("refused", "Damaged"),
        ("short", "Damaged"),
        ("swapped", "Damaged"),
    ];
    assert_eq!(found, expected.map(|(name, outcome)| (name, outcome.to_owned())));
    assert_eq!(token.find_in_str(&format!("{report:?}")), None);
    let fine = new.load(&key("fine")).await.unwrap().credential;
    assert_eq!(fine.info().metadata("upgraded"), Some("yes"));
}

#[tokio::test]
async fn profiles_come_over_one_by_one() {
    let (old, new) = (Old::new(), MemoryStore::new());
    let token = Canary::new();
    let dir = old.home.credentials().join("profiles").join("Work");
    fs::create_dir_all(&dir).unwrap();
    private(&dir.join("npm.enc"), &seal(&old.key, json("npm", &token, NEVER, "").as_bytes()));
    assert!(bring(&old.store(), &new, Existing::Keep).await.records().is_empty());
    let work = old.store().profile(&"Work".parse().unwrap());
    let report = bring(&work, &new, Existing::Keep).await;
    assert_eq!(outcomes(&report), [("npm", "copied".to_owned())]);
}

#[tokio::test]
async fn a_key_that_cannot_be_had_is_told_from_one_that_does_not_fit() {
    let (old, new) = (Old::new(), MemoryStore::new());
    old.write("github", &json("github", &Canary::new(), NEVER, ""));
    let path = old.home.path().join("encryption.key");
    let only = async |content: Option<&str>| {
        match content {
            Some(content) => private(&path, content.as_bytes()),
            None => fs::remove_file(&path).unwrap(),
        }
        outcomes(&bring(&old.store(), &new, Existing::Keep).await).remove(0).1
    };
    assert_eq!(only(Some(&base64(&[7; 32]))).await, "CannotDecrypt");
    assert_eq!(only(Some(&base64(&[7; 31]))).await, "KeyUnavailable");
    assert_eq!(only(Some("")).await, "KeyUnavailable");
    assert_eq!(only(None).await, "KeyMissing");
    private(&path, base64(&old.key).as_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let found = outcomes(&bring(&old.store(), &new, Existing::Keep).await).remove(0).1;
        assert_eq!(found, "KeyUnavailable");
    }
}

#[cfg(feature = "keyring")]
#[tokio::test]
async fn a_record_of_either_key_comes_over() {
    use std::sync::Arc;

    use keyring_core::api::CredentialStoreApi;
    use keyring_core::mock;
    use moat_store::KeyringEntry;

    let (old, new) = (Old::new(), MemoryStore::new());
    let token = Canary::new();
    old.write("of-file", &json("of-file", &token, NEVER, ""));
    let mut other = [0; 32];
    getrandom::fill(&mut other).unwrap();
    let record = json("of-keyring", &token, NEVER, "");
    private(&old.path("of-keyring"), &seal(&other, record.as_bytes()));

    // As it is on Linux, and as Go's library writes it on macOS.
    let texts =
        [base64(&other), format!("go-keyring-base64:{}", base64(base64(&other).as_bytes()))];
    for text in texts {
        let keyring = mock::Store::new().unwrap();
        keyring.build("moat", "encryption-key", None).unwrap().set_password(&text).unwrap();
        let entry = KeyringEntry::in_keyring(keyring.clone() as Arc<_>);
        let from = old.store().key_entry(entry.named("moat", "encryption-key"));
        let report = bring(&from, &new, Existing::Replace).await;
        let expected = [("of-file", "copied".to_owned()), ("of-keyring", "copied".to_owned())];
        assert_eq!(outcomes(&report), expected);
        let text = keyring.build("moat", "encryption-key", None).unwrap().get_password();
        assert!(text.is_ok(), "the old entry is gone");
    }
}
