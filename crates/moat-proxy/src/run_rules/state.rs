//! What the requests of one generation share, and what is done with each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri, request};
use moat_provider_core::{
    Clock, CredentialKey, EndpointCall, EndpointRouter, Placeholder, RunContext, SecretSource, Slot,
};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::maps::{SignMap, Trailers};
use super::snapshot::{HostFacts, Snapshot};
use super::{Keeper, canned};
use crate::engine::{Attempt, BodyNeed, FieldToHold, HeldSecret, NotUsed, Place, Plan, Used};
use crate::plane::seam::{
    Action, ConnectVerdict, Defer, FinishedRequest, ForwardPlan, NotTls, Note, RequestBody,
    RequestPlace, TunnelPlan, Verdict,
};
use crate::scrub::{acceptable_extensions, restrict_accept_encoding};
use crate::{
    AddressPolicy, Authority, Policy, Reason, Refusal, RequestPath, TunnelIdentity, engine,
};

/// How long the body of a request to an endpoint may be.
const ENDPOINT_BODY: usize = 64 * 1024;

/// The rules of one generation of a run.
pub(super) struct State {
    pub(super) run: Arc<RunContext>,
    pub(super) policy: Policy,
    pub(super) addresses: AddressPolicy,
    pub(super) clock: Arc<dyn Clock>,
    /// Changes while it is in force when an answer issues a secret that stays on the host.
    pub(super) current: ArcSwap<Snapshot>,
    /// Tells connections of one generation from those of another.
    pub(super) number: u64,
    pub(super) served: Vec<Served>,
    pub(super) keeper: Option<Arc<dyn Keeper>>,
    /// The grants whose keeper has heard of a 401.
    pub(super) rejected: Mutex<BTreeSet<CredentialKey>>,
    pub(super) revocations: BTreeMap<CredentialKey, CancellationToken>,
    /// How many placeholders were made for secrets that answers issued.
    pub(super) minted: AtomicU64,
    /// The generation after this one, which is told of secrets that are issued late.
    pub(super) successor: Mutex<Weak<State>>,
}

/// The endpoints of one grant.
pub(super) struct Served {
    /// What stands before the paths of its endpoints.
    pub(super) prefix: String,
    pub(super) router: EndpointRouter,
    pub(super) secrets: Arc<dyn SecretSource>,
}

impl Served {
    /// Returns a target as the router knows it; none for one of another grant.
    fn own_uri(&self, uri: &Uri) -> Option<Uri> {
        let target = uri.path_and_query()?.as_str().strip_prefix(&*self.prefix)?;
        target.starts_with('/').then(|| target.parse().ok())?
    }
}

impl State {
    pub(super) fn connect(&self, authority: &Authority) -> Result<ConnectVerdict, Refusal> {
        let facts = self.current.load().facts(authority)?;
        self.policy.judge_connect(authority, &facts.targets)?;
        let intercept = facts.covered || self.policy.depends_on_requests(authority, &facts.targets);
        Ok(if intercept {
            ConnectVerdict::Intercept(NotTls::Close)
        } else {
            ConnectVerdict::Tunnel(TunnelPlan::default())
        })
    }

    /// A request without TLS: no rule applies, and no grant opens the way.
    pub(super) fn plain(
        &self,
        head: &mut request::Parts,
        authority: &Authority,
    ) -> Result<Verdict, Refusal> {
        let path = RequestPath::parse(target(head))?;
        self.policy.judge(authority, &head.method, &path, [])?;
        if self.policy.depends_on_requests(authority, []) {
            engine::strip_overrides(&mut head.headers);
        }
        let note = Note { strays: self.strays(head), ..Note::default() };
        Ok(Verdict { action: Action::Forward(ForwardPlan::default()), note })
    }

    /// A request to the proxy itself: one of the run's endpoints answers.
    pub(super) fn direct(self: &Arc<Self>, head: &request::Parts) -> Result<Verdict, Refusal> {
        let mut request = Request::new(());
        request.method_mut().clone_from(&head.method);
        request.headers_mut().clone_from(&head.headers);
        for (at, served) in self.served.iter().enumerate() {
            let Some(uri) = served.own_uri(&head.uri) else { continue };
            *request.uri_mut() = uri;
            let action = match served.router.find(&request) {
                Ok(_) => self.serve(at),
                Err(answer) if answer.status() == StatusCode::NOT_FOUND => continue,
                Err(answer) => Action::Answer(answer),
            };
            return Ok(Verdict { action, note: Note::default() });
        }
        Err(Refusal::new(Reason::NoSuchEndpoint).about(head.uri.path()))
    }

