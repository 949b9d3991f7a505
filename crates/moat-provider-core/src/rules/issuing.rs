//! Endpoints of vendors that issue credentials or create lasting access (law L16).

use std::borrow::Cow;

use super::Position;
use crate::{PlaceholderShape, Target};

/// A vendor's endpoint that answers with a credential, or creates access that outlives the run:
/// tokens, keys, hooks, runner registrations, device codes, token exchange.
///
/// The proxy refuses it, unless the declaration says which fields of the answer become
/// placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuingEndpoint {
    target: Target,
    issues: Cow<'static, str>,
    graphql_fields: Vec<Cow<'static, str>>,
    handling: IssuingHandling,
}

impl IssuingEndpoint {
    /// Declares an endpoint that is refused. `issues` names what it issues, for the person who asks
    /// why: `a deploy key`.
    #[must_use]
    pub fn new(target: Target, issues: impl Into<Cow<'static, str>>) -> Self {
        Self {
            target,
            issues: issues.into(),
            graphql_fields: Vec::new(),
            handling: IssuingHandling::Refuse,
        }
    }

    /// Limits the declaration to GraphQL requests that name one of these mutation fields.
    ///
    /// A proxy that cannot read the operation, because the body is too long or not JSON, refuses
    /// the request.
    #[must_use]
    pub fn graphql<I>(mut self, fields: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        self.graphql_fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Lets the request pass; these fields of its answer become placeholders.
    #[must_use]
    pub fn hold(mut self, fields: impl IntoIterator<Item = HeldField>) -> Self {
        self.handling = IssuingHandling::Hold(fields.into_iter().collect());
        self
    }

    /// Returns which requests are meant.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns what the endpoint issues.
    #[must_use]
    pub fn issues(&self) -> &str {
        &self.issues
    }

    /// Returns the GraphQL mutation fields that are meant; none when the whole target is.
    #[must_use]
    pub fn graphql_fields(&self) -> &[Cow<'static, str>] {
        &self.graphql_fields
    }

    /// Returns what happens to such a request.
    #[must_use]
    pub fn handling(&self) -> &IssuingHandling {
        &self.handling
    }
}

/// What happens to a request to an issuing endpoint.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuingHandling {
    /// It is refused with a reason.
    Refuse,
    /// It passes; the host keeps what these fields hold and hands out placeholders.
    Hold(Vec<HeldField>),
}

/// A field of a JSON answer whose value stays on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldField {
    pointer: Cow<'static, str>,
    shape: PlaceholderShape,
    uses: Vec<(Target, Position)>,
}

impl HeldField {
    /// Names a field by JSON pointer (RFC 6901), and what its placeholder looks like.
    #[must_use]
    pub fn new(pointer: impl Into<Cow<'static, str>>, shape: PlaceholderShape) -> Self {
        Self { pointer: pointer.into(), shape, uses: Vec::new() }
    }

    /// Adds a place at which the placeholder is replaced by the value again.
    #[must_use]
    pub fn used_at(mut self, target: Target, position: Position) -> Self {
        self.uses.push((target, position));
        self
    }

    /// Returns the JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Returns what the placeholder looks like.
    #[must_use]
    pub fn shape(&self) -> &PlaceholderShape {
        &self.shape
    }

    /// Returns where the placeholder is replaced by the value again.
    #[must_use]
    pub fn uses(&self) -> &[(Target, Position)] {
        &self.uses
    }
}

/// A provider's answer to "which endpoints of your vendor issue credentials?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuingEndpoints(Declaration);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Declaration {
    Some(Vec<IssuingEndpoint>),
    None(Cow<'static, str>),
}

impl IssuingEndpoints {
    /// States that there is none, and why that is so.
    #[must_use]
    pub fn none(because: impl Into<Cow<'static, str>>) -> Self {
        Self(Declaration::None(because.into()))
    }

    /// Returns the endpoints.
    #[must_use]
    pub fn as_slice(&self) -> &[IssuingEndpoint] {
        match &self.0 {
            Declaration::Some(endpoints) => endpoints,
            Declaration::None(_) => &[],
        }
    }

    /// Returns why there is none.
    #[must_use]
    pub fn absence(&self) -> Option<&str> {
        match &self.0 {
            Declaration::Some(_) => None,
            Declaration::None(because) => Some(because),
        }
    }
}

impl FromIterator<IssuingEndpoint> for IssuingEndpoints {
    fn from_iter<I: IntoIterator<Item = IssuingEndpoint>>(endpoints: I) -> Self {
        Self(Declaration::Some(endpoints.into_iter().collect()))
    }
}
