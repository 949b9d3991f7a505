//! Secrets that a vendor's answer issues: the host keeps them, the container gets placeholders.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, response};
use moat_provider_core::{
    CredentialKey, HeldField, IssuingHandling, Placeholder, PlaceholderShape, Position, Result,
    Secret, Target,
};

use super::json::{Document, Field};
use super::pairs::edited;
use super::secret_text::take_out;
use super::table::Issuing;
use crate::{Reason, Refusal};

/// A field of an answer that needs a placeholder.
#[derive(Debug)]
pub struct FieldToHold<'a> {
    grant: &'a CredentialKey,
    pointer: &'a str,
    shape: &'a PlaceholderShape,
    secret: &'a Secret,
}

impl<'a> FieldToHold<'a> {
    /// Returns the grant whose endpoint this is.
    #[must_use]
    pub fn grant(&self) -> &'a CredentialKey {
        self.grant
    }

    /// Returns where the field is in the answer, as a JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> &'a str {
        self.pointer
    }

    /// Returns what the placeholder has to look like.
    #[must_use]
    pub fn shape(&self) -> &'a PlaceholderShape {
        self.shape
    }

    /// Returns the value.
    #[must_use]
    pub fn secret(&self) -> &'a Secret {
        self.secret
    }
}

/// A secret that an answer issued, its placeholder, and where the one takes the other's place again.
#[derive(Clone)]
pub struct HeldSecret {
    pub(super) grant: CredentialKey,
    pub(super) placeholder: Placeholder,
    pub(super) secret: Secret,
    pub(super) uses: Vec<(Target, Position)>,
}

impl HeldSecret {
    /// Binds a secret.
    #[must_use]
    pub fn new(
        grant: CredentialKey,
        placeholder: Placeholder,
        secret: Secret,
        uses: Vec<(Target, Position)>,
    ) -> Self {
        Self { grant, placeholder, secret, uses }
    }

    /// Returns the grant whose endpoint issued it.
    #[must_use]
    pub fn grant(&self) -> &CredentialKey {
        &self.grant
    }

    /// Returns the placeholder.
    #[must_use]
    pub fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }

    /// Returns where the secret takes the placeholder's place.
    #[must_use]
    pub fn uses(&self) -> &[(Target, Position)] {
        &self.uses
    }
}

impl fmt::Debug for HeldSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldSecret")
            .field("grant", &self.grant)
            .field("placeholder", &self.placeholder)
            .field("uses", &self.uses)
            .finish_non_exhaustive()
    }
}

/// Takes declared fields out of an answer.
///
/// # Errors
///
/// A refusal: of an answer that issues something in a form that cannot be held, nothing passes. An
/// error of the vendor's passes when it is not JSON, as pages of gateways are not.
pub(super) fn take(
    holds: &[Arc<Issuing>],
    response: &mut response::Parts,
    body: Bytes,
    limit: usize,
    mint: &mut dyn FnMut(&FieldToHold<'_>) -> Result<Placeholder>,
) -> Result<(Bytes, Vec<HeldSecret>), Refusal> {
    let Some(any) = holds.first() else {
        return Ok((body, Vec::new()));
    };
    if body.len() > limit {
        return Err(Refusal::new(Reason::AnswerTooLong).rule(&any.label));
    }
    let Ok(document) = Document::parse(&body) else {
        return match response.status.is_success() && !body.trim_ascii().is_empty() {
            true => Err(Refusal::new(Reason::UnreadableAnswer).rule(&any.label)),
            false => Ok((body, Vec::new())),
        };
    };
    let mut held = Vec::new();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for issuing in holds {
        let IssuingHandling::Hold(fields) = issuing.endpoint.handling() else {
            continue;
        };
        for field in fields {
            if let Some((secret, range)) = hold_field(&document, issuing, field, mint)? {
                if edits.iter().any(|(known, _)| *known == range) {
                    continue;
                }
                edits.push((
                    range,
                    serde_json::Value::from(secret.placeholder.as_str()).to_string(),
                ));
                held.push(secret);
            }
        }
    }
    let body = if edits.is_empty() { body } else { edited(&body, &mut edits).into() };
    let body = held.iter().fold(body, |body, secret| clean(body, response, secret));
    Ok((body, held))
}

fn hold_field(
    document: &Document<'_>,
    issuing: &Issuing,
    field: &HeldField,
    mint: &mut dyn FnMut(&FieldToHold<'_>) -> Result<Placeholder>,
) -> Result<Option<(HeldSecret, Range<usize>)>, Refusal> {
    let unreadable = || Refusal::new(Reason::UnreadableAnswer).rule(&issuing.label);
    let (text, range) = match document.find(field.pointer()) {
        Ok(None | Some(Field::Null)) => return Ok(None),
        Ok(Some(Field::String(text, _))) if text.is_empty() => return Ok(None),
        Ok(Some(Field::String(text, range))) => (text, range),
        Ok(Some(Field::Other)) | Err(_) => return Err(unreadable()),
    };
    let secret = Secret::new(text);
    let wanted = FieldToHold {
        grant: &issuing.grant,
        pointer: field.pointer(),
        shape: field.shape(),
        secret: &secret,
    };
    let placeholder = mint(&wanted).map_err(|_| unreadable())?;
    let uses = field.uses().to_vec();
    Ok(Some((HeldSecret::new(issuing.grant.clone(), placeholder, secret, uses), range)))
}

/// Takes a secret out of the rest of the answer: vendors say it twice.
fn clean(body: Bytes, response: &mut response::Parts, held: &HeldSecret) -> Bytes {
    for value in response.headers.values_mut() {
        let text = value.to_str().ok();
        let cleaned = text.and_then(|text| take_out(text, &held.secret, &held.placeholder));
        if let Some(cleaned) = cleaned.and_then(|text| HeaderValue::from_str(&text).ok()) {
            *value = cleaned;
        }
    }
    let text = std::str::from_utf8(&body).ok();
    match text.and_then(|text| take_out(text, &held.secret, &held.placeholder)) {
        Some(cleaned) => cleaned.into(),
        None => body,
    }
}
