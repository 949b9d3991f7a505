//! Where the parts meet: policy, rules and scrubbing of one run behind the data plane's seam.

mod answer;
mod builder;
mod maps;
mod snapshot;
mod state;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, request};
use moat_provider_core::CredentialKey;

pub use self::builder::RunRulesBuilder;
use self::state::State;
use crate::plane::seam::{
    Action, Channel, ConnectVerdict, Defer, Handler, Note, RequestPlace, Verdict,
};
use crate::{Authority, Refusal};

/// What applies to one run: its policy, and one generation of its rules and secrets.
///
/// The [`Handler`] that a host registers with the proxy. After a refresh the host makes a new one,
/// which [succeeds](RunRulesBuilder::succeeding) this one, and swaps it in.
pub struct RunRules(Arc<State>);

/// What rules ask and tell the host that keeps the credentials.
pub trait Keeper: fmt::Debug + Send + Sync {
    /// Says what to wait for before a request is judged that may use these grants' secrets: for one
    /// that has to be minted or renewed first, after which the host has swapped in new rules.
    /// `None` when all of them are good. Called for each request to a host of theirs.
    fn prepare(&self, grants: &[CredentialKey]) -> Option<Defer> {
        let _ = grants;
        None
    }

    /// Hears that a request into which this grant's secret was put was answered with 401, or with
    /// [what says the same](moat_provider_core::ResponseTransformer::is_rejection): the secret may
    /// have ceased to be valid.
    ///
    /// Called at most once per generation and grant, however often the container provokes it, and
    /// on the way of the answer: it must not block.
    fn rejected(&self, grant: &CredentialKey);
}

impl fmt::Debug for RunRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRules")
            .field("run", self.0.run.id())
            .field("number", &self.0.number)
            .finish_non_exhaustive()
    }
}

impl Handler for RunRules {
    fn connect(&self, authority: &Authority) -> ConnectVerdict {
        self.0.connect(authority).unwrap_or_else(ConnectVerdict::Refuse)
    }

    fn request(&self, head: &mut request::Parts, place: &RequestPlace<'_>) -> Verdict {
        let outcome = match (place.channel, place.authority) {
            (Channel::Intercepted, Some(authority)) => self.0.intercepted(head, place, authority),
            (Channel::Plain, Some(authority)) => self.0.plain(head, authority),
            _ => self.0.direct(head),
        };
        outcome.unwrap_or_else(|refusal| refused(&refusal))
    }

    fn known_addresses(&self, authority: &Authority) -> Result<Option<Vec<SocketAddr>>, Refusal> {
        self.0.addresses.known(authority)
    }

    fn judge_addresses(
        &self,
        authority: &Authority,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        self.0.addresses.judge(authority, &addresses)
    }
}

fn refused(refusal: &Refusal) -> Verdict {
    let note = Note {
        reason: Some(refusal.reason().as_str()),
        rule: refusal.decided_by().map(Into::into),
        ..Note::default()
    };
    Verdict { action: Action::Answer(refusal.response()), note }
}

fn canned(answer: &moat_provider_core::CannedAnswer) -> Response<Bytes> {
    let mut response = Response::new(answer.body().clone());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response
}
