//! Replacing placeholders at declared positions of a request's head.

use std::ops::Range;
use std::sync::Arc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderName, HeaderValue, request};
use moat_provider_core::Position;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::apply::Matched;
use super::carried::{Known, split_scheme};
use super::pairs::{edited, pairs, set_path_and_query};
use super::plan::{How, Plan, Used};
use super::table::{Substituting, first};
use super::{hygiene, list, secret_text};
use crate::{Reason, Refusal};

type Edits = Vec<(Range<usize>, Zeroizing<String>)>;

/// Whether some rule replaces a placeholder in a header or in the query of this request.
pub(super) fn asks(matched: &Matched<'_>, text: &str) -> bool {
    matched.substitutions.iter().any(|substituting| {
        matches!(substituting.rule.position(), Position::Header(_) | Position::QueryKey(_))
            && substituting.rule.placeholder().as_str() == text
    })
}

/// Replaces what stands in the head.
///
/// # Errors
///
/// A refusal.
pub(super) fn head(
    request: &mut request::Parts,
    matched: &Matched<'_>,
    known: &Known,
    filled: &[HeaderName],
    plan: &mut Plan,
) -> Result<(), Refusal> {
    if matched.substitutions.is_empty() {
        return Ok(());
    }
    let mut edits = Edits::new();
    let rules = &matched.substitutions;
    let mut at = At { rules, known, plan, done: Vec::new() };
    for rule in &matched.substitutions {
        match rule.rule.position() {
            // What a rule of a group filled has been judged already.
            Position::Header(name) if filled.contains(name) => {}
            // Several rules may name one position: it is seen to once.
            position if at.done.contains(&position) => {}
            position => {
                match position {
                    Position::QueryKey(key) => at.query(request, rule, key, &mut edits)?,
                    Position::Header(name) => at.header(request, rule, name)?,
                    Position::PathSegment { prefix } => {
                        at.path(request, position, prefix, &mut edits)?
                    }
                    Position::Subprotocol { prefix } => {
                        at.subprotocol(request, position, prefix)?
                    }
                    _ => {}
                }
                at.done.push(position);
            }
        }
    }
    if edits.is_empty() {
        return Ok(());
    }
    let target = request.uri.path_and_query().map_or("", |target| target.as_str());
    let target = edited(target.as_bytes(), &mut edits);
    set_path_and_query(&mut request.uri, target).map_err(|_| Refusal::new(Reason::UnfitSecret))
}

/// Returns the rule that replaces a text at a position.
pub(super) fn rule_for<'a>(
    rules: &[&'a Arc<Substituting>],
    text: &str,
    position: &Position,
) -> Option<&'a Arc<Substituting>> {
    let asked = |rule: &&&Arc<Substituting>| {
        rule.rule.position() == position && rule.rule.placeholder().as_str() == text
    };
    let asked: Vec<&Arc<Substituting>> = rules.iter().filter(asked).copied().collect();
    first(&asked)
}

struct At<'a, 'b> {
    rules: &'a [&'a Arc<Substituting>],
    known: &'a Known,
    plan: &'b mut Plan,
    done: Vec<&'a Position>,
}

