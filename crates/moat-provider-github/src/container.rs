//! What gh and git find in the container.

use std::fmt::Write as _;

use moat_provider_core::{
    ContainerMounts, CredentialInfo, EnvVar, HostFile, Result, RunContext, Secret, StagedFile,
};
use serde_json::Value;

use crate::config::{self, Preferences};
use crate::grant::LOGIN;
use crate::host::{Instance, InstanceKind};
use crate::rules::{GIT_USER, placeholder};

/// How the grants of a run reach gh.
///
/// gh has one variable for github.com together with the tenants of ghe.com, and one for all
/// servers; either goes before what stands in `hosts.yml`. So a variable is set where a single
/// grant falls under it, and where several do, all of them go into the file.
struct Layout<'a> {
    variables: Vec<(&'static str, &'a CredentialInfo)>,
    hosts: Vec<(Instance, &'a CredentialInfo)>,
    /// The host that gh takes where nothing names one.
    default_host: Option<String>,
}

impl<'a> Layout<'a> {
    fn of(credentials: &[&'a CredentialInfo]) -> Result<Self> {
        let (mut servers, mut others) = (Vec::new(), Vec::new());
        for info in credentials {
            let instance = Instance::of(info.key())?;
            match instance.kind() {
                InstanceKind::Server => servers.push((instance, *info)),
                InstanceKind::DotCom | InstanceKind::Tenant => others.push((instance, *info)),
            }
        }
        let default_host = match (servers.as_slice(), others.as_slice()) {
            ([(only, _)], []) | ([], [(only, _)]) if only.kind() != InstanceKind::DotCom => {
                Some(only.name().to_owned())
            }
            _ => None,
        };
        let mut layout = Self { variables: Vec::new(), hosts: Vec::new(), default_host };
        for group in [others, servers] {
            match group.as_slice() {
                [(instance, info)] => {
                    let [variable, _] = instance.token_variables();
                    layout.variables.push((variable, info));
                }
                _ => layout.hosts.extend(group),
            }
        }
        Ok(layout)
    }
}

/// Returns the variables.
pub(crate) fn env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    let layout = Layout::of(credentials)?;
    let mut env = Vec::new();
    for (variable, info) in layout.variables {
        env.push(EnvVar::new(variable, placeholder(info, run)?.as_str())?);
    }
    if let Some(host) = layout.default_host {
        env.push(EnvVar::new("GH_HOST", host)?);
    }
    // Git asks for a password only when the token was not accepted: then it shall fail, not wait.
    env.push(EnvVar::new("GIT_TERMINAL_PROMPT", "0")?);
    Ok(env)
}

/// Returns gh's configuration.
pub(crate) fn mounts(
    credentials: &[&CredentialInfo],
    run: &RunContext,
    preferences: &HostFile,
) -> Result<ContainerMounts> {
    let layout = Layout::of(credentials)?;
    let preferences =
        run.host_file(preferences).and_then(|file| config::read(text(file))).unwrap_or_default();
    let mut mounts = ContainerMounts::default();
    let mut stage = |name: &str, contents: String| -> Result<()> {
        let path = run.home().join(&format!(".config/gh/{name}"))?;
        mounts.files.push(StagedFile::new(path, contents));
        Ok(())
    };
    if !preferences.is_empty() || !layout.hosts.is_empty() {
        stage("config.yml", config_yml(&preferences))?;
    }
    if !layout.hosts.is_empty() {
        stage("hosts.yml", hosts_yml(&layout.hosts, run)?)?;
    }
    Ok(mounts)
}

#[expect(clippy::disallowed_methods, reason = "the preferences in it are chosen key by key")]
fn text(file: &Secret) -> &str {
    file.expose()
}

/// Version 1 keeps gh from migrating the file, for which it would ask GitHub who is logged in (gh
/// 2.40 and later, `internal/config/migration`). Git goes over HTTPS, where the proxy is.
fn config_yml(preferences: &Preferences) -> String {
    let mut yaml = String::from("version: \"1\"\ngit_protocol: https\n");
    for (name, value) in &preferences.settings {
        let _ = writeln!(yaml, "{name}: {value}");
    }
    if !preferences.aliases.is_empty() {
        yaml.push_str("aliases:\n");
        for (name, expansion) in &preferences.aliases {
            let _ = writeln!(yaml, "    {}: {}", quoted(name), quoted(expansion));
        }
    }
    yaml
}

/// The layout of gh 2.40 and later, which gh 2.23 reads too.
fn hosts_yml(hosts: &[(Instance, &CredentialInfo)], run: &RunContext) -> Result<String> {
    let mut yaml = String::new();
    for (instance, info) in hosts {
        let user = quoted(info.metadata(LOGIN).unwrap_or(GIT_USER));
        let token = placeholder(info, run)?;
        let _ = write!(
            yaml,
            "{}:\n    git_protocol: https\n    users:\n        {user}:\n            oauth_token: {token}\n    \
             user: {user}\n    oauth_token: {token}\n",
            quoted(instance.name()),
        );
    }
    Ok(yaml)
}

/// Writes text as a double-quoted scalar: a JSON string is one (YAML 1.2, section 1.3).
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
