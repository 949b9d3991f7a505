//! What a `moat.toml` may say, and what is said about one that is wrong.

use moat_provider_core::MountAccess;

use super::*;

fn error(text: &str) -> String {
    let error = WorkspaceConfig::parse(text).unwrap_err();
    assert_eq!(error.code(), crate::error::Code::Usage);
    match error.hint() {
        Some(hint) => format!("{} | {hint}", error.message()),
        None => error.message().to_owned(),
    }
}

const FULL: &str = r#"
agent = "toy"
grants = ["github", "aws:prod"]
defaults = ["github"]
policy = "permissive"
allow = ["api.example.com", "10.0.0.0/8"]
deny = ["DELETE api.example.com/v1/**"]
no-proxy = ["internal.example"]
sandbox = "docker"
home = "kept"
mounts = ["/srv/data:/data", "/srv/out:/out:rw"]
publish = [3000, "8080:80"]

[env]
LOG = "debug"

[mcp.local]
command = "server"
args = ["--stdio"]
env = { A = "b" }

[mcp.remote]
url = "https://mcp.example.com/mcp"
headers = { X-Team = "a" }
grant = "oauth:notion"

[agents.toy]
model = "large"
fast = true
slow = false
depth = 3
tools = ["a", "b"]
"#;

#[test]
fn everything_is_read() {
    let config = WorkspaceConfig::parse(FULL).unwrap();
    assert_eq!(config.grants.len(), 2);
    assert_eq!(config.policy, Some(Mode::Permissive));
    assert_eq!(config.sandbox, Some(SandboxChoice::Docker));
    assert_eq!(config.home, Some(HomeChoice::Kept));
    assert_eq!(config.mounts[0].access, MountAccess::ReadOnly);
    assert_eq!(config.publish[1], Publish { host: 8080, container: 80 });
    assert_eq!(config.env, [EnvVar::new("LOG", "debug").unwrap()]);
    assert!(matches!(&config.mcp["local"], McpServer::Local { args, .. } if args == &["--stdio"]));
    let McpServer::Remote { url, grant, .. } = &config.mcp["remote"] else { panic!("no URL") };
    assert_eq!(url, "https://mcp.example.com/mcp");
    assert_eq!(grant.as_ref().unwrap().to_string(), "oauth:notion");
    let flags = ["--model=large", "--fast", "--depth=3", "--tools=a", "--tools=b"];
    assert_eq!(config.agents["toy"], flags);
    assert_eq!(WorkspaceConfig::parse("").unwrap(), WorkspaceConfig::default());
}

#[test]
fn what_binds_or_widens_is_asked_for_and_nothing_else() {
    let asks = WorkspaceConfig::parse(FULL).unwrap().asks();
    let asks: Vec<_> = asks.iter().map(Ask::as_str).collect();
    assert_eq!(
        asks,
        [
            "use your credential github",
            "use your credential aws:prod",
            "use github where a request carries no credential",
            "reach every host, because the policy is permissive",
            "reach api.example.com",
            "reach 10.0.0.0/8",
            "reach internal.example without the proxy",
            "read /srv/data of this machine, as /data",
            "read and write /srv/out of this machine, as /out",
            "be reached at port 3000 of this machine",
            "be reached at port 8080 of this machine",
            "use your credential oauth:notion at https://mcp.example.com/mcp, as the MCP server remote",
            "start the agent toy",
            "start toy with --model=large --fast --depth=3 --tools=a --tools=b",
        ]
    );
    let narrow =
        "policy = \"strict\"\ndeny = [\"a.example\"]\nhome = \"private\"\n[env]\nA = \"b\"";
    assert!(WorkspaceConfig::parse(narrow).unwrap().asks().is_empty());
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_known_one() {
    assert_eq!(error("grant = []"), "moat.toml:1:1: there is no key grant | write grants");
    assert_eq!(
        error("\n[mcp.x]\nur = \"y\""),
        "moat.toml:3:1: there is no key mcp.x.ur | write mcp.x.url"
    );
    assert!(error("zzz = 1").contains("| the keys are: agent, grants, "));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        ("a = ", "moat.toml:1:5: string values must be quoted"),
        ("grants = \"github\"", "moat.toml:1:10: grants: an array is expected, not text"),
        ("grants = [\"ok\", 1]", "moat.toml:1:17: grants[1]: text is expected, not a number"),
        ("grants = [\"Git Hub\"]", "moat.toml:1:11: grants[0]: "),
        ("policy = \"lax\"", "moat.toml:1:10: policy: the mode \"lax\""),
        ("allow = [\"https://a.example\"]", "moat.toml:1:10: allow[0]: "),
        ("home = 1", "moat.toml:1:8: home: text is expected, not a number"),
        ("publish = [0]", "moat.toml:1:12: publish[0]: "),
        ("mounts = [\"x\"]", "moat.toml:1:11: mounts[0]: "),
        ("env = 1", "moat.toml:1:7: env: a table is expected, not a number"),
        ("[env]\n\"A B\" = \"x\"", "moat.toml:2:9: env.A B: "),
        (
            "[env]\nhttps_proxy = \"x\"",
            "moat.toml:2:15: env.https_proxy: https_proxy cannot be set",
        ),
        ("[mcp.a]", "moat.toml:1:1: mcp.a: a server has either a command or a url"),
        ("[mcp.a]\nurl = \"http://b.example\"", "moat.toml:2:7: mcp.a.url: an https URL"),
        ("[mcp.a]\nurl = \"https://u@b.example\"", "moat.toml:2:7: mcp.a.url: an https URL"),
        (
            "[mcp.a]\nurl = \"https://b.example\"\nheaders = { Authorization = \"x\" }",
            "moat.toml:3:",
        ),
        ("[agents.a]\n\"-x\" = 1", "moat.toml:2:8: agents.a.-x: "),
        ("agent = \"a\\u001b\"", "moat.toml:1:9: agent: a control character"),
    ] {
        let found = error(text);
        assert!(found.starts_with(expected), "{text:?}: {found}");
    }
}

#[test]
fn a_workspace_cannot_switch_the_sandbox_off() {
    let found = error("sandbox = \"none\"");
    assert!(found.contains("cannot ask for a run without a sandbox"), "{found}");
    assert!(found.ends_with("| moat run --sandbox none"), "{found}");
}

#[test]
fn a_question_shows_nothing_that_a_terminal_acts_upon() {
    let config = WorkspaceConfig::parse("mounts = [\"/a\u{202e}b:/c\"]").unwrap();
    assert_eq!(config.asks()[0].to_string(), "read /a\\u{202e}b of this machine, as /c");
    let long = format!("[agents.a]\nx = \"{}\"", "y".repeat(1000));
    let asked = WorkspaceConfig::parse(&long).unwrap().asks()[0].to_string();
    assert!(asked.ends_with("y… (and 617 characters more)"), "{asked}");
}

#[test]
fn two_lists_of_flags_never_read_alike() {
    let asks = |text: &str| WorkspaceConfig::parse(text).unwrap().asks();
    let one = asks("[agents.toy]\nmodel = \"a --fast\"");
    assert_eq!(one[0].as_str(), "start toy with '--model=a --fast'");
    assert_ne!(one, asks("[agents.toy]\nmodel = \"a\"\nfast = true"));
}
