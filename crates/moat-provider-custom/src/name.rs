//! The name of a service: what stands behind the colon of its grant.

use moat_provider_core::{CredentialKey, Error, Result};

use crate::text::shown;

/// The longest name, in bytes.
const LONGEST: usize = 40;
/// What the name of the variable begins with in which a grant looks for a secret.
const VARIABLE_PREFIX: &str = "MOAT_CUSTOM_";

/// Returns the name of the service that a credential is for.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when there is none.
pub(crate) fn of(key: &CredentialKey) -> Result<&str> {
    let Some(name) = key.qualifier() else {
        return Err(Error::invalid("a custom service has a name of your choice behind a colon")
            .with_hint("moat grant custom:NAME --host HOST"));
    };
    check(name).map(|()| name)
}

/// Checks what stands behind the colon: 1 to 40 lower-case ASCII letters, digits and hyphens,
/// beginning with a letter or digit, so that two names are never one variable.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput), with a name that will
/// do.
pub(crate) fn check(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=LONGEST).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} is not the name of a custom service: 1 to {LONGEST} lower-case letters, digits and \
         hyphens",
        shown(name)
    ))
    .with_hint(format!("moat grant custom:{} --host HOST", similar(name))))
}

/// Makes a name of a text.
fn similar(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().take(LONGEST) {
        match character.to_ascii_lowercase() {
            kept if kept.is_ascii_alphanumeric() => name.push(kept),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    match name.trim_end_matches('-') {
        "" => "NAME".to_owned(),
        name => name.to_owned(),
    }
}

/// Returns the variable of the person in which a grant looks for the secret of a service.
pub(crate) fn variable(name: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for name in ["gitlab", "my-api", "0", &"a".repeat(LONGEST)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for (name, similar) in [
            ("", "NAME"),
            ("-", "NAME"),
            ("GitLab", "gitlab"),
            ("my_api", "my-api"),
            ("api.example.com:8443", "api-example-com-8443"),
            ("api-", "api"),
            ("..", "NAME"),
            ("\u{202e}x", "x"),
            (&"a".repeat(LONGEST + 1), &"a".repeat(LONGEST)),
        ] {
            let error = check(name).unwrap_err();
            let hint = format!("moat grant custom:{similar} --host HOST");
            assert_eq!(error.hint(), Some(&*hint), "{name}");
            assert!(similar == "NAME" || check(similar).is_ok(), "{similar}");
        }
    }

    #[test]
    fn each_name_has_a_variable_of_its_own() {
        assert_eq!(variable("my-api"), "MOAT_CUSTOM_MY_API");
    }
}
