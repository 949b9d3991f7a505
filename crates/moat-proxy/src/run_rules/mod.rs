//! Where the parts meet: policy, rules and scrubbing of one run behind the data plane's seam.

mod answer;
mod maps;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::uri::PathAndQuery;
use http::{Method, Response, request};
use moat_provider_core::{Clock, Placeholder, RunContext};
use quick_cache::sync::Cache;

use self::answer::Answer;
use self::maps::SignMap;
use crate::engine::{
    BodyNeed, FieldToHold, Generation, HeldSecret, Place, Plan, Verdict as Applied,
};
use crate::plane::seam::{
    Action, Channel, ConnectVerdict, ForwardPlan, Handler, NotTls, Note, RequestBody, RequestPlace,
    TunnelPlan, Verdict,
};
use crate::scrub::{Scrubber, acceptable_extensions, public_prefix_len, restrict_accept_encoding};
use crate::{
    AddressPolicy, Authority, Policy, Refusal, RequestPath, TunnelIdentity, engine, plane,
};

/// How many hosts' scrubbers are kept; the others are made anew when they are needed.
const SCRUBBERS: usize = 256;

/// What applies to one run: its policy, and one generation of its rules and secrets.
///
/// The [`Handler`] that a host registers with the proxy. After a refresh the host makes a new one
/// and swaps it in.
pub struct RunRules(Arc<State>);

/// What requests and their answers share.
struct State {
    run: Arc<RunContext>,
    policy: Policy,
    addresses: AddressPolicy,
    clock: Arc<dyn Clock>,
    /// Changes while it is in force when an answer issues a secret that stays on the host.
    generation: ArcSwap<Generation>,
    /// Tells connections of one generation from those of another.
    identity: u64,
    scrubbers: Cache<(String, u16), Option<Scrubber>>,
    /// How many placeholders were made for secrets that answers issued.
    minted: AtomicU64,
}

impl RunRules {
    /// Puts the parts together. `number` is another one for each generation of a run, from 1 up.
    #[must_use]
    pub fn new(
        run: Arc<RunContext>,
        policy: Policy,
        addresses: AddressPolicy,
        clock: Arc<dyn Clock>,
        generation: Generation,
        number: u64,
    ) -> Self {
        Self(Arc::new(State {
            run,
            policy,
            addresses,
            clock,
            generation: ArcSwap::from_pointee(generation),
            identity: number,
            scrubbers: Cache::new(SCRUBBERS),
            minted: AtomicU64::new(0),
        }))
    }
}

impl fmt::Debug for RunRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRules").field("run", self.0.run.id()).finish_non_exhaustive()
    }
}

impl Handler for RunRules {
    fn connect(&self, authority: &plane::Authority) -> ConnectVerdict {
        let state = &self.0;
        let generation = state.generation.load();
        let judged = canonical(authority).and_then(|authority| {
            state.policy.judge_connect(&authority, generation.granted_targets())?;
            Ok(authority)
        });
        match judged {
            Err(refusal) => ConnectVerdict::Refuse(refusal.into()),
            Ok(authority) => {
                let (host, port) = (authority.host().as_text(), authority.port());
                let granted = generation.granted_targets();
                if generation.covers(&host, port)
                    || state.policy.depends_on_requests(&authority, granted)
                {
                    ConnectVerdict::Intercept(NotTls::Close)
                } else {
                    ConnectVerdict::Tunnel(TunnelPlan::default())
                }
            }
        }
    }

    fn request(&self, head: &mut request::Parts, place: &RequestPlace<'_>) -> Verdict {
        let outcome = match (place.channel, place.authority) {
            (Channel::Intercepted, Some(authority)) => self.0.intercepted(head, place, authority),
            (Channel::Plain, Some(authority)) => self.0.plain(head, authority),
            _ => Ok(Verdict {
                action: Action::Forward(ForwardPlan::default()),
                note: Note::default(),
            }),
        };
        outcome.unwrap_or_else(refused)
    }

    fn judge_addresses(
        &self,
        authority: &plane::Authority,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, plane::Refusal> {
        Ok(self.0.addresses.judge(&canonical(authority)?, &addresses)?)
    }
}

impl State {
    /// A request without TLS: no rule applies, and no grant opens the way.
    fn plain(
        &self,
        head: &request::Parts,
        authority: &plane::Authority,
    ) -> Result<Verdict, plane::Refusal> {
        let path = RequestPath::parse(target(head))?;
        self.policy.judge(&canonical(authority)?, &head.method, &path, [])?;
        Ok(Verdict { action: Action::Forward(ForwardPlan::default()), note: Note::default() })
    }

    fn intercepted(
        self: &Arc<Self>,
        head: &mut request::Parts,
        place: &RequestPlace<'_>,
        authority: &plane::Authority,
    ) -> Result<Verdict, plane::Refusal> {
        let tunnel = TunnelIdentity::new(canonical(authority)?, place.sni)?;
        tunnel.check(head.version, &head.uri, &head.headers)?;
        let authority = tunnel.authority();
        let path = RequestPath::parse(target(head))?;
        let generation = self.generation.load_full();
        let method = if place.upgrade.is_some() { &Method::GET } else { &head.method };
        self.policy.judge(authority, method, &path, generation.granted_targets())?;

        let host = authority.host().as_text();
        let readings: Vec<&str> = path.readings().skip(1).collect();
        let spot = Place::new(&host, authority.port(), path.canonical()).or_read_as(&readings);
        let plan = match generation.apply(head, &spot, self.clock.now()) {
            Applied::Forward(plan) => *plan,
            Applied::Answer(local) => {
                let note = Note { rule: Some(local.owner().as_str().into()), ..Note::default() };
                return Ok(Verdict { action: Action::Answer(canned(local.answer())), note });
            }
            Applied::Refuse(refusal) => return Err(refusal.into()),
        };
        let scrubber = self.scrubber(&generation, &host, authority.port())?;
        if scrubber.is_some() {
            restrict(head);
        }
        let note = Note {
            rule: plan.used().first().map(|used| used.rule().into()),
            reason: plan.not_used().map(engine::NotUsed::as_str),
            ..Note::default()
        };
        let identity = if generation.covers(&host, authority.port()) { self.identity } else { 0 };
        Ok(Verdict { action: Action::Forward(self.forward(plan, scrubber, identity)), note })
    }

