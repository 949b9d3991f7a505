//! Ids of conversations and where they are kept.

use std::path::PathBuf;

use moat_agent::{SessionId, SessionStore};
use moat_provider_core::{ErrorKind, MountAccess, MountSource, ProviderName, Session};
use moat_provider_testkit::FakeEntropy;
use proptest::prelude::*;

#[test]
fn a_drawn_id_is_a_random_uuid() {
    let entropy = FakeEntropy::default();
    let (first, second) =
        (SessionId::random(&entropy).unwrap(), SessionId::random(&entropy).unwrap());
    assert_ne!(first, second);
    for id in [first, second] {
        assert_eq!(id.as_str().parse::<SessionId>().unwrap(), id);
        assert_eq!(id.as_str().as_bytes()[14], b'4', "version of {id}");
        assert!(b"89ab".contains(&id.as_str().as_bytes()[19]), "variant of {id}");
    }
}

#[test]
fn nothing_else_is_an_id() {
    for text in [
        "",
        "id",
        "--help",
        "../../../etc/passwd",
        "01234567-89AB-4DEF-8123-456789ABCDEF",
        "0123456789ab4def8123456789abcdef",
        "01234567-89ab-4def-8123-456789abcdeg",
        "01234567-89ab-4def-8123-456789abcdef ",
        " 1234567-89ab-4def-8123-456789abcdef",
        "-1234567-89ab-4def-8123-456789abcdef",
        "01234567-89ab-4def-8123-456789abcde\n",
    ] {
        let error = text.parse::<SessionId>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
        assert!(error.hint().is_some());
    }
}

proptest! {
    /// Whatever a container wrote, an id is an argument and a file's name that does no harm.
    #[test]
    fn an_id_is_a_plain_word(text in "[-0-9a-f/.\n]{34,38}|\\PC{0,40}") {
        if let Ok(id) = text.parse::<SessionId>() {
            prop_assert!(!id.as_str().starts_with('-'));
            prop_assert!(id.as_str().bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
        }
    }
}

#[test]
fn conversations_are_private_unless_a_directory_is_named() {
    let agent = ProviderName::from_static("claude");
    let target = || "/home/moatuser/.claude/projects".parse().unwrap();
    let mount = SessionStore::default().mount(&agent, target()).unwrap();
    assert_eq!(*mount.source(), MountSource::PrivateToWorkspace("claude-sessions".to_owned()));
    assert_eq!(mount.access(), MountAccess::ReadWrite);

    let own = PathBuf::from("/home/me/.claude/projects/-home-me-project");
    let mount = SessionStore::Shared(own.clone()).mount(&agent, target()).unwrap();
    assert_eq!(*mount.source(), MountSource::Host(own));
}

#[test]
fn a_wide_directory_is_not_shared() {
    let agent = ProviderName::from_static("claude");
    for directory in
        ["", "/", "/home/me", "/home/me/.claude", "relative/a/b/c/d", "/home/me/.claude/../.ssh/x"]
    {
        let target = "/home/moatuser/.claude/projects".parse().unwrap();
        let error = SessionStore::Shared(directory.into()).mount(&agent, target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{directory}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn the_id_of_a_conversation_is_known_where_it_is_not_the_latest() {
    let entropy = FakeEntropy::default();
    let of = |session: &Session| SessionId::of_session(session, &entropy);
    let (first, second) = (of(&Session::Fresh).unwrap(), of(&Session::Fresh).unwrap());
    assert!(first.is_some() && first != second);
    let id = first.unwrap();
    assert_eq!(of(&Session::Resume(id.to_string())).unwrap().as_ref(), Some(&id));
    assert_eq!(of(&Session::Continue).unwrap(), None);
    assert!(of(&Session::Resume("latest".to_owned())).is_err());

    let kept = |text: &str| {
        let state = [("id".to_owned(), text.to_owned())].into_iter().collect();
        SessionId::kept(&state, "id")
    };
    assert_eq!(kept(id.as_str()), Some(id));
    for odd in ["", "--help", "../x"] {
        assert_eq!(kept(odd), None);
    }
}
