//! What gh and git find in the container.

use moat_provider_core::{
    Alphabet, Credential, CredentialProvider, Placeholder, PlaceholderShape, ProxyRules, RunContext,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::golden::{self, Picture};
use proptest::prelude::*;

use crate::support::{credential, run, token};

const GH_CONFIG: &str = include_str!("../data/gh-config.yml");

fn placeholder(credential: &Credential, run: &RunContext) -> Placeholder {
    let mut rules = ProxyRules::default();
    let github = GitHub::new();
    github.configure_proxy(&mut rules, credential.info(), run).unwrap();
    rules.credentials()[0].placeholders()[0].clone()
}

fn granted(grants: &[(&str, &str)]) -> Vec<Credential> {
    let canary = token("ghx_");
    grants.iter().map(|(grant, kind)| credential(grant, &canary.secret(), "prompt", kind)).collect()
}

/// Shows everything that is staged, with names in the place of placeholders.
fn staged(grants: &[(&str, &str)], gh_config: Option<&str>) -> String {
    let github = GitHub::new();
    let credentials = granted(grants);
    let infos: Vec<_> = credentials.iter().map(Credential::info).collect();
    let run = run(infos.iter().copied(), gh_config);
    let mut picture = Picture::new()
        .env(&github.container_env(&infos, &run).unwrap())
        .mounts(&github.container_mounts(&infos, &run).unwrap());
    for credential in &credentials {
        let name = credential.key().to_string();
        picture = picture.placeholder(&name, &placeholder(credential, &run));
    }
    picture.to_string()
}

#[test]
fn staging_follows_the_grants() {
    let dot_com = ("github", "classic");
    let tenant = ("github:octo.ghe.com", "oauth");
    let server = ("github:ghe.example.com", "classic");
    let other = ("github:git.example.org:8443", "fine-grained");
    for (file, grants, config) in [
        ("staging-classic.txt", &[dot_com][..], None),
        ("staging-fine-grained.txt", &[("github", "fine-grained")], None),
        ("staging-server.txt", &[server], None),
        ("staging-tenant.txt", &[tenant], None),
        ("staging-dot-com-and-server.txt", &[dot_com, server], None),
        ("staging-dot-com-and-tenant.txt", &[dot_com, tenant], None),
        ("staging-two-servers.txt", &[server, other, dot_com], None),
        ("staging-gh-config.txt", &[dot_com], Some(GH_CONFIG)),
        ("staging-two-servers-gh-config.txt", &[server, other], Some(GH_CONFIG)),
    ] {
        golden::check(format!("tests/golden/{file}"), &staged(grants, config));
    }
}

#[test]
fn a_configuration_without_preferences_is_not_staged() {
    let bare = staged(&[("github", "classic")], None);
    for config in [
        "",
        "hosts:\n  github.com:\n    oauth_token: gho_x\n",
        "editor: vim\nhttp_unix_socket: null\n",
        "prompt: [unclosed",
    ] {
        assert_eq!(staged(&[("github", "classic")], Some(config)), bare, "{config:?}");
    }
}

#[test]
fn the_placeholder_looks_like_the_token() {
    let letters = |prefix, len| PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, len);
    for (kind, shape) in [
        ("classic", letters("ghp_", 36)),
        ("oauth", letters("gho_", 36)),
        ("app-user", letters("ghu_", 36)),
        ("installation", letters("ghs_", 36)),
        (
            "fine-grained",
            letters("github_pat_", 22).literal("_").random(Alphabet::Alphanumeric, 59),
        ),
        ("other", PlaceholderShape::new().random(Alphabet::LowerHex, 40)),
        ("unheard-of", PlaceholderShape::new().random(Alphabet::LowerHex, 40)),
    ] {
        let credentials = granted(&[("github", kind)]);
        let run = run([credentials[0].info()], None);
        let placeholder = placeholder(&credentials[0], &run);
        assert!(shape.fits(placeholder.as_str()), "{kind}: {placeholder}");
    }
}

#[test]
fn the_configuration_is_looked_for_where_gh_looks() {
    let github = GitHub::new();
    let [file] = github.host_files() else { panic!("one file") };
    let places: Vec<_> = file
        .candidates()
        .iter()
        .map(|place| format!("{:?} {}", place.dir(), place.relative()))
        .collect();
    assert_eq!(places, ["Variable(\"GH_CONFIG_DIR\") config.yml", "Config gh/config.yml"]);
}

/// Keys and values that a configuration may have, good and bad.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("prompt".to_owned()),
        Just("aliases".to_owned()),
        Just("editor".to_owned()),
        Just("oauth_token".to_owned()),
        Just("hosts".to_owned()),
        "[a-z_]{1,12}",
        "\\PC{1,12}",
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        Just(serde_json::Value::from("enabled")),
        Just(serde_json::Value::from("disabled")),
        Just(serde_json::Value::from("pr checkout")),
        any::<bool>().prop_map(serde_json::Value::from),
        "\\PC{0,24}".prop_map(serde_json::Value::from),
        "[!\n\t a-z]{0,24}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::from("oauth_token: gho_x\neditor: sh")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop::collection::btree_map(key(), inner, 0..4)
            .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into())
    })
}

proptest! {
    /// Whatever stands in the person's file, only settings of the list reach the container, with
    /// one of their two values, and aliases that are commands of gh.
    #[test]
    fn no_other_setting_survives(file in prop::collection::btree_map(key(), value(), 0..8)) {
        let file: serde_json::Value = file.into_iter().collect::<serde_json::Map<_, _>>().into();
        let credentials = granted(&[("github", "classic")]);
        let infos = [credentials[0].info()];
        // JSON is YAML (YAML 1.2, section 1.3).
        let run = run(infos, Some(&file.to_string()));
        let mounts = GitHub::new().container_mounts(&infos, &run).unwrap();
        for staged in &mounts.files {
            let mut in_aliases = false;
            for line in std::str::from_utf8(staged.contents()).unwrap().lines() {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                match name {
                    "version" => prop_assert_eq!(value, "\"1\""),
                    "git_protocol" => prop_assert_eq!(value, "https"),
                    "aliases:" => in_aliases = true,
                    "prompt" | "prefer_editor_prompt" | "color_labels" | "accessible_colors"
                    | "accessible_prompter" | "spinner" => {
                        prop_assert!(["enabled", "disabled"].contains(&value));
                    }
                    _ => {
                        prop_assert!(in_aliases && name.starts_with("    \""), "{}", line);
                        let expansion: String = serde_json::from_str(value).unwrap();
                        prop_assert!(!expansion.starts_with('!'));
                        prop_assert!(!expansion.contains(char::is_control));
                    }
                }
            }
        }
    }

    /// A file that is no YAML at all breaks nothing.
    #[test]
    fn no_text_breaks_the_reader(text in "(\\PC|[\n\t:&*!|>-]){0,200}") {
        let credentials = granted(&[("github", "classic")]);
        let infos = [credentials[0].info()];
        let run = run(infos, Some(&text));
        prop_assert!(GitHub::new().container_mounts(&infos, &run).is_ok());
    }
}