    fn forward(
        self: &Arc<Self>,
        mut plan: Plan,
        scrubber: Option<Scrubber>,
        identity: u64,
    ) -> ForwardPlan {
        let mut forward = ForwardPlan { identity, ..ForwardPlan::default() };
        let need = plan.body();
        let signer = plan.take_body_signer();
        let plan = Arc::new(Mutex::new(plan));
        forward.body = match (need, signer) {
            (BodyNeed::Hold { limit }, _) => {
                let plan = Arc::clone(&plan);
                let finish = move |body: Bytes, head: &mut request::Parts| {
                    Ok(locked(&plan).finish_body(body, head)?)
                };
                RequestBody::Collect { limit, finish: Box::new(finish) }
            }
            (_, Some(signer)) => RequestBody::Map(Box::new(SignMap(signer))),
            (_, None) => RequestBody::Stream,
        };
        forward.answer = Some(Box::new(Answer::new(Arc::clone(self), plan, scrubber)));
        forward
    }

    /// Returns what looks for the secrets that may be sent to a host, if there are any.
    ///
    /// # Errors
    ///
    /// A refusal when nothing can look for them: then nothing is sent.
    fn scrubber(
        &self,
        generation: &Generation,
        host: &str,
        port: u16,
    ) -> Result<Option<Scrubber>, engine::Refusal> {
        let key = (host.to_owned(), port);
        if let Some(scrubber) = self.scrubbers.get(&key) {
            return Ok(scrubber);
        }
        let secrets = generation.scrub_set(host, port);
        let mut builder = Scrubber::builder();
        for (name, secret, placeholders) in &secrets {
            let public = placeholders.iter().map(|own| public_prefix_len(own.as_str(), secret));
            builder = builder.secret((*name).clone(), secret, public.max().unwrap_or(0));
        }
        let scrubber = builder.build().map_err(|_| engine::EngineReason::UnfitSecret)?;
        let scrubber = Some(scrubber).filter(|scrubber| !scrubber.is_empty());
        self.scrubbers.insert(key, scrubber.clone());
        Ok(scrubber)
    }

    /// Keeps secrets that an answer issued, before the answer reaches the client.
    fn bind(&self, held: Vec<HeldSecret>) -> Result<(), plane::Refusal> {
        if held.is_empty() {
            return Ok(());
        }
        let mut failed = false;
        self.generation.rcu(|generation| match generation.with_bindings(held.iter().cloned()) {
            Ok(next) => Arc::new(next),
            Err(_) => {
                failed = true;
                Arc::clone(generation)
            }
        });
        // They are to be looked for from now on.
        self.scrubbers.clear();
        if failed {
            return Err(engine::Refusal::from(engine::EngineReason::UnreadableAnswer).into());
        }
        Ok(())
    }

    /// Makes the placeholder of a secret that an answer issued.
    fn mint(&self, field: &FieldToHold<'_>) -> moat_provider_core::Result<Placeholder> {
        let generation = self.generation.load();
        match generation.held_placeholder(field.secret()) {
            Some(known) => Ok(known.clone()),
            None => {
                // Two answers at once, and two generations, must not make one placeholder.
                let next = self.minted.fetch_add(1, Ordering::Relaxed);
                let label = format!("held {} {} {next}", field.pointer(), self.identity);
                self.run.placeholder(field.grant(), &label, field.shape())
            }
        }
    }
}

fn locked(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

fn target(head: &request::Parts) -> &[u8] {
    head.uri.path_and_query().map_or(b"/", |target: &PathAndQuery| target.as_str().as_bytes())
}

/// The authority as policy and addresses know it.
fn canonical(authority: &plane::Authority) -> Result<Authority, Refusal> {
    Authority::parse_connect(authority.to_string().as_bytes())
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

fn refused(refusal: plane::Refusal) -> Verdict {
    let note = Note {
        reason: Some(refusal.reason()),
        rule: refusal.rule().map(Into::into),
        ..Note::default()
    };
    Verdict { action: Action::Answer(refusal.into_response()), note }
}

fn canned(answer: &moat_provider_core::CannedAnswer) -> Response<Bytes> {
    let mut response = Response::new(answer.body().clone());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response
}

impl From<Refusal> for plane::Refusal {
    fn from(refusal: Refusal) -> Self {
        let mut answer = Self::blocked(refusal.reason().as_str(), refusal.to_string())
            .with_status(refusal.status());
        if let Some(rule) = refusal.decided_by() {
            answer = answer.with_rule(rule);
        }
        match refusal.remedy() {
            Some(fix) => answer.with_fix(fix.to_owned()),
            None => answer,
        }
    }
}

impl From<engine::Refusal> for plane::Refusal {
    fn from(refusal: engine::Refusal) -> Self {
        let reason = refusal.reason();
        let answer = Self::blocked(reason.as_str(), refusal.to_string())
            .with_status(reason.status())
            .with_fix(reason.fix());
        match refusal.rule() {
            Some(rule) => answer.with_rule(rule),
            None => answer,
        }
    }
}