impl<'a> At<'a, '_> {
    fn used(&mut self, rule: &Substituting) {
        self.plan.used.push(Used::new(&rule.label, How::Substituted));
    }

    fn check_stale(&self, text: &str) -> Result<(), Refusal> {
        if self.known.is_foreign(text) {
            return Err(Reason::StalePlaceholder.into());
        }
        Ok(())
    }

    /// The first segment that carries a placeholder; a second one is a text like any other.
    fn path(
        &mut self,
        request: &request::Parts,
        position: &Position,
        prefix: &str,
        edits: &mut Edits,
    ) -> Result<(), Refusal> {
        let mut start = 0;
        for raw in request.uri.path().split('/') {
            let end = start + raw.len();
            if let Some(skipped) = raw_len_of(raw, prefix) {
                let value = percent_decode_str(&raw[skipped..]).decode_utf8_lossy();
                if let Some(rule) = self.rule_for(&value, position) {
                    edits.push((start + skipped..end, secret_text::in_segment(&rule.secret)));
                    self.used(rule);
                    return Ok(());
                }
                self.check_stale(&value)?;
            }
            start = end + 1;
        }
        Ok(())
    }

    fn query(
        &mut self,
        request: &request::Parts,
        rule: &Substituting,
        key: &str,
        edits: &mut Edits,
    ) -> Result<(), Refusal> {
        let query = request.uri.query().unwrap_or_default().as_bytes();
        // A target without a path, `?key=value`, is one whose path shows as a slash.
        let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let offset = target.saturating_sub(query.len());
        let mut winner: Option<&'a Arc<Substituting>> = None;
        let mut others = false;
        for pair in pairs(query) {
            if pair.hides(query, key) {
                return Err(Refusal::new(Reason::QueryAmbiguous).rule(&rule.label.text));
            }
            if !pair.is(key) {
                continue;
            }
            let text = pair.text().unwrap_or_default();
            match self.rule_for(text, rule.rule.position()) {
                Some(asked) => {
                    others |= winner.is_some_and(|won| !Arc::ptr_eq(won, asked));
                    winner = Some(asked);
                    let range = pair.raw_value.start + offset..pair.raw_value.end + offset;
                    edits.push((range, secret_text::in_query(&asked.secret)));
                }
                None => {
                    self.check_stale(text)?;
                    others = true;
                }
            }
        }
        self.settle(winner, others)
    }

    fn header(
        &mut self,
        request: &mut request::Parts,
        rule: &Substituting,
        name: &HeaderName,
    ) -> Result<(), Refusal> {
        hygiene::remove_variants(&mut request.headers, std::iter::once(name));
        let mut winner: Option<&'a Arc<Substituting>> = None;
        let mut others = false;
        let mut values = Vec::new();
        for value in request.headers.get_all(name) {
            let text = value.to_str().unwrap_or_default();
            let (scheme, text) = match split_scheme(text) {
                Some((scheme, rest)) => (Some(scheme), rest),
                None => (None, text.trim()),
            };
            match self.rule_for(text, rule.rule.position()) {
                Some(asked) => {
                    others |= winner.is_some_and(|won| !Arc::ptr_eq(won, asked));
                    winner = Some(asked);
                    values.push(
                        secret_text::header(scheme, &asked.secret).map_err(|_| {
                            Refusal::new(Reason::UnfitSecret).rule(&asked.label.text)
                        })?,
                    );
                }
                None => {
                    self.check_stale(text)?;
                    // A value that is no text is something else all the more.
                    others |= !value.as_bytes().trim_ascii().is_empty();
                }
            }
        }
        if winner.is_some() && !others {
            request.headers.remove(name);
            for value in values {
                request.headers.append(name, value);
            }
        }
        self.settle(winner, others)
    }

    /// Members of `Sec-WebSocket-Protocol`; what the server selects of them is turned back.
    fn subprotocol(
        &mut self,
        request: &mut request::Parts,
        position: &Position,
        prefix: &str,
    ) -> Result<(), Refusal> {
        let mut asked = Vec::new();
        let mut lines = Vec::new();
        for line in request.headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
            let line = line.as_bytes();
            let mut edits = Edits::new();
            for member in list::members(line) {
                let Some(rest) = member.strip_prefix(prefix.as_bytes()) else { continue };
                let rest = String::from_utf8_lossy(rest);
                if let Some(rule) = self.rule_for(&rest, position) {
                    asked.push(rule);
                    let start = member.as_ptr() as usize - line.as_ptr() as usize;
                    let range = start..start + member.len();
                    edits.push((range, secret_text::subprotocol(prefix, &rule.secret)));
                } else {
                    self.check_stale(&rest)?;
                }
            }
            lines.push(Zeroizing::new(edited(line, &mut edits)));
        }
        if asked.is_empty() {
            return Ok(());
        }
        request.headers.remove(SEC_WEBSOCKET_PROTOCOL);
        for line in lines {
            let mut value = HeaderValue::from_bytes(&line).map_err(|_| Reason::UnfitSecret)?;
            value.set_sensitive(true);
            request.headers.append(SEC_WEBSOCKET_PROTOCOL, value);
        }
        for rule in asked {
            let offered = format!("{prefix}{}", rule.rule.placeholder());
            self.plan.answer.turn_back(secret_text::subprotocol(prefix, &rule.secret), offered);
            self.used(rule);
        }
        Ok(())
    }

    /// The rule that replaces a text at a position.
    fn rule_for(&self, text: &str, position: &Position) -> Option<&'a Arc<Substituting>> {
        rule_for(self.rules, text, position)
    }

    /// A position that holds a placeholder holds nothing else.
    fn settle(
        &mut self,
        winner: Option<&'a Arc<Substituting>>,
        others: bool,
    ) -> Result<(), Refusal> {
        match winner {
            Some(rule) if others => {
                Err(Refusal::new(Reason::MixedCredentials).rule(&rule.label.text))
            }
            Some(rule) => {
                self.used(rule);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// How many bytes of a raw segment are a literal prefix, once decoded.
fn raw_len_of(raw: &str, prefix: &str) -> Option<usize> {
    let mut at = 0;
    for expected in prefix.bytes() {
        let bytes = raw.as_bytes().get(at..)?;
        let (byte, len) = match bytes {
            [b'%', high, low, ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, 3)
            }
            [byte, ..] => (*byte, 1),
            [] => return None,
        };
        if byte != expected {
            return None;
        }
        at += len;
    }
    Some(at)
}
