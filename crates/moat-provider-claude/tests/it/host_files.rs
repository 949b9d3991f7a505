//! What of the person's own Claude Code reaches the container.

use moat_provider_claude::{Claude, HostSettings, Identity, SettingsSource};
use moat_provider_core::{HostDir, HostFile, Secret};
use moat_provider_testkit::{Canary, FakeFiles, Ports};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{Container, host_file, prepare, table};

fn config_file() -> HostFile {
    HostFile::new("claude/.claude.json")
        .at(HostDir::Variable("CLAUDE_CONFIG_DIR"), ".claude.json")
        .at(HostDir::Home, ".claude.json")
}

fn files(config: &str, settings: &str, marketplaces: &str, instructions: &str) -> Ports {
    let secret = |text: &str| Secret::new(text.to_owned());
    Ports::bare().with_files(
        FakeFiles::new()
            .file(&config_file(), secret(config))
            .file(&host_file("settings.json"), secret(settings))
            .file(&host_file("plugins/known_marketplaces.json"), secret(marketplaces))
            .file(&host_file("CLAUDE.md"), secret(instructions)),
    )
}

fn prepared(claude: &Claude, ports: &Ports) -> Container {
    prepare(claude, ports, &["claude"], None, |_| {}).unwrap()
}

#[test]
fn each_source_has_its_say_in_the_settings() {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for case in table(include_str!("../data/settings.json")) {
        let name = case["case"].as_str().unwrap();
        let ports = files(
            "",
            &case.get("host").unwrap_or(&Value::Null).to_string(),
            &case.get("known").unwrap_or(&Value::Null).to_string(),
            "",
        );
        let mut claude = Claude::new();
        // In this order, so that the order of the calls cannot be what decides.
        for (source, given) in [
            (SettingsSource::Run, "run"),
            (SettingsSource::Sandbox, "sandbox"),
            (SettingsSource::Workspace, "workspace"),
        ] {
            if let Some(settings) = case.get(given) {
                claude = claude.settings(source, object(settings));
            }
        }
        let container = prepared(&claude, &ports);
        let mut wanted = json!({"tui": "default", "skipDangerousModePermissionPrompt": true});
        for (entry, value) in case["staged"].as_object().unwrap() {
            wanted[entry] = value.clone();
        }
        assert_eq!(container.json(".claude/settings.json"), wanted, "{name}");
        let mut overrides = case.get("overrides").cloned().unwrap_or_else(|| json!({}));
        overrides["apiKeyHelper"] = json!("");
        let mut staged = container.json(".claude/moat-settings.json");
        staged.as_object_mut().unwrap().remove("env");
        assert_eq!(staged, overrides, "{name}");
    }
}

#[test]
fn a_broken_file_of_the_persons_is_no_reason_not_to_run() {
    let bare = prepared(&Claude::new(), &Ports::bare());
    for broken in ["", "{", "[1, 2]", "null", "\"text\"", "{\"enabledPlugins\": 7, \"theme\": []}"]
    {
        let container = prepared(&Claude::new(), &files(broken, broken, broken, ""));
        for file in [".claude.json", ".claude/settings.json"] {
            assert_eq!(container.file(file), bare.file(file), "{file} with {broken:?}");
        }
    }
    let unreadable =
        FakeFiles::new().unreadable(&config_file()).unreadable(&host_file("CLAUDE.md"));
    let container = prepared(&Claude::new(), &Ports::bare().with_files(unreadable));
    assert_eq!(container.file(".claude.json"), bare.file(".claude.json"));
}

#[test]
fn the_persons_instructions_are_kept() {
    let ports = files("", "", "", "# Mine\n\nUse tabs.\n");
    let claude = Claude::new();
    assert_eq!(
        prepared(&claude, &ports).file(".claude/CLAUDE.md").unwrap(),
        "# Mine\n\nUse tabs.\n"
    );
    let container = prepare(&claude, &ports, &["claude"], None, |opts| {
        opts.runtime_context = "# Run\n".to_owned();
    });
    let text = container.unwrap().file(".claude/CLAUDE.md").unwrap();
    assert_eq!(text, "# Run\n\n# Mine\n\nUse tabs.\n");
}

#[test]
fn nothing_of_the_host_is_used_when_the_person_says_so() {
    let ports = files("{\"numStartups\": 3}", "{\"tui\": \"fullscreen\"}", "{}", "# Mine\n");
    let bare = prepared(&Claude::new(), &Ports::bare());
    let ignoring = Claude::new().host_settings(HostSettings::Ignore);
    let container = prepared(&ignoring, &ports);
    for file in [".claude.json", ".claude/settings.json", ".claude/CLAUDE.md"] {
        assert_eq!(container.file(file), bare.file(file), "{file}");
    }
    assert!(ports.files().reads().is_empty());
}

