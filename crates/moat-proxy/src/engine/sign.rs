//! Signing anew what was signed with a run's dummy key.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request;
use moat_provider_core::{BodySigning, Error, ErrorKind, Slot};
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use super::apply::Matched;
use super::body::HeldBody;
use super::carried::is_empty;
use super::generation::Generation;
use super::not_used::NotUsed;
use super::plan::{How, Plan, Used};
use super::table::{Signing, first};
use crate::{Mode, Reason, Refusal};

/// Signs the head with the rule whose placeholder stands in it, if there is one.
///
/// # Errors
///
/// A refusal.
pub(super) fn head<'a>(
    request: &mut request::Parts,
    matched: &Matched<'a>,
    generation: &Generation,
    now: OffsetDateTime,
    held: &mut HeldBody,
    plan: &mut Plan,
) -> Result<Option<&'a Arc<Signing>>, Refusal> {
    if matched.signers.is_empty() {
        return Ok(None);
    }
    let query = request.uri.query().unwrap_or_default().to_owned();
    let decoded = percent_decode_str(&query).decode_utf8_lossy().into_owned();
    let asked: Vec<&Arc<Signing>> = matched
        .signers
        .iter()
        .copied()
        .filter(|signing| {
            let id = signing.rule.placeholder().as_str();
            claimed(request, signing).any(|text| holds(text, id))
                || holds(&query, id)
                || holds(&decoded, id)
        })
        .collect();
    let Some(signing) = first(&asked) else {
        check_unsigned(request, matched, generation, &decoded)?;
        plan.not_used = plan.not_used.or_else(|| own_signature(request, matched));
        return Ok(None);
    };
    let how = signing.rule.signer().sign(request, &signing.secrets, now);
    let how = how.map_err(|error| not_signed(signing, request, &error))?;
    match how {
        BodySigning::HeadOnly => {}
        BodySigning::Whole { limit, finish } => held.finish_with(limit, finish, signing),
        BodySigning::Stream(signer) => held.stream_through(signer, signing),
        _ => return Err(Refusal::new(Reason::SigningFailed).rule(&signing.label.text)),
    }
    mark_sensitive(request, signing);
    plan.used.push(Used::new(&signing.label, How::Signed));
    Ok(Some(signing))
}

/// Says why a signer did not sign: what it tells the client, or no more than that it failed; in the
/// form of the vendor's errors, if the signer knows it.
pub(super) fn not_signed(signing: &Signing, head: &request::Parts, error: &Error) -> Refusal {
    let reason = why_not_signed(error);
    let refusal = Refusal::new(reason).rule(&signing.label.text);
    let refusal = match error.hint() {
        _ if reason == Reason::SigningFailed => refusal,
        Some(hint) => refusal.about(error.message()).fix(hint),
        None => refusal.about(error.message()),
    };
    in_form(signing, head, refusal)
}

/// Writes a refusal in the form of the vendor's errors, if the signer knows it.
fn in_form(signing: &Signing, head: &request::Parts, refusal: Refusal) -> Refusal {
    let message = match refusal.remedy() {
        Some(remedy) => format!("{refusal}; {remedy}"),
        None => refusal.to_string(),
    };
    match signing.rule.signer().refusal(head, &message) {
        Some(body) => refusal.in_form(body),
        None => refusal,
    }
}

/// Returns the reason for which a signer did not sign a head or a body.
pub(crate) fn why_not_signed(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::Unauthenticated => Reason::BadSignature,
        ErrorKind::Unsupported => Reason::UnsupportedSignature,
        ErrorKind::PermissionDenied => Reason::SigningRefused,
        _ => Reason::SigningFailed,
    }
}

/// Keeps what a signer set out of `Debug` and of HPACK's table.
pub(super) fn mark_sensitive(request: &mut request::Parts, signing: &Signing) {
    let claims = signing.rule.signer().claims();
    for (_, value) in request.headers.iter_mut().filter(|(name, _)| claims.contains(name)) {
        value.set_sensitive(true);
    }
}

/// The texts of the headers that a signature sets.
fn claimed<'a>(request: &'a request::Parts, signing: &'a Signing) -> impl Iterator<Item = &'a str> {
    let names = signing.rule.signer().claims().iter();
    names.flat_map(|name| request.headers.get_all(name)).filter_map(|value| value.to_str().ok())
}

/// Whether a text holds an id as a word of its own.
fn holds(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + id.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Looks at a request that none of the run's dummy keys signed.
fn check_unsigned(
    request: &request::Parts,
    matched: &Matched<'_>,
    generation: &Generation,
    query: &str,
) -> Result<(), Refusal> {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    for signing in &matched.signers {
        let mut words = claimed(request, signing)
            .chain(std::iter::once(query))
            .flat_map(|text| text.split(is_separator));
        if words.any(|word| generation.known().is_foreign(word)) {
            let refusal = Refusal::new(Reason::StalePlaceholder).rule(&signing.label.text);
            return Err(in_form(signing, request, refusal));
        }
    }
    match own_signature(request, matched) {
        Some(_) if generation.mode() == Mode::Strict => {
            let refusal = Refusal::new(Reason::ClientCredential);
            Err(match matched.signers.first() {
                Some(signing) => in_form(signing, request, refusal),
                None => refusal,
            })
        }
        _ => Ok(()),
    }
}

/// Whether the client signed with a key of its own; what a slot group looks at is left to it.
fn own_signature(request: &request::Parts, matched: &Matched<'_>) -> Option<NotUsed> {
    let in_group =
        |slot: &Slot| matched.credentials.iter().any(|filling| filling.slots.contains(slot));
    let is_claimed = |signing: &Arc<Signing>| {
        signing.rule.signer().claims().contains(&AUTHORIZATION)
            && !in_group(&Slot::Header(AUTHORIZATION))
    };
    let is_there = request
        .headers
        .get_all(AUTHORIZATION)
        .iter()
        .any(|value| value.to_str().map_or(true, |text| !is_empty(text)));
    (is_there && matched.signers.iter().any(|signing| is_claimed(signing)))
        .then_some(NotUsed::ClientCredential)
}
