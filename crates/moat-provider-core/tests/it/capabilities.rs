//! Every capability, driven through `dyn` as a host does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use moat_provider_core::*;
use time::OffsetDateTime;

use crate::everything::{AgentOnly, Everything, SESSION, shape};
use crate::support::{credential, host_context, key, now_or_never, path, run_builder};

fn everything() -> Arc<dyn Provider> {
    Arc::new(Everything::default())
}

fn run() -> Arc<RunContext> {
    let info = credential("everything", "t").info().clone();
    Arc::new(
        run_builder("r1")
            .workspace(path("/workspace"))
            .endpoint_base("http://127.0.0.1:8080")
            .default_grant(info.key().clone())
            .grant(info)
            .build(),
    )
}

#[test]
fn capabilities_are_what_the_accessors_say() {
    let (all, agent) = (everything(), AgentOnly::default());
    let count = |provider: &dyn Provider| {
        [
            provider.as_credential().is_some(),
            provider.as_agent().is_some(),
            provider.as_endpoint().is_some(),
            provider.as_refreshable().is_some(),
            provider.as_revocable().is_some(),
            provider.as_minting().is_some(),
            provider.as_run_stopped_hook().is_some(),
            provider.as_diagnosable().is_some(),
            provider.as_describable().is_some(),
        ]
        .iter()
        .filter(|there| **there)
        .count()
    };
    assert_eq!((count(&*all), count(&agent)), (9, 1));
}

#[test]
fn a_grant_without_a_terminal_says_so() {
    let all = everything();
    let cx = GrantContext::builder(host_context()).build();
    let request = GrantRequest::new(key("everything"));
    let error = now_or_never(all.as_credential().unwrap().grant(&cx, &request)).unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::PortMissing, all.name()));
    assert!(error.hint().is_some());
}

#[test]
fn rules_and_staging_are_data() {
    let (all, run) = (everything(), run());
    let provider = all.as_credential().unwrap();
    let info = &run.grants()[0];
    let mut rules = ProxyRules::default();
    provider.configure_proxy(&mut rules, info, &run).unwrap();
    rules.check_conflicts().unwrap();
    let env = provider.container_env(&[info], &run).unwrap();
    assert_eq!(env[0].name(), "DEFAULT");
    assert_eq!(env[0].value(), rules.credentials()[0].placeholders()[0].as_str());
    assert!(provider.issuing_endpoints(info).unwrap().absence().is_some());
    assert_eq!(provider.implied_dependencies(), ["tool"]);
    assert_eq!(provider.grant_options()[0].help(), "is quick");
    assert_eq!(run.grants_of(all.name()).count(), 1);
    assert_eq!((run.workspace().as_str(), run.id().as_str()), ("/workspace", "r1"));
    assert!(provider.container_mounts(&[info], &run).unwrap().files.is_empty());
    let file = &provider.host_files()[0];
    let run = run_builder("r1").host_file(file, Secret::new("{}".into())).build();
    assert_eq!(provider.container_mounts(&[info], &run).unwrap().files.len(), 1);
}

#[test]
fn the_defaults_take_no_qualifier_and_leave_records_alone() {
    #[derive(Debug)]
    struct Plain(ProviderName);
    impl Provider for Plain {
        fn name(&self) -> &ProviderName {
            &self.0
        }
    }
    impl CredentialProvider for Plain {
        fn grant<'a>(
            &'a self,
            _: &'a GrantContext,
            _: &'a GrantRequest,
        ) -> BoxFuture<'a, Result<Credential, GrantError>> {
            Box::pin(async { Err(Error::invalid("no").in_grant_of(&self.0)) })
        }
        fn configure_proxy(
            &self,
            _: &mut dyn ProxyConfigurer,
            _: &CredentialInfo,
            _: &RunContext,
        ) -> Result<()> {
            Ok(())
        }
        fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
            Ok(IssuingEndpoints::none("none"))
        }
    }
    let plain: &dyn CredentialProvider = &Plain(ProviderName::from_static("plain"));
    let error = plain.check_qualifier("repo").unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidInput, Some("write plain")));
    assert!(error.message().contains("\"repo\""), "{error}");
    let mut record = CredentialRecord::from(&credential("plain", "t"));
    plain.upgrade_record(&mut record).unwrap();
    assert!(plain.container_env(&[], &run()).unwrap().is_empty());
    assert_eq!(plain.container_mounts(&[], &run()).unwrap(), ContainerMounts::default());
    assert!(plain.grant_options().is_empty() && plain.host_files().is_empty());
    assert!(plain.implied_dependencies().is_empty() && plain.as_refreshable().is_none());
}

#[test]
fn a_record_is_upgraded() {
    let all = everything();
    let old = credential("everything", "t").renew().metadata("session", "s").build();
    let mut record = CredentialRecord::from(&old);
    all.as_credential().unwrap().upgrade_record(&mut record).unwrap();
    assert!(record.metadata().is_empty() && record.secrets().contains_key(&SESSION));
}

