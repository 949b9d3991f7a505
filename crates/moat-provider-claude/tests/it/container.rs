//! What stands in the container, for each combination of grants.

use moat_provider_claude::{
    Anthropic, Claude, HostSettings, Identity, NonessentialTraffic, SessionStore, SettingsSource,
};
use moat_provider_core::{
    Credential, CredentialProvider, EnvVar, ErrorKind, McpServerConfig, MountAccess,
};
use moat_provider_testkit::{Ports, golden};
use serde_json::{Value, json};

use crate::support::{credential, granted, key, prepare, run, time, token};

#[test]
fn staging_follows_the_grants() {
    let both: &[&str] = &["claude", "anthropic"];
    for (file, grants, default) in [
        ("staging-claude.txt", &["claude"][..], None),
        ("staging-anthropic.txt", &["anthropic"], None),
        ("staging-both.txt", both, None),
        ("staging-both-anthropic-default.txt", both, Some("anthropic")),
    ] {
        let claude = Claude::new();
        let container = prepare(&claude, &Ports::bare(), grants, default, |_| {}).unwrap();
        golden::check(format!("tests/golden/{file}"), &container.picture(&claude));
    }
}

fn mcp_servers() -> [(String, McpServerConfig); 3] {
    let remote = |url: &str, headers: &[(&str, &str)], grant: Option<&str>| {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        McpServerConfig::Remote { url: url.to_owned(), headers, grant: grant.map(key) }
    };
    let local = McpServerConfig::Local {
        command: "files".to_owned(),
        args: vec!["--root".to_owned(), "/workspace".to_owned()],
        env: vec![EnvVar::new("DEBUG", "1").unwrap()],
    };
    [
        ("files".to_owned(), local),
        ("notes".to_owned(), remote("https://notes.example.com/mcp", &[], Some("custom:notes"))),
        ("docs".to_owned(), remote("https://docs.example.com/mcp", &[("x-team", "a")], None)),
    ]
}

#[test]
fn everything_that_a_run_may_bring_is_staged() {
    let object = |value: Value| value.as_object().unwrap().clone();
    let claude = Claude::new()
        .model("opus")
        .plan("pro")
        .identity(Identity::Shared)
        .nonessential_traffic(NonessentialTraffic::On)
        .sessions(SessionStore::Shared("/home/me/.claude/projects/-home-me-project".into()))
        .plugin_seed("/home/me/.claude/seed")
        .settings(SettingsSource::Run, object(json!({"enabledPlugins": {"lint@team": false}})))
        .settings(
            SettingsSource::Sandbox,
            object(json!({"model": "sonnet", "permissions": {"deny": ["WebFetch"]}})),
        );
    let grants = ["claude", "anthropic", "custom:notes"];
    let container = prepare(&claude, &Ports::bare(), &grants, None, |opts| {
        opts.mcp_servers.extend(mcp_servers());
        opts.runtime_context = "# Moat Environment\n\nThe workspace is /workspace.\n".to_owned();
        opts.host_config = object(json!({
            "theme": "light",
            "numStartups": 7,
            "lastOnboardingVersion": "2.1.0",
            "oauthAccount": {
                "accountUuid": "a", "emailAddress": "me@example.com", "billingType": "card",
            },
            "userID": "someone",
            "projects": {"/home/me/other": {}},
            "mcpServers": {"mine": {"command": "x"}},
        }));
    });
    golden::check("tests/golden/staging-full.txt", &container.unwrap().picture(&claude));
}

#[test]
fn a_login_says_what_the_grant_was() {
    let canary = token("sk-ant-oat01-");
    let imported =
        Credential::builder(key("claude"), canary.secret(), time("2026-11-01T00:00:00Z"))
            .scopes(["org:create_api_key", "user:profile", "user:inference", "user:mcp_servers"])
            .expires_at(time("2026-11-01T08:00:00Z"))
            .metadata("claude_subscription_type", "team")
            .metadata("claude_rate_limit_tier", "default_claude_max_5x")
            .build();
    let login = |claude: &Claude, credential: &Credential| -> Value {
        let run = run(std::slice::from_ref(credential), None);
        let mounts = claude.container_mounts(&[credential.info()], &run).unwrap();
        let [file] = &mounts.files[..] else { panic!("one file") };
        assert_eq!(file.path().as_str(), "/home/moatuser/.claude/.credentials.json");
        assert_eq!(file.permissions(), 0o600);
        let document: Value = serde_json::from_slice(file.contents()).unwrap();
        document["claudeAiOauth"].clone()
    };
    let staged = login(&Claude::new(), &imported);
    // Scopes that the rules do not serve would make Claude Code ask for what it does not get.
    assert_eq!(staged["scopes"], json!(["user:inference", "user:profile"]));
    assert_eq!(staged["subscriptionType"], "team");
    assert_eq!(staged["rateLimitTier"], "default_claude_max_5x");
    // The placeholder outlives the token: a renewed grant works in a run that goes on.
    assert_eq!(staged["expiresAt"], 4_102_444_800_000_i64);
    assert_eq!(staged.get("refreshToken"), None);
    assert_eq!(login(&Claude::new().plan("pro"), &imported)["subscriptionType"], "pro");

    let pasted = credential("claude", &canary.secret(), "prompt");
    let staged = login(&Claude::new(), &pasted);
    assert_eq!(staged["scopes"], json!(["user:inference"]));
    assert_eq!(staged["subscriptionType"], "max");
    assert_eq!(staged.get("rateLimitTier"), None);
}

#[test]
fn a_grant_alone_sets_what_its_programs_look_for() {
    let credentials = granted(&["anthropic"]);
    let infos = [credentials[0].info()];
    let run_of_one = run(&credentials, None);
    let [variable] = &Anthropic::new().container_env(&infos, &run_of_one).unwrap()[..] else {
        panic!("one variable")
    };
    assert_eq!(variable.name(), "ANTHROPIC_API_KEY");
    assert!(variable.value().starts_with("sk-ant-api03-"));
    assert!(Anthropic::new().container_env(&[], &run_of_one).unwrap().is_empty());
    assert!(Claude::new().container_env(&infos, &run_of_one).unwrap().is_empty());
    assert!(Claude::new().container_mounts(&[], &run_of_one).unwrap().files.is_empty());
}

#[test]
fn a_server_without_its_grant_stops_the_run() {
    let claude = Claude::new().host_settings(HostSettings::Ignore);
    let prepared = prepare(&claude, &Ports::bare(), &["claude"], None, |opts| {
        opts.mcp_servers.extend(mcp_servers());
    });
    let error = prepared.err().unwrap();
    assert!(error.hint().unwrap().contains("--grant custom:notes"), "{error}");
}

#[test]
fn a_seed_is_a_directory_of_its_own_with_its_whole_path() {
    let seeded = |directory: &str| {
        let claude = Claude::new().plugin_seed(directory);
        prepare(&claude, &Ports::bare(), &["claude"], None, |_| {})
    };
    for odd in ["seed", "", "/", "/opt", "/home/me", "/home/me/", "/home/me/../you/seed"] {
        let error = seeded(odd).err().unwrap();
        assert!(error.kind() == ErrorKind::InvalidInput, "{odd}: {error}");
    }
    let container = seeded("/opt/claude/seed/").unwrap();
    let mount = container.config.mounts.last().unwrap();
    assert_eq!(mount.target().as_str(), "/opt/claude/seed");
    assert_eq!(mount.access(), MountAccess::ReadOnly);
}
