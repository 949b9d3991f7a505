//! Access keys: of the person, of a session, and the dummies of a run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moat_provider_core::{
    Alphabet, CredentialKey, Placeholder, PlaceholderShape, Result, RunContext, Secret, SecretName,
    Secrets,
};
use sha2::{Digest, Sha256};

/// The minted session's key id.
pub(crate) const SESSION_ID: SecretName = SecretName::from_static("session_access_key_id");
/// The minted session's secret key.
pub(crate) const SESSION_SECRET: SecretName = SecretName::from_static("session_secret_access_key");
/// The minted session's token.
pub(crate) const SESSION_TOKEN: SecretName = SecretName::from_static("session_token");

/// What a mint yields.
pub(crate) static MINTED: [SecretName; 3] = [SESSION_ID, SESSION_SECRET, SESSION_TOKEN];

/// An access key with its secret, and a token if it is temporary.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
}

impl Keys {
    /// Returns the session of a run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`](moat_provider_core::ErrorKind::CredentialNotFound) when
    /// there is none.
    pub(crate) fn of_session(secrets: &Secrets) -> Result<Self> {
        Ok(Self {
            id: secrets.require(&SESSION_ID)?.clone(),
            secret: secrets.require(&SESSION_SECRET)?.clone(),
            token: Some(secrets.require(&SESSION_TOKEN)?.clone()),
        })
    }

    /// Turns a session into what a mint yields.
    pub(crate) fn into_minted(self) -> Secrets {
        let token = self.token.unwrap_or_else(|| Secret::new(String::new()));
        [(SESSION_ID, self.id), (SESSION_SECRET, self.secret), (SESSION_TOKEN, token)]
            .into_iter()
            .collect()
    }
}

/// The keys that a container gets: of the shape of a user's long-lived ones, so that programs look
/// for no token, and good for nothing but to tell the run.
#[derive(Clone, Debug)]
pub(crate) struct DummyKeys {
    pub(crate) id: Placeholder,
    pub(crate) secret: String,
}

impl DummyKeys {
    /// Derives the keys of one grant in one run.
    ///
    /// # Errors
    ///
    /// Those of [`RunContext::placeholder`].
    pub(crate) fn of(grant: &CredentialKey, run: &RunContext) -> Result<Self> {
        let id = run.placeholder(grant, "access_key_id", &id_shape())?;
        let seed = PlaceholderShape::new().random(Alphabet::Alphanumeric, 43);
        let seed = run.placeholder(grant, "secret_access_key", &seed)?;
        // The secret never travels: only signatures made with it do. So no rule looks for it, and
        // it carries no tag by which a proxy would.
        let digest = Sha256::digest(format!("moat aws dummy key {seed}"));
        let mut secret = STANDARD.encode(digest);
        secret.truncate(40);
        Ok(Self { id, secret })
    }
}

/// `AKIA` and 16 characters of Base32 (IAM user guide, "IAM identifiers": unique ID prefixes).
fn id_shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("AKIA", Alphabet::Base32, 16)
}