#[test]
fn a_refresh_renews_or_leaves_alone() {
    let (all, cx) = (everything(), host_context());
    let provider = all.as_refreshable().unwrap();
    let fixed = credential("everything", "t");
    let unchanged = now_or_never(provider.refresh(&cx, &fixed)).unwrap();
    assert!(matches!(unchanged, Refreshed::Unchanged));
    let expiring = fixed.renew().expires_at(OffsetDateTime::UNIX_EPOCH).build();
    let Refreshed::Renewed(next) = now_or_never(provider.refresh(&cx, &expiring)).unwrap() else {
        panic!("renewed")
    };
    assert_eq!(next.key(), fixed.key());
    assert!(next.token().same_as(&Secret::new("renewed".into())));
    assert_eq!(provider.refresh_interval(), Duration::from_secs(1800));
}

#[test]
fn a_revocation_says_what_is_possible() {
    let (all, cx) = (everything(), host_context());
    let provider = all.as_revocable().unwrap();
    let token = credential("everything", "t");
    assert!(matches!(provider.revocation(token.info()), Revocation::Manual { .. }));
    let error = now_or_never(provider.revoke(&cx, &token)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[derive(Debug)]
struct Source(Option<Minted>);

impl SecretSource for Source {
    fn current(&self) -> BoxFuture<'_, Result<(Secrets, Option<OffsetDateTime>)>> {
        Box::pin(async {
            match &self.0 {
                Some(minted) => Ok((minted.secrets().clone(), minted.expires_at())),
                None => Err(Error::new(ErrorKind::Offline, "no session")),
            }
        })
    }
}

#[test]
fn what_is_minted_is_served_and_signs() {
    let (all, cx, run) = (everything(), host_context(), run());
    let (provider, token) = (all.as_minting().unwrap(), credential("everything", "t"));
    let minted = now_or_never(provider.mint(&cx, &token, &run)).unwrap();
    let names: Vec<_> = minted.secrets().names().cloned().collect();
    assert_eq!(names, provider.minted_secrets());
    now_or_never(provider.revoke_minted(&cx, &token, minted.secrets())).unwrap();

    let mut router = EndpointRouter::default();
    all.as_endpoint().unwrap().register_endpoints(&mut router, token.info(), &run).unwrap();
    let inside = run.placeholder(token.key(), "endpoint", &shape()).unwrap();
    let request = Request::builder().uri("/session").header(AUTHORIZATION, inside.as_str());
    let request = request.body(Bytes::new()).unwrap();
    let handler = router.find(&request).unwrap();
    let answer = |source: &Source| {
        let call = EndpointCall::new(request.clone(), source, &**cx.clock());
        now_or_never(handler.call(call))
    };
    assert_eq!(answer(&Source(Some(minted.clone()))).body(), "session of r1, 3600 s");
    assert_eq!(answer(&Source(None)).status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        run.endpoint_url(token.key(), "/session").unwrap(),
        "http://127.0.0.1:8080/everything/session"
    );
    let error = run_builder("r").build().endpoint_url(token.key(), "/session").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortMissing);

    let mut rules = ProxyRules::default();
    all.as_credential().unwrap().configure_proxy(&mut rules, token.info(), &run).unwrap();
    let rule = &rules.signers()[0];
    assert_eq!(rule.secrets().next().unwrap().name(), &SESSION);
    let sign = |path: &str, secrets: &Secrets| {
        let (mut head, ()) = Request::builder().uri(path).body(()).unwrap().into_parts();
        let body = rule.signer().sign(&mut head, secrets, cx.clock().now());
        (head, body)
    };
    assert!(sign("/head", &Secrets::default()).1.is_err());
    let (head, body) = sign("/head", minted.secrets());
    assert!(matches!(body.unwrap(), BodySigning::HeadOnly));
    assert_eq!(head.headers["x-signed-at"], "0");
    let (mut head, body) = sign("/whole", minted.secrets());
    let BodySigning::Whole { limit: 10, finish } = body.unwrap() else { panic!("whole") };
    finish(b"abc", &mut head).unwrap();
    assert_eq!(head.headers["x-length"], "3");
    let (_, body) = sign("/stream", minted.secrets());
    let BodySigning::Stream(mut stream) = body.unwrap() else { panic!("stream") };
    assert_eq!(stream.data("abcd".into()).unwrap(), "abcd");
    assert_eq!(stream.end().unwrap(), "4");
}

