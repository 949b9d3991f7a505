//! `moat why`: asks the proxy's own rules and policy about a request that nobody sends.

use std::collections::{BTreeMap, BTreeSet};

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Uri, request};
use moat_provider_core::{
    CredentialInfo, CredentialKey, IssuingEndpoints, Placeholder, PlaceholderKey, ProxyRules,
    RunContext, Secret, SecretName, Secrets,
};
use moat_proxy::engine::{Generation, How, NotUsed, Place, Used, Verdict};
use moat_proxy::{AddressPolicy, Authority, Host, Mode, Policy, Refusal, RequestPath};
use moat_store::{StoreError, StoreErrorKind};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::app::App;
use crate::args::WhyArgs;
use crate::error::{CliError, Code, Result};
use crate::output::{fields, line};

/// Where endpoints of a run would be.
const ENDPOINTS: &str = "http://127.0.0.1:3128";

/// What would become of a request.
enum Opinion {
    /// It goes on with a credential.
    Filled(Used),
    /// It goes on with a credential when it carries the placeholder of the run.
    ByPlaceholder(Used),
    /// It goes on as it is.
    Without(NotUsed),
    /// It goes on as it is: credentials go over https only.
    Plain,
    /// A provider answers it in the vendor's place.
    Answered(String),
    /// It does not go on.
    Refused(Refusal),
}

/// Says what would become of a request. The exit code is 0 when it would get a credential.
pub(super) async fn why(app: &App<'_>, args: &WhyArgs) -> Result<Code> {
    let (authority, is_https) = place(&args.url)?;
    let policy = args.network.policy()?;
    let infos = credentials(app, args).await?;
    let defaults = args.network.defaults.iter().map(|grant| app.key(grant));
    let defaults = defaults.collect::<Result<Vec<_>>>()?;
    let secrets = infos.iter().map(|info| (info.key().clone(), stand_ins(app, info))).collect();
    let judge = Judge::new(app, &infos, &defaults, secrets, policy.mode())?;
    let opinion = if is_https {
        judge.request(&policy, &authority, &args.method, &args.url, app.now())
    } else {
        judge.plain(&policy, &authority, &args.method, &args.url)
    };
    let remedy = remedy(app, &judge, &authority, &opinion, &infos);
    let (text, object) = show(args, &opinion, remedy.as_deref());
    app.output.result(&text, || Value::Object(object))?;
    let is_filled = matches!(opinion, Opinion::Filled(_) | Opinion::ByPlaceholder(_));
    Ok(if is_filled { Code::Success } else { Code::Failure })
}

/// Returns where a URL leads, and whether over https.
fn place(url: &Uri) -> Result<(Authority, bool)> {
    let wrong = |problem: &str| {
        CliError::usage(format!("{} {problem}", line(&url.to_string())))
            .with_hint("moat why https://api.github.com/user")
    };
    let (port, is_https) = match url.scheme_str() {
        Some("https") => (443, true),
        Some("http") => (80, false),
        _ => return Err(wrong("is no https URL")),
    };
    let Some(authority) = url.authority() else { return Err(wrong("names no host")) };
    let authority = Authority::parse(authority.as_str(), port)
        .map_err(|refusal| wrong(&format!("cannot be sent: {refusal}")))?;
    Ok((authority, is_https))
}

