//! Bodies of requests that have to be held, because a rule looks into them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::request;
use moat_provider_core::{BodySigner, Position, WholeBodySigner};
use zeroize::Zeroizing;

use super::answer::AnswerPlan;
use super::carried::Known;
use super::issuing::{self, Operations};
use super::json::{Document, Field, Unreadable};
use super::media::{self, Media, is_compressed};
use super::pairs::{edited, pairs};
use super::plan::{BodyPlan, How, Used};
use super::secret_text;
use super::sign::{mark_sensitive, not_signed};
use super::substitute::rule_for;
use super::table::{Issuing, Signing, Substituting};
use crate::path::overrides_method;
use crate::{Reason, Refusal};

type Edits = Vec<(Range<usize>, Zeroizing<String>)>;

/// What is to be done with a body.
#[derive(Default)]
pub(super) struct HeldBody {
    /// The least of the bounds; `None` while nothing needs the body.
    limit: Option<usize>,
    operations: Option<Operations>,
    positions: Option<Positions>,
    /// The endpoint that a method in this body would lead to.
    no_method: Option<Arc<Issuing>>,
    finish: Option<(WholeBodySigner, Arc<Signing>)>,
    stream: Option<(Box<dyn BodySigner>, Arc<Signing>)>,
}

/// Placeholders to look for.
struct Positions {
    rules: Vec<Arc<Substituting>>,
    media: Media,
    known: Known,
}

impl HeldBody {
    fn bound(&mut self, limit: usize) {
        self.limit = Some(self.limit.map_or(limit, |known| known.min(limit)));
    }

    /// Has GraphQL operations judged.
    pub(super) fn read_operations(&mut self, operations: Operations, limit: usize) {
        self.bound(limit);
        self.operations = Some(operations);
    }

    /// Has a body refused that is a form with a field for the method.
    pub(super) fn read_method(&mut self, issuing: &Arc<Issuing>, limit: usize) {
        self.bound(limit);
        self.no_method = Some(issuing.clone());
    }

    /// Has a signature completed.
    pub(super) fn finish_with(
        &mut self,
        limit: usize,
        finish: WholeBodySigner,
        signing: &Arc<Signing>,
    ) {
        self.bound(limit);
        self.finish = Some((finish, signing.clone()));
    }

    /// Has the body signed piece by piece.
    pub(super) fn stream_through(&mut self, signer: Box<dyn BodySigner>, signing: &Arc<Signing>) {
        self.stream = Some((signer, signing.clone()));
    }

    /// Has placeholders replaced, when the body is one that can hold the positions.
    ///
    /// # Errors
    ///
    /// [`Reason::CompressedBody`].
    pub(super) fn substitute(
        &mut self,
        request: &request::Parts,
        rules: &[&Arc<Substituting>],
        known: &Known,
    ) -> Result<(), Refusal> {
        if !rules.iter().any(|rule| rule.rule.position().is_in_body()) {
            return Ok(());
        }
        let media = Media::of(&request.headers);
        let fits = |rule: &&&Arc<Substituting>| match rule.rule.position() {
            Position::FormField(_) => media == Media::Form,
            Position::JsonField(_) => media == Media::Json,
            _ => false,
        };
        let rules: Vec<Arc<Substituting>> =
            rules.iter().filter(fits).map(|rule| Arc::clone(rule)).collect();
        let Some(any) = rules.first() else {
            return Ok(());
        };
        if is_compressed(&request.headers) {
            return Err(Refusal::new(Reason::CompressedBody).rule(&any.label.text));
        }
        for limit in rules.iter().filter_map(|rule| rule.rule.held_body()) {
            self.bound(limit);
        }
        self.positions = Some(Positions { rules, media, known: known.clone() });
        Ok(())
    }

