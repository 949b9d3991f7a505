//! Variables, files and mounts of the container.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use moat_provider_core::{
    ContainerMounts, ContainerPath, EnvVar, MountConfig, MountSource, Staging,
};

use super::Rule;
use super::report::{Report, Search};
use super::subject::{Observation, Subject};

/// Variables that belong to the host, the sandbox or the shell: they decide what is loaded and run,
/// where requests go, and whose certificates count.
const RESERVED: [&str; 46] = [
    "ALL_PROXY",
    "AWS_CA_BUNDLE",
    "BASH_ENV",
    "CARGO_HTTP_CAINFO",
    "CDPATH",
    "CLASSPATH",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "ENV",
    "GIT_EXEC_PATH",
    "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NO_PROXY",
    "OPENSSL_CONF",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PIP_CERT",
    "PROMPT_COMMAND",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "REQUESTS_CA_BUNDLE",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "_JAVA_OPTIONS",
];

/// Looks for secrets in variables, files and mounts.
pub(super) fn search(report: &mut Report, secrets: &Search, observation: &Observation) {
    search_in(report, secrets, &observation.what, &observation.env, &observation.mounts);
}

pub(super) fn search_in(
    report: &mut Report,
    secrets: &Search,
    what: &str,
    env: &[EnvVar],
    mounts: &ContainerMounts,
) {
    let rule = Rule::SecretInContainer;
    for var in env {
        report.search(rule, secrets, format_args!("{} of {what}", var.name()), var.value());
    }
    for file in &mounts.files {
        let path = file.path().as_str();
        report.search(rule, secrets, format_args!("a file's path of {what}"), path);
        report.search(rule, secrets, format_args!("a file of {what}"), file.contents());
    }
    for mount in &mounts.mounts {
        report.search(rule, secrets, format_args!("a mount of {what}"), format!("{mount:?}"));
    }
}

pub(super) fn check(report: &mut Report, subject: &Subject<'_>, observation: &Observation) {
    let Observation { what, run, env, mounts, .. } = observation;
    let mut names = BTreeSet::new();
    for var in env {
        report.demand(names.insert(var.name()), Rule::Environment, || {
            format!("{what} sets {} twice", var.name())
        });
    }
    variables(report, what, env);
    paths(report, what, run.home(), mounts);
    let mut staging = Staging::default();
    if let Some(owner) = subject.samples.first().map(|sample| sample.credential.key()) {
        // What is set twice is reported above.
        let _ = staging.add_env(owner, env.iter().cloned());
        let staged = staging.add_mounts(owner, mounts.clone());
        let placed = format!("placing the files of {what} together");
        report.require(Rule::Conflicts, &subject.secrets(), &placed, staged);
    }
}

pub(super) fn variables(report: &mut Report, what: &str, env: &[EnvVar]) {
    for var in env {
        let name = var.name().to_ascii_uppercase();
        let reserved = RESERVED.contains(&name.as_str())
            || ["LD_", "DYLD_", "MOAT_"].iter().any(|prefix| name.starts_with(prefix));
        report.demand(!reserved, Rule::Environment, || {
            format!("{what} sets {}, which is the host's", var.name())
        });
    }
}

pub(super) fn paths(
    report: &mut Report,
    what: &str,
    home: &ContainerPath,
    mounts: &ContainerMounts,
) {
    for file in &mounts.files {
        let path = file.path();
        report.demand(path.is_below(home), Rule::Paths, || {
            format!("{what} stages {path}, which is not below {home}")
        });
        let mode = file.permissions();
        report.demand(mode & 0o022 == 0, Rule::Paths, || {
            format!("{what} stages {path} with mode {mode:04o}, which others may write")
        });
    }
    for mount in &mounts.mounts {
        let target = mount.target();
        report.demand(target.is_below(home), Rule::Paths, || {
            format!("{what} mounts {target}, which is not below {home}")
        });
        source(report, what, mount);
    }
}

fn source(report: &mut Report, what: &str, mount: &MountConfig) {
    let target = mount.target();
    match mount.source() {
        MountSource::Host(path) => {
            report.demand(is_narrow(path), Rule::Paths, || {
                format!("{what} mounts {} of the host, which is too much", path.display())
            });
        }
        MountSource::PrivateToRun(name) | MountSource::PrivateToWorkspace(name) => {
            let plain = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !name.starts_with('.');
            report.demand(plain, Rule::Paths, || {
                format!(
                    "{what} mounts at {target} a directory named {name:?}, which is no plain name"
                )
            });
        }
        _ => {}
    }
}

/// Whether a path of the host is absolute, without dot segments, and deeper than a home directory or
/// a directory of the system.
fn is_narrow(path: &Path) -> bool {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy()),
            Component::RootDir | Component::Prefix(_) => {}
            Component::CurDir | Component::ParentDir => return false,
        }
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let wide = matches!(
        names.as_slice(),
        [] | [_]
            | ["home" | "Users", _]
            | ["etc" | "proc" | "sys" | "dev" | "run", ..]
            | ["var", "run", ..]
    );
    path.is_absolute() && !wide
}