#[test]
fn a_hook_returns_what_to_keep() {
    let (all, cx) = (everything(), host_context());
    let start = OffsetDateTime::UNIX_EPOCH;
    let mut stopped = RunStoppedContext::new(
        "r1".parse().unwrap(),
        PathBuf::from("/w"),
        start,
        start + Duration::from_secs(5),
    );
    stopped.state.insert("session".into(), "s-1".into());
    let hook = all.as_run_stopped_hook().unwrap();
    let meta = now_or_never(hook.on_run_stopped(&cx, &stopped)).unwrap();
    let expected = [("run", "r1"), ("seconds", "5"), ("session", "s-1"), ("workspace", "/w")];
    assert!(meta.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
}

#[test]
fn a_provider_looks_at_what_its_grants_need() {
    let all = everything();
    let cx = GrantContext::builder(host_context()).build();
    let credentials = [credential("everything", "t").info().clone()];
    let found = now_or_never(all.as_diagnosable().unwrap().diagnose(&cx, &credentials));
    let findings: Vec<_> = found.iter().map(|it| (it.finding(), it.fix().is_some())).collect();
    let expected = [(Finding::Good, false), (Finding::Warning, true), (Finding::Bad, true)];
    assert_eq!(findings, expected);
    assert_eq!((found[0].subject(), found[0].detail()), ("grants", "1 of them"));
    assert_eq!(found[2].fix(), Some("chmod u+r ~/.settings"));
}

#[test]
fn an_agent_names_the_program_that_a_person_installs() {
    let claude = ClientProgram::new("claude", "2.1.0", "see https://example.com/install");
    assert_eq!(claude.name(), "claude");
    assert_eq!(claude.proven_version(), "2.1.0");
    assert_eq!(claude.install(), "see https://example.com/install");
    assert_eq!(AgentOnly::default().client(), None);
}

#[test]
fn a_provider_describes_itself() {
    let all = everything();
    let describable = all.as_describable().unwrap();
    assert_eq!(describable.description(), "An example of everything");
    assert_eq!(describable.source().to_string(), "custom");
    assert_eq!(ProviderSource::Builtin.to_string(), "builtin");
}

#[test]
fn an_agent_chooses_its_grants() {
    let all = everything();
    let agent = all.as_agent().unwrap();
    let (own, second, other) = (key("everything"), key("everything:ok"), key("github"));
    let select = |named: &[&CredentialKey], stored: &[&CredentialKey]| {
        let owned = |keys: &[&CredentialKey]| keys.iter().copied().cloned().collect::<Vec<_>>();
        agent.select_grants(&owned(named), &owned(stored))
    };
    assert_eq!(select(&[&other, &own], &[&second]).unwrap(), std::slice::from_ref(&own));
    assert_eq!(select(&[&other], &[&other, &second]).unwrap(), std::slice::from_ref(&second));
    let missing = select(&[], &[&other]).unwrap_err();
    assert_eq!(missing.hint(), Some("moat grant everything"));
    assert_eq!(select(&[], &[&own, &second]).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn an_agent_prepares_its_container_and_starts() {
    let (all, cx) = (everything(), host_context());
    let agent = all.as_agent().unwrap();
    let mut opts = PrepareOpts::new(run(), vec![credential("everything", "hunter2")]);
    opts.runtime_context = "# Context".into();
    let remote = McpServerConfig::Remote {
        url: "https://mcp.example".into(),
        headers: BTreeMap::new(),
        grant: Some(key("oauth:notion")),
    };
    opts.mcp_servers.insert("notion".into(), remote);
    assert!(!format!("{opts:?}").contains("hunter2"));
    let config = now_or_never(agent.prepare_container(&cx, &opts)).unwrap();
    assert_eq!((config.env.len(), config.mounts.len(), config.files.len()), (1, 1, 2));
    assert_eq!(config.rules.reachable().len(), 1);

    let command = |launch: Launch| agent.command(&launch, &config).unwrap().join(" ");
    assert_eq!(command(Launch::default()), "agent --session=s-1 --yes");
    let mut launch = Launch::default();
    launch.session = Session::Resume("s-0".into());
    launch.mode = LaunchMode::Headless;
    launch.approval = Approval::AgentDefault;
    launch.prompt = Some("-dash".into());
    assert_eq!(command(launch), "agent --resume=s-0 --print -- -dash");
}

#[cfg(feature = "cli")]
#[test]
fn an_agent_reads_its_flags() {
    let registry = {
        let mut builder = Registry::builder();
        builder.register(Everything::default()).unwrap();
        builder.build()
    };
    let agent = registry.get_agent("everything").unwrap();
    let matches = |args: &[&str]| {
        let command = agent.register_cli(clap::Command::new("everything"));
        command.try_get_matches_from([&["everything"], args].concat()).unwrap()
    };
    assert!(agent.from_matches(&matches(&[])).unwrap().is_none());
    assert!(agent.from_matches(&matches(&["--mode=odd"])).is_err());
    let fast = agent.from_matches(&matches(&["--mode", "fast"])).unwrap().unwrap();
    let registry = registry.with(fast).unwrap();
    assert!(format!("{:?}", registry.get("everything").unwrap()).contains("turbo"));
    let plain = AgentOnly::default();
    let matches = plain.register_cli(clap::Command::new("x")).get_matches_from(["x"]);
    assert!(plain.from_matches(&matches).unwrap().is_none());
}
