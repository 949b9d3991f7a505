//! Endpoints that issue credentials or lasting access (law L16).

use std::sync::Arc;

use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Method, request};
use moat_provider_core::IssuingHandling;

use super::answer::AnswerPlan;
use super::body::HeldBody;
use super::graphql::{self, Format, Unreadable};
use super::media::{Media, MethodField, is_compressed};
use super::table::{Issuing, first};
use crate::{Reason, Refusal};

/// How long a form may be where a field of it could lead to an issuing endpoint.
const FORM_LIMIT: usize = 1024 * 1024;
/// How long the body of a GraphQL request may be where some operations are refused.
const GRAPHQL_LIMIT: usize = 1024 * 1024;

/// Judges what the head tells, and notes what the body or the answer has to tell.
///
/// # Errors
///
/// A refusal.
pub(super) fn head(
    request: &mut request::Parts,
    matched: &[&Arc<Issuing>],
    held: &mut HeldBody,
    answer: &mut AnswerPlan,
) -> Result<(), Refusal> {
    let (plain, graphql): (Vec<&Arc<Issuing>>, Vec<&Arc<Issuing>>) =
        matched.iter().partition(|issuing| issuing.endpoint.graphql_fields().is_empty());
    if let Some(issuing) = first(&plain) {
        judge(issuing, answer)?;
    }
    if let Some(any) = graphql.first() {
        let mut operations = Operations {
            endpoints: graphql.iter().map(|issuing| Arc::clone(issuing)).collect(),
            format: format_of(request),
            may_be_empty: is_safe(&request.method),
        };
        let query = request.uri.query().unwrap_or_default();
        match graphql::fields_of_query(query.as_bytes()) {
            Ok(Some(fields)) => {
                operations.judge(&fields, answer)?;
                operations.may_be_empty = true;
            }
            Ok(None) if query.is_empty() || !is_safe(&request.method) => {}
            Ok(None) | Err(Unreadable) => return Err(unreadable(any)),
        }
        if is_compressed(&request.headers) {
            return Err(Refusal::new(Reason::CompressedBody).rule(&any.label));
        }
        held.read_operations(operations, GRAPHQL_LIMIT);
    }
    let may_hold =
        |issuing: &&Arc<Issuing>| matches!(issuing.endpoint.handling(), IssuingHandling::Hold(_));
    if answer.holds() || graphql.iter().any(may_hold) {
        // What may have to be held has to be read.
        request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(())
}

/// Judges a request that would be one to an issuing endpoint if its body named the method.
///
/// # Errors
///
/// A refusal of what cannot be looked into.
pub(super) fn form(
    request: &request::Parts,
    by_method: &[&Arc<Issuing>],
    held: &mut HeldBody,
) -> Result<(), Refusal> {
    let Some(issuing) = first(by_method) else { return Ok(()) };
    match MethodField::of(&request.method, &request.headers) {
        None => {}
        Some(MethodField::InForm) if is_compressed(&request.headers) => {
            return Err(Refusal::new(Reason::CompressedBody).rule(&issuing.label));
        }
        Some(MethodField::InForm) => held.read_method(issuing, FORM_LIMIT),
        Some(MethodField::InParts) => return Err(by_another_method(issuing)),
    }
    Ok(())
}

/// The refusal of a request that may be one to an issuing endpoint by a method in its body.
pub(super) fn by_another_method(issuing: &Issuing) -> Refusal {
    Refusal::new(Reason::MethodAmbiguous).rule(&issuing.label).about(issuing.endpoint.issues())
}

/// GraphQL requests where some operations issue something.
pub(super) struct Operations {
    endpoints: Vec<Arc<Issuing>>,
    format: Option<Format>,
    /// Whether the operation may stand elsewhere than in the body.
    may_be_empty: bool,
}

impl Operations {
    /// Judges the operations of a body.
    ///
    /// # Errors
    ///
    /// A refusal.
    pub(super) fn judge_body(&self, body: &[u8], answer: &mut AnswerPlan) -> Result<(), Refusal> {
        if body.is_empty() && self.may_be_empty {
            return Ok(());
        }
        let fields = self.format.map(|format| graphql::fields_of_body(body, format));
        match fields {
            Some(Ok(fields)) => self.judge(&fields, answer),
            _ => Err(match self.endpoints.first() {
                Some(any) => unreadable(any),
                None => Reason::UnreadableGraphql.into(),
            }),
        }
    }

    fn judge(&self, fields: &[String], answer: &mut AnswerPlan) -> Result<(), Refusal> {
        for issuing in &self.endpoints {
            let meant = issuing.endpoint.graphql_fields();
            if fields.iter().any(|field| meant.iter().any(|own| **own == **field)) {
                judge(issuing, answer)?;
            }
        }
        Ok(())
    }
}

/// Refuses, or has the answer's fields held.
fn judge(issuing: &Arc<Issuing>, answer: &mut AnswerPlan) -> Result<(), Refusal> {
    match issuing.endpoint.handling() {
        IssuingHandling::Hold(_) => {
            answer.hold(issuing.clone());
            Ok(())
        }
        _ => Err(Refusal::new(Reason::IssuingEndpoint)
            .rule(&issuing.label)
            .about(issuing.endpoint.issues())),
    }
}

fn unreadable(issuing: &Issuing) -> Refusal {
    Refusal::new(Reason::UnreadableGraphql).rule(&issuing.label).about(issuing.endpoint.issues())
}

fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn format_of(request: &request::Parts) -> Option<Format> {
    match Media::of(&request.headers) {
        Media::Json => Some(Format::Json),
        Media::Form => Some(Format::Form),
        Media::Graphql => Some(Format::Text),
        Media::Other => None,
    }
}
