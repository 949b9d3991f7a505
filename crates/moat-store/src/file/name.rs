//! Names of files: what a key or profile is called on disk, and back.
//!
//! Two keys never meet in one file, also where the file system does not tell upper from lower case
//! (APFS, NTFS), and no name holds a colon, which NTFS reads as the name of a stream.

use moat_provider_core::CredentialKey;

use crate::{Profile, Result, StoreError, StoreErrorKind};

/// What the files of records end in.
pub(crate) const RECORD: &str = ".cred";
/// The longest name, without its ending: file systems allow 255 bytes.
const MAX_LEN: usize = 240;
/// Stands for a colon.
const COLON: char = '=';
/// Stands in front of a letter that is upper case.
const SHIFT: char = '+';
/// Stands in front of a name that Windows takes for a device, whatever its ending.
const NO_DEVICE: char = '_';

/// Returns the name of a credential's files without their ending.
///
/// # Errors
///
/// [`StoreErrorKind::InvalidInput`] when the name would be too long for a file system.
pub(crate) fn of_key(key: &CredentialKey) -> Result<String> {
    let name = encode(&key.to_string());
    if name.len() > MAX_LEN {
        return Err(StoreError::new(
            StoreErrorKind::InvalidInput,
            format!("the name {key} is too long to be kept in a file"),
        )
        .with_hint(format!("moat grant {}:shorter-name", key.provider())));
    }
    Ok(name)
}

/// Returns the key to which a file of this name belongs; `None` when it is none of ours.
pub(crate) fn key_of(file_name: &str) -> Option<CredentialKey> {
    decode(file_name.strip_suffix(RECORD)?)?.parse().ok()
}

/// Returns the name of a profile's directory.
pub(crate) fn of_profile(profile: &Profile) -> String {
    encode(profile.as_str())
}

/// Returns the profile to which a directory of this name belongs.
pub(crate) fn profile_of(dir_name: &str) -> Option<Profile> {
    decode(dir_name)?.parse().ok()
}

fn encode(text: &str) -> String {
    let mut name = String::with_capacity(text.len() + 8);
    if is_device(text) {
        name.push(NO_DEVICE);
    }
    for character in text.chars() {
        match character {
            ':' => name.push(COLON),
            'A'..='Z' => {
                name.push(SHIFT);
                name.push(character.to_ascii_lowercase());
            }
            other => name.push(other),
        }
    }
    name
}

fn decode(name: &str) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut characters = name.strip_prefix(NO_DEVICE).unwrap_or(name).chars();
    while let Some(character) = characters.next() {
        match character {
            COLON => text.push(':'),
            SHIFT => {
                text.push(characters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase());
            }
            other => text.push(other),
        }
    }
    // What `encode` would not have written belongs to somebody else.
    (encode(&text) == name).then_some(text)
}

/// Whether the text, up to its first dot or colon, is a name that Windows keeps for a device.
fn is_device(text: &str) -> bool {
    let stem = text.split(['.', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let port = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(&*stem, "con" | "prn" | "aux" | "nul") || port("com") || port("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> String {
        of_key(&key.parse().unwrap()).unwrap()
    }

    #[test]
    fn names_are_readable_and_lead_back() {
        let names = [
            ("github", "github"),
            ("oauth:notion", "oauth=notion"),
            ("mcp:Foo", "mcp=+foo"),
            ("mcp:foo", "mcp=foo"),
            ("aws:me@example.com:eu_1", "aws=me@example.com=eu_1"),
            ("con", "_con"),
            ("nul:x", "_nul=x"),
            ("com1:x", "_com1=x"),
            ("com12", "com12"),
        ];
        for (key, expected) in names {
            assert_eq!(name(key), expected);
            assert_eq!(key_of(&format!("{expected}{RECORD}")).unwrap().to_string(), key);
        }
    }

    #[test]
    fn no_two_keys_share_a_name_whatever_the_case() {
        let keys = ["mcp:aB", "mcp:Ab", "mcp:ab", "mcp:AB", "mcp:a:B", "mcp:a:b", "mcp:a_b"];
        let names: std::collections::BTreeSet<_> =
            keys.iter().map(|key| name(key).to_ascii_lowercase()).collect();
        assert_eq!(names.len(), keys.len());
    }

    #[test]
    fn other_files_are_nobodys() {
        let others = [
            "github",
            "github.tmp",
            ".cred",
            "GitHub.cred",
            "git:hub.cred",
            "a=+.cred",
            "a=+1.cred",
            "_github.cred",
            "con.cred",
            "a==b/../c.cred",
            "..cred",
        ];
        for other in others {
            assert_eq!(key_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_that_no_file_system_takes_is_refused() {
        let key = format!("mcp:{}", "A".repeat(200));
        let error = of_key(&key.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InvalidInput);
        assert!(of_key(&format!("mcp:{}", "a".repeat(200)).parse().unwrap()).is_ok());
    }

    #[test]
    fn profiles_lead_back() {
        for profile in ["default", "Work", "work", "con", "a-b_c"] {
            let profile: Profile = profile.parse().unwrap();
            assert_eq!(profile_of(&of_profile(&profile)), Some(profile));
        }
        assert_eq!(profile_of("Work"), None);
    }
}