    fn serve(self: &Arc<Self>, at: usize) -> Action {
        let state = Arc::clone(self);
        Action::Serve {
            limit: ENDPOINT_BODY,
            respond: Box::new(move |mut request: Request<Bytes>| {
                Box::pin(async move {
                    let served = &state.served[at];
                    if let Some(uri) = served.own_uri(request.uri()) {
                        *request.uri_mut() = uri;
                    }
                    match served.router.find(&request) {
                        Ok(handler) => {
                            let call = EndpointCall::new(request, &*served.secrets, &*state.clock);
                            handler.call(call).await
                        }
                        Err(answer) => answer,
                    }
                })
            }),
        }
    }

    pub(super) fn intercepted(
        self: &Arc<Self>,
        head: &mut request::Parts,
        place: &RequestPlace<'_>,
        authority: &Authority,
    ) -> Result<Verdict, Refusal> {
        TunnelIdentity::new(authority.clone(), place.sni)?.check(
            head.version,
            &head.uri,
            &head.headers,
        )?;
        let path = RequestPath::parse(target(head))?;
        let snapshot = self.current.load_full();
        let facts = snapshot.facts(authority)?;
        let method = if place.upgrade.is_some() { &Method::GET } else { &head.method };
        self.policy.judge(authority, method, &path, &facts.targets)?;
        if !facts.covered {
            // Such a host is intercepted because the policy looks at each request; where a rule
            // acts, these go with the rest.
            engine::strip_overrides(&mut head.headers);
        }
        if let Some(defer) = self.prepare(&facts) {
            return Ok(Verdict { action: Action::Defer(defer), note: Note::default() });
        }

        let readings: Vec<&str> = path.readings().skip(1).collect();
        let mut spot = Place::new(&facts.rules, path.canonical()).or_read_as(&readings);
        if path.overrides_method() {
            spot = spot.or_by_another_method();
        }
        let plan = match snapshot.generation().apply(head, &spot, self.clock.now()) {
            engine::Verdict::Forward(plan) => *plan,
            engine::Verdict::Answer(local) => {
                let note = Note { rule: Some(local.owner().as_str().into()), ..Note::default() };
                return Ok(Verdict { action: Action::Answer(canned(local.answer())), note });
            }
            engine::Verdict::Refuse(refusal) => return Err(refusal),
        };
        let note = Note {
            // What the rules have used is gone from the head.
            strays: strays(&snapshot.generation().placeholders_in(head)),
            // Of a body that is held, what it is used for shows at its end.
            ..if matches!(plan.body(), BodyNeed::Hold { .. }) {
                Note::default()
            } else {
                note(&plan)
            }
        };
        if !facts.covered {
            return Ok(Verdict { action: Action::Forward(ForwardPlan::default()), note });
        }
        if facts.scrubber.is_some() {
            restrict(head);
        }
        let mut forward = self.forward(plan, &facts);
        if place.has_body && matches!(forward.body, RequestBody::Stream) {
            forward.body = RequestBody::Map(Box::new(Trailers::new(snapshot, authority.clone())));
        }
        Ok(Verdict { action: Action::Forward(forward), note })
    }

    /// Plans a request to which a rule may apply.
    fn forward(self: &Arc<Self>, mut plan: Plan, facts: &HostFacts) -> ForwardPlan {
        let mut forward = ForwardPlan { identity: self.number, ..ForwardPlan::default() };
        let need = plan.body();
        forward.cuts = match need {
            // Any of them may stand for something in the body.
            BodyNeed::Hold { .. } => self.cuts(facts.grants.iter()),
            _ => self.cuts(plan.used().iter().filter_map(Used::grant)),
        };
        let signer = plan.take_body_signer();
        let plan = Arc::new(Mutex::new(plan));
        forward.body = match (need, signer) {
            (BodyNeed::Hold { limit }, _) => {
                let plan = Arc::clone(&plan);
                let finish = move |body: Bytes, head: &mut request::Parts| {
                    let mut plan = locked(&plan);
                    let body = plan.finish_body(body, head)?;
                    Ok(FinishedRequest { body, note: note(&plan) })
                };
                RequestBody::Collect { limit, finish: Box::new(finish) }
            }
            (_, Some(signer)) => RequestBody::Map(Box::new(SignMap(signer))),
            (_, None) => RequestBody::Stream,
        };
        let scrubber = facts.scrubber.clone();
        forward.answer = Some(Box::new(Answer::new(Arc::clone(self), plan, scrubber)));
        forward
    }

