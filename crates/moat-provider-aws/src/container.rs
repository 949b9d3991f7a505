//! What the tools of AWS find in the container.

use std::fmt::Write as _;

use moat_provider_core::{
    ContainerMounts, ContainerPath, CredentialInfo, EnvVar, HostFile, Result, RunContext, Secret,
    StagedFile,
};

use crate::config;
use crate::endpoint;
use crate::keys::DummyKeys;
use crate::settings::{Mode, PROFILE, Settings};

/// One grant of the run, under the name that its profile has in the container.
struct Role<'a> {
    info: &'a CredentialInfo,
    settings: Settings,
    name: &'a str,
}

fn roles<'a>(credentials: &[&'a CredentialInfo]) -> Result<Vec<Role<'a>>> {
    let role = |info: &&'a CredentialInfo| {
        let name = info.key().qualifier().unwrap_or("default");
        Ok(Role { info, settings: Settings::of(info)?, name })
    };
    credentials.iter().map(role).collect()
}

/// Returns the grant that programs use which name no profile: the person's default, else the
/// unqualified one, else the first.
fn default<'r, 'a>(roles: &'r [Role<'a>], run: &RunContext) -> Option<&'r Role<'a>> {
    let chosen = roles.iter().find(|role| run.is_default(role.info.key()));
    let plain = || roles.iter().find(|role| role.info.key().qualifier().is_none());
    chosen.or_else(plain).or_else(|| roles.first())
}

/// Returns the variables.
pub(crate) fn env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    let roles = roles(credentials)?;
    let directory = run.home().join(".aws")?;
    let mut env = Vec::new();
    let mut set = |name: &str, value: &str| -> Result<()> {
        env.push(EnvVar::new(name, value)?);
        Ok(())
    };
    set("AWS_CONFIG_FILE", directory.join("config")?.as_str())?;
    set("AWS_SHARED_CREDENTIALS_FILE", directory.join("credentials")?.as_str())?;
    // Older SDKs for Go read the configuration file only then.
    set("AWS_SDK_LOAD_CONFIG", "1")?;
    // Else an SDK without keys asks for those of the machine that the container runs on.
    set("AWS_EC2_METADATA_DISABLED", "true")?;
    set("AWS_PAGER", "")?;
    if roles.iter().any(|role| role.settings.mode == Mode::Signing) {
        set("AWS_AUTH_SCHEME_PREFERENCE", "sigv4")?;
        set("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")?;
        set("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", "true")?;
    }
    // A variable would go before the regions of profiles, and before the keys of a profile.
    let mut regions: Vec<&str> = roles.iter().map(|role| &*role.settings.region).collect();
    regions.dedup();
    if let [region] = regions.as_slice() {
        set("AWS_REGION", region)?;
        set("AWS_DEFAULT_REGION", region)?;
    }
    if let [role] = roles.as_slice() {
        match role.settings.mode {
            Mode::Signing => {
                let dummy = DummyKeys::of(role.info.key(), run)?;
                set("AWS_ACCESS_KEY_ID", dummy.id.as_str())?;
                set("AWS_SECRET_ACCESS_KEY", &dummy.secret)?;
            }
            Mode::Endpoint => {
                let url = run.endpoint_url(role.info.key(), endpoint::CONTAINER)?;
                set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)?;
                let token = token_file(&directory, role)?;
                set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.as_str())?;
            }
        }
    }
    Ok(env)
}

fn token_file(directory: &ContainerPath, role: &Role<'_>) -> Result<ContainerPath> {
    directory.join(&format!("moat/{}.token", role.name))
}

fn helper_file(directory: &ContainerPath, role: &Role<'_>) -> Result<ContainerPath> {
    directory.join(&format!("moat/{}.sh", role.name))
}

/// Returns the files.
pub(crate) fn mounts(
    credentials: &[&CredentialInfo],
    run: &RunContext,
    config_file: &HostFile,
) -> Result<ContainerMounts> {
    let roles = roles(credentials)?;
    let directory = run.home().join(".aws")?;
    let theirs = run.host_file(config_file).map(text).unwrap_or_default();
    let (mut config, mut keys) = (String::new(), String::new());
    let mut mounts = ContainerMounts::default();
    let mut section = |name: &str, role: &Role<'_>| -> Result<()> {
        let title =
            if name == "default" { "default".to_owned() } else { format!("profile {name}") };
        let _ = writeln!(config, "[{title}]\nregion = {}", role.settings.region);
        match role.settings.mode {
            Mode::Signing => {
                let dummy = DummyKeys::of(role.info.key(), run)?;
                let _ = writeln!(
                    keys,
                    "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}",
                    dummy.id, dummy.secret
                );
            }
            Mode::Endpoint => {
                let helper = helper_file(&directory, role)?;
                let _ = writeln!(config, "credential_process = \"{helper}\"");
            }
        }
        write_settings(&mut config, theirs, role);
        Ok(())
    };
    if let Some(role) = default(&roles, run) {
        section("default", role)?;
    }
    for role in roles.iter().filter(|role| role.name != "default") {
        section(role.name, role)?;
    }
    for role in roles.iter().filter(|role| role.settings.mode == Mode::Endpoint) {
        let token = token_file(&directory, role)?;
        let value = endpoint::token(role.info, run)?.as_str().to_owned();
        let url = run.endpoint_url(role.info.key(), endpoint::PROCESS)?;
        let helper = StagedFile::new(helper_file(&directory, role)?, helper(&token, &url));
        mounts.files.push(StagedFile::new(token, value));
        mounts.files.push(helper.mode(0o700));
    }
    mounts.files.insert(0, StagedFile::new(directory.join("config")?, config));
    mounts.files.insert(1, StagedFile::new(directory.join("credentials")?, keys));
    Ok(mounts)
}

/// Writes what is taken over from the profile of the person that the grant is of.
fn write_settings(config: &mut String, theirs: &str, role: &Role<'_>) {
    let profile = role.info.metadata(PROFILE).unwrap_or("default");
    let mut group = "";
    for (name, value) in config::settings(theirs, profile) {
        let (own, name) = name.split_once('.').unwrap_or(("", name));
        if own != group {
            group = own;
            let _ = writeln!(config, "{group} =");
        }
        let indent = if own.is_empty() { "" } else { "  " };
        let _ = writeln!(config, "{indent}{name} = {value}");
    }
}

/// Fetches keys for tools that start a program for them. The token stays out of arguments, which
/// other processes can see. Only options that curl has had since 7.55 (2017).
fn helper(token: &ContainerPath, url: &str) -> String {
    format!(
        r#"#!/bin/sh
answer=$(printf 'Authorization: %s' "$(cat '{token}')" |
  curl --silent --show-error --max-time 10 --noproxy '*' --header @- \
    --write-out '\n%{{http_code}}' '{url}') || exit 1
case $answer in
*"
200") printf '%s' "${{answer%200}}" ;;
*)
  printf '%s\n' "$answer" >&2
  exit 1
  ;;
esac
"#
    )
}

#[expect(clippy::disallowed_methods, reason = "the settings in it are chosen one by one")]
fn text(file: &Secret) -> &str {
    file.expose()
}