#[test]
fn who_the_person_is_stays_outside_unless_they_say_so() {
    let config = json!({
        "oauthAccount": {"emailAddress": "me@example.com", "organizationUuid": "o", "x": "y"},
        "userID": "u", "anonymousId": "a", "machineID": "m",
    });
    let ports = files(&config.to_string(), "", "", "");
    let hidden = prepared(&Claude::new(), &ports).json(".claude.json");
    assert_eq!(hidden.get("oauthAccount"), None);
    let sharing = Claude::new().identity(Identity::Shared);
    let shared = prepared(&sharing, &ports).json(".claude.json");
    assert_eq!(
        shared["oauthAccount"],
        json!({"emailAddress": "me@example.com", "organizationUuid": "o"})
    );
    for id in ["userID", "anonymousId", "machineID"] {
        assert_eq!(shared.get(id), None, "{id}");
    }
}

/// A secret anywhere in the person's files, but for their instructions, stays outside.
#[test]
fn no_secret_of_the_files_reaches_the_container() {
    let canary = Canary::new();
    let token = canary.text();
    let config = json!({
        "primaryApiKey": token,
        "customApiKeyResponses": {"approved": [token]},
        "oauthAccount": {"accountUuid": 7, "token": token},
        "mcpServers": {"x": {"type": "http", "headers": {"Authorization": token}}},
        "projects": {token: {"history": [token]}},
        "cachedGrowthBookFeatures": {"x": token},
        "clientDataCache": {"x": token},
        "theme": {"x": token},
        "numStartups": token,
        token: true,
    });
    let settings = json!({
        "env": {"ANTHROPIC_AUTH_TOKEN": token},
        "apiKeyHelper": token,
        "hooks": {"Stop": [{"command": token}]},
        "tui": token,
        "enabledPlugins": {"a@b": token, token: true},
        "extraKnownMarketplaces": {
            "user": {"source": {"source": "git", "url": format!("https://{}@git.example.com/x", "u")}},
            "query": {"source": {"source": "git", "url": "https://git.example.com/x?token=y"}},
            "headers": {
                "source": {"source": "github", "repo": "a/b", "headers": {"Authorization": token}},
                "headersHelper": token,
            },
            "url": {"source": {"source": "url", "url": token}},
            "path": {"source": {"source": "directory", "path": token}},
        },
    });
    let marketplaces =
        json!({"k": {"source": {"source": "npm", "package": token}, "installLocation": token}});
    let ports =
        files(&config.to_string(), &settings.to_string(), &marketplaces.to_string(), "# Mine\n");
    let container = prepared(&Claude::new().identity(Identity::Shared), &ports);
    for file in &container.config.files {
        assert_eq!(canary.find_in(file.contents()), None, "in {}", file.path());
    }
    let staged = container.json(".claude/settings.json");
    assert_eq!(
        staged["extraKnownMarketplaces"],
        json!({"headers": {"source": {"source": "github", "repo": "a/b"}}})
    );
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("github")),
        Just(json!("git")),
        Just(json!("a/b")),
    ];
    let name = prop_oneof![
        "[a-z]{1,6}".boxed(),
        Just("source".to_owned()).boxed(),
        Just("enabledPlugins".to_owned()).boxed(),
        Just("extraKnownMarketplaces".to_owned()).boxed(),
        Just("oauthAccount".to_owned()).boxed(),
        Just("theme".to_owned()).boxed(),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    /// Whatever stands in the files, the container gets well-formed files with members that are
    /// known.
    #[test]
    fn no_file_breaks_the_staging(config in json_value(), settings in json_value(), known in json_value()) {
        let ports = files(&config.to_string(), &settings.to_string(), &known.to_string(), "");
        let container = prepared(&Claude::new(), &ports);
        for (name, value) in container.json(".claude/settings.json").as_object().unwrap() {
            match name.as_str() {
                "tui" => prop_assert!(value == "default" || value == "fullscreen"),
                "skipDangerousModePermissionPrompt" => prop_assert_eq!(value, &json!(true)),
                "enabledPlugins" => {
                    prop_assert!(value.as_object().unwrap().values().all(Value::is_boolean));
                }
                "extraKnownMarketplaces" => {
                    for market in value.as_object().unwrap().values() {
                        prop_assert_eq!(market.as_object().unwrap().len(), 1);
                        prop_assert!(market["source"]["source"].is_string());
                    }
                }
                other => prop_assert!(false, "{}", other),
            }
        }
        let config = container.json(".claude.json");
        prop_assert_eq!(&config["hasCompletedOnboarding"], &json!(true));
        prop_assert!(config["theme"].is_string());
        prop_assert_eq!(config.get("oauthAccount"), None);
    }
}