    /// Says what to wait for before the host's secrets can be used.
    fn prepare(&self, facts: &HostFacts) -> Option<Defer> {
        self.keeper.as_ref().filter(|_| !facts.grants.is_empty())?.prepare(&facts.grants)
    }

    /// Returns what ends an exchange with secrets of these grants.
    fn cuts<'a>(&self, grants: impl Iterator<Item = &'a CredentialKey>) -> Vec<CancellationToken> {
        grants.filter_map(|grant| self.revocations.get(grant).cloned()).collect()
    }

    fn strays(&self, head: &request::Parts) -> Vec<String> {
        strays(&self.current.load().generation().placeholders_in(head))
    }

    /// Keeps secrets that an answer issued, before the answer reaches the client.
    pub(super) fn bind(&self, held: &[HeldSecret]) -> Result<(), Refusal> {
        if held.is_empty() {
            return Ok(());
        }
        let successor = locked(&self.successor);
        let mut failed = false;
        self.current.rcu(|snapshot| {
            match snapshot.generation().with_bindings(held.iter().cloned()) {
                Ok(next) => Arc::new(Snapshot::new(next).following(snapshot)),
                Err(_) => {
                    failed = true;
                    Arc::clone(snapshot)
                }
            }
        });
        if failed {
            return Err(Reason::UnreadableAnswer.into());
        }
        successor.upgrade().map_or(Ok(()), |successor| successor.bind(held))
    }

    /// Makes the placeholder of a secret that an answer issued.
    pub(super) fn mint(&self, field: &FieldToHold<'_>) -> moat_provider_core::Result<Placeholder> {
        let snapshot = self.current.load();
        match snapshot.generation().held_placeholder(field.secret()) {
            Some(known) => Ok(known.clone()),
            None => {
                // Two answers at once, and two generations, must not make one placeholder.
                let next = self.minted.fetch_add(1, Ordering::Relaxed);
                let label = format!("held {} {} {next}", field.pointer(), self.number);
                self.run.placeholder(field.grant(), &label, field.shape())
            }
        }
    }

    /// Hears of a 401, or what says the same, to a request with these grants' secrets.
    pub(super) fn rejected<'a>(&self, grants: impl Iterator<Item = &'a CredentialKey>) {
        let Some(keeper) = &self.keeper else { return };
        for grant in grants {
            if locked(&self.rejected).insert(grant.clone()) {
                keeper.rejected(grant);
            }
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn target(head: &request::Parts) -> &[u8] {
    head.uri.path_and_query().map_or(b"/", |target: &PathAndQuery| target.as_str().as_bytes())
}

/// Says what was put into a request, or why nothing was.
fn note(plan: &Plan) -> Note {
    Note {
        grant: plan.used().first().and_then(Used::shared_grant),
        rule: plan.used().first().map(Used::shared_rule),
        reason: plan.not_used().map(NotUsed::as_str),
        ..Note::default()
    }
}

/// Names the places of placeholders.
fn strays(attempts: &[Attempt]) -> Vec<String> {
    let name = |attempt: &Attempt| match attempt.slot() {
        Some(Slot::Header(name)) => name.to_string(),
        Some(Slot::QueryKey(key)) => format!("query {key}"),
        Some(_) => "slot".to_owned(),
        None => "path".to_owned(),
    };
    attempts.iter().map(name).collect()
}

/// Offers the host only what can be scanned on its way back.
fn restrict(head: &mut request::Parts) {
    restrict_accept_encoding(&mut head.headers);
    let offer = head.headers.get(SEC_WEBSOCKET_EXTENSIONS).map(acceptable_extensions);
    match offer {
        None => {}
        Some(Some(kept)) => {
            head.headers.insert(SEC_WEBSOCKET_EXTENSIONS, kept);
        }
        Some(None) => {
            head.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
    }
}
