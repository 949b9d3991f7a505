//! Secrets show nothing; errors and credentials neither.

use std::error::Error as _;

use moat_provider_core::{
    Credential, CredentialRecord, Error, ErrorKind, GrantError, ProviderName, Secret, SecretName,
    Secrets,
};

use crate::support::{credential, key};

const TOKEN: &str = "hunter2-hunter2";

fn secret() -> Secret {
    Secret::new(TOKEN.to_owned())
}

#[test]
fn debug_shows_nothing() {
    let name: SecretName = "refresh_token".parse().unwrap();
    let credential = credential("github", TOKEN).renew().secret(name.clone(), secret());
    let shown = [
        format!("{:?}", secret()),
        format!("{:?}", Secrets::from_iter([(name, secret())])),
        format!("{credential:?}"),
        format!("{:#?}", credential.build()),
        format!("{:?}", CredentialRecord::from(&self::credential("github", TOKEN))),
    ];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn equal_secrets_are_the_same() {
    assert!(secret().same_as(&secret()));
    assert!(!secret().same_as(&Secret::new("hunter2-hunter3".into())));
    assert!(!secret().same_as(&Secret::new(String::new())));
}

#[test]
fn white_space_around_a_secret_goes() {
    assert!(Secret::new(format!(" {TOKEN}\r\n")).trimmed().same_as(&secret()));
    assert!(secret().trimmed().same_as(&secret()));
    assert!(Secret::new(" \n".into()).trimmed().is_empty());
}

#[test]
fn bytes_that_are_not_text_are_not_shown() {
    let error = Secret::from_utf8(vec![b'h', b'u', b'n', 0xff]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedAnswer);
    assert!(!format!("{error:?}").contains("hun"), "{error:?}");
}

#[test]
fn a_missing_secret_is_named() {
    let error = Secrets::default().require(&SecretName::REFRESH_TOKEN).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
    assert!(error.message().contains("refresh_token"));
}

#[test]
fn a_renewal_keeps_what_it_does_not_set() {
    let first = Credential::builder(key("github"), secret(), time::OffsetDateTime::UNIX_EPOCH)
        .secret(SecretName::REFRESH_TOKEN, secret())
        .metadata("login", "octocat")
        .scopes(["repo"])
        .build();
    let next = first.renew().token(Secret::new("new".into())).build();
    assert_eq!(next.info(), first.info());
    assert!(next.token().same_as(&Secret::new("new".into())));
    assert!(next.secrets().get(&SecretName::REFRESH_TOKEN).unwrap().same_as(&secret()));
}

#[test]
fn a_grant_error_prints_cause_blank_line_hint() {
    const NAME: ProviderName = ProviderName::from_static("github");
    let error = |error: Error| -> GrantError { error.in_grant_of(&NAME) };
    let bare = error(Error::new(ErrorKind::TimedOut, "no answer within 10 seconds"));
    assert_eq!(bare.to_string(), "no answer within 10 seconds");
    let hinted = error(
        Error::new(ErrorKind::Unauthenticated, "GitHub does not accept the token")
            .with_hint("run `moat grant github`")
            .with_source(Error::invalid("inner")),
    );
    assert_eq!(hinted.to_string(), "GitHub does not accept the token\n\nrun `moat grant github`");
    assert_eq!(hinted.source().unwrap().to_string(), "inner");
    assert_eq!((hinted.provider(), hinted.kind()), (&NAME, ErrorKind::Unauthenticated));
}

#[test]
fn an_error_is_one_pointer() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert!(ErrorKind::Offline.is_transient() && !ErrorKind::TokenRevoked.is_transient());
}