/// Returns the grants that the run would have, without their secrets.
async fn credentials(app: &App<'_>, args: &WhyArgs) -> Result<Vec<CredentialInfo>> {
    let mut stored = BTreeMap::new();
    for entry in app.store()?.list().await? {
        match entry.info {
            Ok(info) if app.registry.get(entry.key.provider().as_str()).is_some() => {
                stored.insert(entry.key, info);
            }
            Ok(_) if args.grants.is_empty() => {
                app.output.warn(&format!("{} belongs to no provider that is here", entry.key));
            }
            Err(error) if args.grants.is_empty() => {
                app.output.warn(&format!("{} is left out: {}", entry.key, error.message()));
            }
            _ => {}
        }
    }
    if args.grants.is_empty() {
        return Ok(stored.into_values().collect());
    }
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for grant in &args.grants {
        let key = app.key(grant)?;
        if !seen.insert(key.clone()) {
            continue;
        }
        match stored.remove(&key) {
            Some(info) => found.push(info),
            None => match app.store()?.load(&key).await {
                Ok(stored) => found.push(stored.credential.info().clone()),
                Err(error) if error.kind() == StoreErrorKind::NotFound => {
                    return Err(StoreError::not_found(&key).into());
                }
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(found)
}

/// Returns secrets that stand for the stored and the minted ones: no real one is needed here.
fn stand_ins(app: &App<'_>, info: &CredentialInfo) -> Secrets {
    let provider = app.registry.get(info.key().provider().as_str());
    let minting = provider.and_then(|provider| provider.as_minting());
    let minted = minting.map(|minting| minting.minted_secrets()).unwrap_or_default();
    let stand_in = |name: &SecretName| (name.clone(), Secret::new("x".repeat(32)));
    info.secret_names().iter().chain(minted).map(stand_in).collect()
}

/// The rules of a run that is never started.
pub(super) struct Judge {
    rules: ProxyRules,
    issuing: Vec<(CredentialKey, IssuingEndpoints)>,
    generation: Generation,
}

impl Judge {
    /// Collects the rules of grants, and checks them as a run does.
    ///
    /// # Errors
    ///
    /// Those of the providers, and a conflict between two grants.
    pub(super) fn new(
        app: &App<'_>,
        infos: &[CredentialInfo],
        defaults: &[CredentialKey],
        secrets: BTreeMap<CredentialKey, Secrets>,
        mode: Mode,
    ) -> Result<Self> {
        let key = PlaceholderKey::generate(&*app.system.entropy())?;
        let run = RunContext::builder("why".parse()?, "/home/agent".parse()?, key.clone())
            .endpoint_base(ENDPOINTS);
        let run = infos.iter().fold(run, |run, info| run.grant(info.clone()));
        let run = defaults.iter().fold(run, |run, key| run.default_grant(key.clone()));
        let run = run.build();
        let (mut rules, mut issuing) = (ProxyRules::default(), Vec::new());
        for info in infos {
            let provider = app.registry.require(info.key().provider().as_str())?;
            if let Some(grants) = provider.as_credential() {
                grants.configure_proxy(&mut rules, info, &run)?;
                issuing.push((info.key().clone(), grants.issuing_endpoints(info)?));
            }
        }
        let secrets = with_minted(app, infos, secrets);
        let generation = Generation::new(&rules, &issuing, &secrets, key, mode)?;
        Ok(Self { rules, issuing, generation })
    }

    /// Names the hosts to which a secret may go.
    pub(super) fn summary(&self) -> String {
        let hosts: BTreeSet<_> = self.generation.secret_hosts().map(ToString::to_string).collect();
        match hosts.len() {
            0 => "it goes to no host".to_owned(),
            _ => format!("it goes to {}", hosts.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }

    /// Judges a request over https: policy, addresses, rules.
    fn request(
        &self,
        policy: &Policy,
        authority: &Authority,
        method: &Method,
        url: &Uri,
        now: OffsetDateTime,
    ) -> Opinion {
        let judged = self.check(policy, authority, method, url);
        let path = match judged {
            Ok(path) => path,
            Err(refusal) => return Opinion::Refused(refusal),
        };
        let rules = self.generation.at(&authority.host().as_text(), authority.port());
        let apply = |head: &mut request::Parts| {
            let readings: Vec<&str> = path.readings().skip(1).collect();
            let place = Place::new(&rules, path.canonical());
            self.generation.apply(head, &place.or_read_as(&readings), now)
        };
        let plan = match apply(&mut head(method, authority, url, None)) {
            Verdict::Refuse(refusal) => return Opinion::Refused(refusal),
            Verdict::Answer(answer) => return Opinion::Answered(answer.owner().to_string()),
            Verdict::Forward(plan) => plan,
        };
        if let Some(used) = plan.used().first() {
            return Opinion::Filled(used.clone());
        }
        for placeholder in self.placeholders() {
            if let Verdict::Forward(plan) =
                apply(&mut head(method, authority, url, Some(placeholder)))
                && let Some(used) = plan.used().first()
            {
                return Opinion::ByPlaceholder(used.clone());
            }
        }
        Opinion::Without(plan.not_used().unwrap_or(NotUsed::NoRule))
    }

    /// Judges a request over http, which carries no credential.
    fn plain(&self, policy: &Policy, authority: &Authority, method: &Method, url: &Uri) -> Opinion {
        match self.check(policy, authority, method, url) {
            Ok(_) => Opinion::Plain,
            Err(refusal) => Opinion::Refused(refusal),
        }
    }

    /// Asks the policy, and looks at an address that is written in the URL.
    fn check(
        &self,
        policy: &Policy,
        authority: &Authority,
        method: &Method,
        url: &Uri,
    ) -> Result<RequestPath, Refusal> {
        let policy = policy.clone().with_issuing(&self.issuing);
        policy.judge_connect(authority, self.generation.granted_targets())?;
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let path = RequestPath::parse(target.as_bytes())?;
        let host = authority.host().as_text();
        let granted = self.generation.targets_at(&host, authority.port());
        policy.judge(authority, method, &path, granted)?;
        let addresses = AddressPolicy::new(&policy);
        match authority.host() {
            Host::Address(address) => drop(addresses.judge(authority, &[*address])?),
            Host::Name(_) => drop(addresses.known(authority)?),
        }
        Ok(path)
    }

    /// Returns a header with a placeholder for each rule that knows one.
    fn placeholders(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.rules.credentials().iter().filter_map(|rule| {
            let placeholder: &Placeholder = rule.placeholders().first()?;
            let value = rule.template().render(&Secret::new(placeholder.as_str().to_owned()));
            Some((rule.header().clone(), value.ok()?))
        })
    }
}

/// Adds stand-ins for minted secrets to those that are there.
fn with_minted(
    app: &App<'_>,
    infos: &[CredentialInfo],
    secrets: BTreeMap<CredentialKey, Secrets>,
) -> BTreeMap<CredentialKey, Secrets> {
    let add = |(key, own): (CredentialKey, Secrets)| {
        let info = infos.iter().find(|info| *info.key() == key);
        let stand_ins = info.map(|info| stand_ins(app, info)).unwrap_or_default();
        let all = stand_ins.iter().chain(own.iter());
        let all = all.map(|(name, secret)| (name.clone(), secret.clone())).collect();
        (key, all)
    };
    secrets.into_iter().map(add).collect()
}

/// Makes the head of a request as a client sends it within a tunnel.
fn head(
    method: &Method,
    authority: &Authority,
    url: &Uri,
    header: Option<(HeaderName, HeaderValue)>,
) -> request::Parts {
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.path_and_query().map_or_else(Uri::default, |it| it.clone().into());
    if let Ok(host) = HeaderValue::from_str(&authority.without_port(443)) {
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().extend(header);
    request.into_parts().0
}

/// Says what would help, where something would.
fn remedy(
    app: &App<'_>,
    judge: &Judge,
    authority: &Authority,
    opinion: &Opinion,
    infos: &[CredentialInfo],
) -> Option<String> {
    match opinion {
        Opinion::Refused(refusal) => refusal.remedy().map(str::to_owned),
        Opinion::Plain => Some("use https".to_owned()),
        Opinion::Without(NotUsed::NoRule) if infos.is_empty() => {
            Some("nothing is granted; what can be: moat grant providers".to_owned())
        }
        Opinion::Without(NotUsed::NoRule) => Some(format!(
            "no grant is for {}; there are: {}. For a service of your own: moat grant custom:NAME --host {}",
            authority.host().as_text(),
            infos.iter().map(|info| info.key().to_string()).collect::<Vec<_>>().join(", "),
            authority.host().as_text(),
        ))
        .filter(|_| app.registry.get("custom").is_some())
        .or_else(|| Some("grant one for this host: moat grant providers".to_owned())),
        Opinion::Without(NotUsed::NotThisPath | NotUsed::NotThisMethod) => {
            let host = authority.host().as_text();
            let targets = judge.generation.targets_at(&host, authority.port());
            let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
            Some(format!("the rules are for {}", targets.join(", ")))
        }
        _ => None,
    }
}

/// Returns the answer for a person and for a program.
fn show(args: &WhyArgs, opinion: &Opinion, remedy: Option<&str>) -> (String, Map<String, Value>) {
    let (verdict, sentence) = match opinion {
        Opinion::Filled(used) => ("credential", format!("It gets the credential {}.", grant(used))),
        Opinion::ByPlaceholder(used) => (
            "placeholder",
            format!(
                "It gets the credential {} when it carries the run's placeholder, which stands in the environment and the files of the sandbox.",
                grant(used)
            ),
        ),
        Opinion::Without(reason) => {
            ("without", format!("It goes on without a credential: {}.", because(*reason)))
        }
        Opinion::Plain => (
            "without",
            "It goes on without a credential: credentials go over https alone.".to_owned(),
        ),
        Opinion::Answered(owner) => {
            ("answered", format!("{owner} answers it in the vendor's place."))
        }
        Opinion::Refused(refusal) => ("refused", format!("It is refused: {refusal}.")),
    };
    let request = format!("{} {}", args.method, line(&args.url.to_string()));
    let mut lines = vec![("request", request.clone()), ("answer", sentence.clone())];
    let mut object = Map::from_iter([
        ("request".to_owned(), json!(request)),
        ("verdict".to_owned(), json!(verdict)),
        ("message".to_owned(), json!(sentence)),
    ]);
    let mut add = |name: &'static str, value: String| {
        object.insert(name.to_owned(), json!(value));
        lines.push((name, value));
    };
    match opinion {
        Opinion::Filled(used) | Opinion::ByPlaceholder(used) => {
            add("grant", grant(used));
            add("rule", used.rule().to_owned());
            add("slot", used.slot().to_owned());
            add("how", how(used.how()).to_owned());
        }
        Opinion::Without(reason) => add("reason", reason.as_str().to_owned()),
        Opinion::Refused(refusal) => {
            add("reason", refusal.reason().as_str().to_owned());
            if let Some(rule) = refusal.decided_by() {
                add("rule", rule.to_owned());
            }
        }
        Opinion::Plain | Opinion::Answered(_) => {}
    }
    if let Some(remedy) = remedy {
        add("fix", remedy.to_owned());
    }
    (fields(lines), object)
}

fn grant(used: &Used) -> String {
    used.grant().map(ToString::to_string).unwrap_or_default()
}

fn how(how: How) -> &'static str {
    match how {
        How::Empty => "the request carries no credential",
        How::Placeholder => "the request carries the placeholder",
        How::Substituted => "the placeholder stands at a declared position",
        How::Signed => "the request is signed",
        _ => how.as_str(),
    }
}

fn because(reason: NotUsed) -> &'static str {
    match reason {
        NotUsed::NoRule => "no rule is for this host",
        NotUsed::Address => "credentials go to names, and this is an address",
        NotUsed::NotThisPath => "the rules for this host are for other paths",
        NotUsed::NotThisMethod => "the rules for this host are for other methods",
        NotUsed::NoPlaceholder => "the rules for this host wait for their placeholder",
        NotUsed::ClientCredential => "it carries a credential of its own",
        NotUsed::OtherPlaceholder => "it carries a placeholder that is for another place",
        _ => reason.as_str(),
    }
}