    /// Decides, when everything is known that the head tells.
    ///
    /// # Errors
    ///
    /// [`Reason::BodyTooLong`].
    pub(super) fn plan(mut self, request: &request::Parts) -> Result<BodyPlan, Refusal> {
        match self.limit {
            Some(limit)
                if media::length(&request.headers).is_some_and(|len| len > limit as u64) =>
            {
                Err(Reason::BodyTooLong.into())
            }
            Some(_) => Ok(BodyPlan::Hold(Box::new(self))),
            None => Ok(match self.stream.take() {
                Some((signer, _)) => BodyPlan::Sign(signer),
                None => BodyPlan::Stream,
            }),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(0)
    }

    /// Does everything, and returns what goes to the vendor.
    ///
    /// # Errors
    ///
    /// A refusal.
    pub(super) fn finish(
        self,
        mut body: Bytes,
        head: &mut request::Parts,
        used: &mut Vec<Used>,
        answer: &mut AnswerPlan,
    ) -> Result<Bytes, Refusal> {
        if body.len() > self.limit() {
            return Err(Reason::BodyTooLong.into());
        }
        if let Some(issuing) = self.no_method.as_ref().filter(|_| overrides_method(&body)) {
            return Err(issuing::by_another_method(issuing));
        }
        if let Some(operations) = &self.operations {
            operations.judge_body(&body, answer)?;
        }
        if let Some(positions) = &self.positions {
            body = positions.replace(body, used)?;
        }
        media::set_length(&mut head.headers, body.len());
        if let Some((finish, signing)) = self.finish {
            finish(&body, head).map_err(|error| not_signed(&signing, head, &error))?;
            mark_sensitive(head, &signing);
        }
        if let Some((mut signer, signing)) = self.stream {
            let signed = signer.data(body).and_then(|first| Ok([first, signer.end()?]));
            let [first, last] = signed.map_err(|error| not_signed(&signing, head, &error))?;
            body = [first, last].concat().into();
            media::set_length(&mut head.headers, body.len());
        }
        Ok(body)
    }
}

impl Positions {
    fn replace(&self, body: Bytes, used: &mut Vec<Used>) -> Result<Bytes, Refusal> {
        let rules: Vec<&Arc<Substituting>> = self.rules.iter().collect();
        let mut edits = Edits::new();
        let mut done: Vec<&Position> = Vec::new();
        for rule in &rules {
            let position = rule.rule.position();
            if done.contains(&position) {
                continue;
            }
            done.push(position);
            let found = match position {
                Position::FormField(key) => self.in_form(&rules, position, &body, key, &mut edits),
                Position::JsonField(pointer) => {
                    self.in_json(&rules, position, &body, pointer, &mut edits)
                }
                _ => Ok(None),
            };
            let found = found.map_err(|reason| Refusal::new(reason).rule(&rule.label.text))?;
            used.extend(found.map(|rule| Used::new(&rule.label, How::Substituted)));
        }
        Ok(if edits.is_empty() { body } else { edited(&body, &mut edits).into() })
    }

    fn in_form<'a>(
        &self,
        rules: &[&'a Arc<Substituting>],
        position: &Position,
        body: &[u8],
        key: &str,
        edits: &mut Edits,
    ) -> Result<Option<&'a Arc<Substituting>>, Reason> {
        debug_assert_eq!(self.media, Media::Form);
        let mut winner: Option<&Arc<Substituting>> = None;
        let mut others = false;
        for pair in pairs(body) {
            if pair.hides(body, key) {
                return Err(Reason::QueryAmbiguous);
            }
            if !pair.is(key) {
                continue;
            }
            let text = pair.text().unwrap_or_default();
            match rule_for(rules, text, position) {
                Some(rule) => {
                    others |= winner.is_some_and(|won| !Arc::ptr_eq(won, rule));
                    winner = Some(rule);
                    edits.push((pair.raw_value, secret_text::in_query(&rule.secret)));
                }
                None if self.known.is_foreign(text) => return Err(Reason::StalePlaceholder),
                None => others = true,
            }
        }
        if winner.is_some() && others { Err(Reason::MixedCredentials) } else { Ok(winner) }
    }

    /// A body that is not JSON holds no position, and goes on as it is.
    fn in_json<'a>(
        &self,
        rules: &[&'a Arc<Substituting>],
        position: &Position,
        body: &[u8],
        pointer: &str,
        edits: &mut Edits,
    ) -> Result<Option<&'a Arc<Substituting>>, Reason> {
        let found = Document::parse(body).and_then(|document| document.find(pointer));
        let (text, range) = match found {
            Ok(Some(Field::String(text, range))) => (text, range),
            Err(Unreadable::DuplicateKey) => return Err(Reason::DuplicateKey),
            Ok(_) | Err(Unreadable::Syntax) => return Ok(None),
        };
        match rule_for(rules, &text, position) {
            Some(rule) => {
                edits.push((range, secret_text::in_json(&rule.secret)));
                Ok(Some(rule))
            }
            None if self.known.is_foreign(&text) => Err(Reason::StalePlaceholder),
            None => Ok(None),
        }
    }
}
