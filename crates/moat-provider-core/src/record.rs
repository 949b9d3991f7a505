//! The JSON form of a credential, as stores keep it before they encrypt it.

use std::collections::BTreeMap;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_core::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::{Credential, CredentialKey, Error, Result, Secret, SecretName};

const PROVIDER: &str = "provider";
const TOKEN: &str = "token";
const SCOPES: &str = "scopes";
const EXPIRES_AT: &str = "expires_at";
const CREATED_AT: &str = "created_at";
const METADATA: &str = "metadata";
const SECRETS: &str = "secrets";

/// A credential as JSON, in both directions.
///
/// | field | value |
/// |---|---|
/// | `provider` | text of the [`CredentialKey`] |
/// | `token` | the main token |
/// | `scopes` | array of strings; absent when empty |
/// | `expires_at` | RFC 3339; absent when there is none. Go's zero time, year 1, reads as none |
/// | `created_at` | RFC 3339 |
/// | `metadata` | object of strings; absent when empty |
/// | `secrets` | object of strings: the further secrets; absent when empty |
///
/// All but `secrets` are the specification's. Fields of other names survive a round trip. A `null`
/// reads as absent.
///
/// The JSON text holds the secrets in the clear: it exists in memory alone, between a store's
/// decryption and [`into_credential`](Self::into_credential).
#[derive(Clone)]
pub struct CredentialRecord {
    provider: String,
    token: Secret,
    scopes: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    metadata: BTreeMap<String, String>,
    secrets: BTreeMap<SecretName, Secret>,
    unknown: Map<String, Value>,
}

impl CredentialRecord {
    /// Reads the JSON form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the text is not such an object; the message gives line and
    /// column and shows nothing of the text.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|error| {
            Error::invalid(format!(
                "the credential's record is damaged: line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }

    /// Returns the text of the provider's name, as it stands in the record.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Sets the canonical identity.
    pub fn set_provider(&mut self, key: &CredentialKey) {
        self.provider = key.to_string();
    }

    /// Returns the main token.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Sets the main token.
    pub fn set_token(&mut self, token: Secret) {
        self.token = token;
    }

    /// Returns the metadata.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Returns the metadata for changes.
    pub fn metadata_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.metadata
    }

    /// Returns the further secrets.
    #[must_use]
    pub fn secrets(&self) -> &BTreeMap<SecretName, Secret> {
        &self.secrets
    }

    /// Returns the further secrets for changes.
    pub fn secrets_mut(&mut self) -> &mut BTreeMap<SecretName, Secret> {
        &mut self.secrets
    }

    /// Moves an entry of the metadata to the secrets: older stores kept refresh tokens there.
    ///
    /// Does nothing when there is no such entry.
    pub fn lift_secret(&mut self, entry: &str, name: SecretName) {
        if let Some(value) = self.metadata.remove(entry) {
            self.secrets.insert(name, Secret::new(value));
        }
    }

    /// Turns the record into a credential.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when `provider` is not the text of a [`CredentialKey`], or a
    /// further secret is named `token`.
    pub fn into_credential(self) -> Result<Credential> {
        if self.secrets.contains_key(&SecretName::TOKEN) {
            return Err(Error::invalid("the credential's record has two secrets named token"));
        }
        let mut builder = Credential::builder(self.provider.parse()?, self.token, self.created_at)
            .scopes(self.scopes)
            .expires_at(self.expires_at)
            .unknown(self.unknown);
        for (name, value) in self.metadata {
            builder = builder.metadata(name, value);
        }
        for (name, secret) in self.secrets {
            builder = builder.secret(name, secret);
        }
        Ok(builder.build())
    }
}

impl From<&Credential> for CredentialRecord {
    fn from(credential: &Credential) -> Self {
        let info = credential.info();
        let mut secrets = credential.secrets().to_map();
        secrets.remove(&SecretName::TOKEN);
        Self {
            provider: info.key().to_string(),
            token: credential.token().clone(),
            scopes: info.scopes().to_vec(),
            expires_at: info.expires_at(),
            created_at: info.created_at(),
            metadata: info.all_metadata().clone(),
            secrets,
            unknown: credential.unknown().clone(),
        }
    }
}

impl fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRecord").field(PROVIDER, &self.provider).finish_non_exhaustive()
    }
}

impl Serialize for CredentialRecord {
    #[expect(clippy::disallowed_methods, reason = "this is the form that stores encrypt")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timestamp = |at: OffsetDateTime| {
            at.to_offset(UtcOffset::UTC)
                .format(&Rfc3339)
                .map_err(|_| S::Error::custom("a time beyond year 9999"))
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(PROVIDER, &self.provider)?;
        map.serialize_entry(TOKEN, self.token.expose())?;
        if !self.scopes.is_empty() {
            map.serialize_entry(SCOPES, &self.scopes)?;
        }
        if let Some(expiry) = self.expires_at {
            map.serialize_entry(EXPIRES_AT, &timestamp(expiry)?)?;
        }
        map.serialize_entry(CREATED_AT, &timestamp(self.created_at)?)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, &self.metadata)?;
        }
        if !self.secrets.is_empty() {
            let secrets: BTreeMap<&str, &str> =
                self.secrets.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
            map.serialize_entry(SECRETS, &secrets)?;
        }
        for (name, value) in &self.unknown {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for CredentialRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = CredentialRecord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a credential's record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CredentialRecord, A::Error> {
        let mut provider: Option<String> = None;
        let mut token: Option<String> = None;
        let mut scopes: Option<Vec<String>> = None;
        let mut expires_at: Option<String> = None;
        let mut created_at: Option<String> = None;
        let mut metadata: Option<BTreeMap<String, String>> = None;
        let mut secrets: Option<BTreeMap<String, String>> = None;
        let mut unknown = Map::new();
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                PROVIDER => provider = map.next_value()?,
                TOKEN => token = map.next_value()?,
                SCOPES => scopes = map.next_value()?,
                EXPIRES_AT => expires_at = map.next_value()?,
                CREATED_AT => created_at = map.next_value()?,
                METADATA => metadata = map.next_value()?,
                SECRETS => secrets = map.next_value()?,
                _ => {
                    unknown.insert(field, map.next_value()?);
                }
            }
        }
        let secrets = secrets.unwrap_or_default().into_iter();
        Ok(CredentialRecord {
            provider: provider.ok_or_else(|| A::Error::missing_field(PROVIDER))?,
            token: token.map(Secret::new).ok_or_else(|| A::Error::missing_field(TOKEN))?,
            scopes: scopes.unwrap_or_default(),
            expires_at: expires_at.map(|at| parse_time(&at)).transpose()?.filter(|at| !is_zero(at)),
            created_at: created_at
                .map(|at| parse_time(&at))
                .transpose()?
                .ok_or_else(|| A::Error::missing_field(CREATED_AT))?,
            metadata: metadata.unwrap_or_default(),
            secrets: secrets
                .map(|(name, value)| Ok((name.parse()?, Secret::new(value))))
                .collect::<Result<_>>()
                .map_err(A::Error::custom)?,
            unknown,
        })
    }
}

fn parse_time<E: serde_core::de::Error>(text: &str) -> Result<OffsetDateTime, E> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| E::custom("not a time of RFC 3339"))
}

/// Go writes the zero `time.Time`, the first instant of year 1 in UTC, for "no time".
fn is_zero(at: &OffsetDateTime) -> bool {
    at.unix_timestamp() == -62_135_596_800
}
