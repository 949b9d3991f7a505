//! Credentials: what a grant produced.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{CredentialKey, Result, Secret, SecretName, Secrets};

/// Everything about a credential but its secrets: what the pure methods of providers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialInfo {
    key: CredentialKey,
    scopes: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    metadata: BTreeMap<String, String>,
    secret_names: Vec<SecretName>,
}

impl CredentialInfo {
    /// Returns the canonical identity.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// Returns the OAuth scopes that the vendor granted.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Returns when the credential ceases to be valid; `None` when that is not known or never.
    #[must_use]
    pub fn expires_at(&self) -> Option<OffsetDateTime> {
        self.expires_at
    }

    /// Whether the credential is past its expiry.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Returns when it was granted. A refresh does not change it.
    #[must_use]
    pub fn created_at(&self) -> OffsetDateTime {
        self.created_at
    }

    /// Returns one entry of the metadata.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// Returns the metadata: printable by definition, no secrets.
    #[must_use]
    pub fn all_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Returns who else refreshes this credential, from [`Credential::REFRESHED_BY`]: a host then
    /// leaves its refresh token alone.
    #[must_use]
    pub fn refreshed_by(&self) -> Option<&str> {
        self.metadata(Credential::REFRESHED_BY)
    }

    /// Returns the names of the secrets in order.
    #[must_use]
    pub fn secret_names(&self) -> &[SecretName] {
        &self.secret_names
    }
}

/// A credential: its [`CredentialInfo`] and its secrets.
///
/// Not serialisable; the store goes through [`CredentialRecord`](crate::CredentialRecord).
#[derive(Clone)]
pub struct Credential {
    info: CredentialInfo,
    secrets: Secrets,
    /// Fields of the record that this version does not know.
    unknown: Map<String, Value>,
}

impl Credential {
    /// The metadata entry that says how the token was obtained: `env`, `cli`, `prompt`.
    pub const TOKEN_SOURCE: &'static str = "token_source";

    /// The metadata entry that names the program to which the refresh token belongs, when that is
    /// not this host: `codex`, `moat (Go)`.
    ///
    /// A refresh token has one owner (law L14), and many vendors let it be used once only. A
    /// credential that was copied from another program carries this entry, and no host refreshes it
    /// until the person says that the other program is done with it.
    pub const REFRESHED_BY: &'static str = "refreshed_by";

    /// Begins a credential with its main token.
    #[must_use]
    pub fn builder(
        key: CredentialKey,
        token: Secret,
        created_at: OffsetDateTime,
    ) -> CredentialBuilder {
        CredentialBuilder {
            info: CredentialInfo {
                key,
                scopes: Vec::new(),
                expires_at: None,
                created_at,
                metadata: BTreeMap::new(),
                secret_names: Vec::new(),
            },
            secrets: BTreeMap::from([(SecretName::TOKEN, token)]),
            unknown: Map::new(),
        }
    }

    /// Copies a credential of another representation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when its provider's name is not
    /// a [`CredentialKey`].
    pub fn from_legacy(legacy: &dyn LegacyCredential) -> Result<Self> {
        let key = legacy.provider().parse()?;
        let mut builder = Self::builder(key, legacy.token(), legacy.created_at())
            .scopes(legacy.scopes())
            .expires_at(legacy.expires_at());
        builder.info.metadata = legacy.metadata();
        Ok(builder.build())
    }

    /// Begins the next generation: identity, creation time, metadata, unknown fields and secrets
    /// are those of this one until they are set anew.
    #[must_use]
    pub fn renew(&self) -> CredentialBuilder {
        CredentialBuilder {
            info: self.info.clone(),
            secrets: self.secrets.to_map(),
            unknown: self.unknown.clone(),
        }
    }

    /// Returns everything but the secrets.
    #[must_use]
    pub fn info(&self) -> &CredentialInfo {
        &self.info
    }

    /// Returns the canonical identity.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.info.key
    }

    /// Returns the secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the main token.
    #[must_use]
    pub fn token(&self) -> &Secret {
        #[expect(clippy::expect_used, reason = "the builder starts with the token")]
        self.secrets.get(&SecretName::TOKEN).expect("a credential has a token")
    }

    pub(crate) fn unknown(&self) -> &Map<String, Value> {
        &self.unknown
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Collects the parts of a [`Credential`].
pub struct CredentialBuilder {
    info: CredentialInfo,
    secrets: BTreeMap<SecretName, Secret>,
    unknown: Map<String, Value>,
}

impl CredentialBuilder {
    /// Sets the main token.
    #[must_use]
    pub fn token(self, token: Secret) -> Self {
        self.secret(SecretName::TOKEN, token)
    }

    /// Sets a secret.
    #[must_use]
    pub fn secret(mut self, name: SecretName, secret: Secret) -> Self {
        self.secrets.insert(name, secret);
        self
    }

    /// Sets the scopes.
    #[must_use]
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.info.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets or clears the expiry.
    #[must_use]
    pub fn expires_at(mut self, expiry: impl Into<Option<OffsetDateTime>>) -> Self {
        self.info.expires_at = expiry.into();
        self
    }

    /// Sets an entry of the metadata. It is printed to people: no secret goes here.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.info.metadata.insert(name.into(), value.into());
        self
    }

    /// Drops an entry of the metadata.
    #[must_use]
    pub fn without_metadata(mut self, name: &str) -> Self {
        self.info.metadata.remove(name);
        self
    }

    pub(crate) fn unknown(mut self, unknown: Map<String, Value>) -> Self {
        self.unknown = unknown;
        self
    }

    /// Finishes the credential.
    #[must_use]
    pub fn build(mut self) -> Credential {
        self.info.secret_names = self.secrets.keys().cloned().collect();
        Credential {
            info: self.info,
            secrets: self.secrets.into_iter().collect(),
            unknown: self.unknown,
        }
    }
}

impl fmt::Debug for CredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialBuilder").field("info", &self.info).finish_non_exhaustive()
    }
}

/// A credential in a representation of another program, for [`Credential::from_legacy`].
pub trait LegacyCredential {
    /// Returns the text of the provider's name, with the qualifier if there is one.
    fn provider(&self) -> String;

    /// Returns the main token.
    fn token(&self) -> Secret;

    /// Returns the scopes.
    fn scopes(&self) -> Vec<String>;

    /// Returns the expiry.
    fn expires_at(&self) -> Option<OffsetDateTime>;

    /// Returns when it was granted.
    fn created_at(&self) -> OffsetDateTime;

    /// Returns the metadata.
    fn metadata(&self) -> BTreeMap<String, String>;
}
