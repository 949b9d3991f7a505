//! What each provider has to say, and the programs that sandboxes take from this machine.

use moat_provider_core::{
    ClientProgram, CommandOutput, CommandSpec, CredentialInfo, Diagnosis, Finding, GrantContext,
    HostContext, Provider,
};

use super::Check;
use crate::app::App;
use crate::error::Result;
use crate::output::line;

/// Looks at the providers with a credential, at agents that are installed, and at those that the
/// person names.
pub(super) async fn checks(
    app: &App<'_>,
    granted: &[CredentialInfo],
    named: &[String],
) -> Result<Vec<Check>> {
    let cx = context(app);
    for name in named {
        app.registry.require(name)?;
    }
    let mut checks = Vec::new();
    for provider in app.registry.iter() {
        let of = |info: &&CredentialInfo| info.key().provider() == provider.name();
        let own: Vec<_> = granted.iter().filter(of).cloned().collect();
        let is_named = named.iter().filter_map(|name| app.registry.get(name));
        let is_wanted =
            !own.is_empty() || is_named.map(|it| it.name()).any(|it| it == provider.name());
        if let (Some(diagnosable), true) = (provider.as_diagnosable(), is_wanted) {
            let found = diagnosable.diagnose(&cx, &own).await;
            checks.extend(found.iter().map(|found| check(&**provider, found)));
        }
        if let Some(client) = provider.as_agent().and_then(|agent| agent.client()) {
            let found = program(cx.host(), &client).await;
            if is_wanted || found.finding() != Finding::Bad {
                checks.push(check(&**provider, &found));
            }
        }
        if let (Some(credential), true) = (provider.as_credential(), is_wanted) {
            for tool in credential.implied_dependencies() {
                checks.extend(missing(cx.host(), tool).await);
            }
        }
    }
    Ok(checks)
}

/// Makes a context in which nothing can be sent, and nobody asked.
fn context(app: &App<'_>) -> GrantContext {
    let system = app.system;
    let host = HostContext::builder(system.clock(), system.entropy())
        .commands(system.commands())
        .files(system.files())
        .build();
    GrantContext::builder(host).environment(system.environment()).build()
}

fn check(provider: &dyn Provider, found: &Diagnosis) -> Check {
    let name = provider.name().as_str();
    // A subject that names the grant needs no name beside it.
    let what = match found.subject().starts_with(name) {
        true => line(found.subject()),
        false => format!("{name} {}", line(found.subject())),
    };
    Check {
        what: format!("provider {what}"),
        finding: found.finding(),
        detail: line(found.detail()),
        fix: found.fix().map(line),
    }
}

/// Asks a program for its version.
async fn version(host: &HostContext, name: &str) -> Option<CommandOutput> {
    let command = CommandSpec::new(name).args(["--version"]);
    host.commands().run(&command).await.ok()
}

/// Looks at the program of an agent.
async fn program(host: &HostContext, client: &ClientProgram) -> Diagnosis {
    let (name, proven) = (client.name(), client.proven_version());
    let subject = "program";
    let Some(output) = version(host, name).await else {
        let fix = format!("install it: {}", client.install());
        return Diagnosis::bad(subject, format!("{name} is not in PATH"), fix);
    };
    #[expect(clippy::disallowed_methods, reason = "a version is no secret")]
    let installed = Version::find(output.stdout.expose());
    let Some(installed) = installed else {
        let fix = format!("{name} --version");
        return Diagnosis::warning(subject, format!("{name} does not tell its version"), fix);
    };
    match installed.cmp(&Version::find(proven).unwrap_or_default()) {
        std::cmp::Ordering::Less => Diagnosis::warning(
            subject,
            format!("{name} {installed} is older than {proven}, with which it is proven"),
            format!("update it: {}", client.install()),
        ),
        std::cmp::Ordering::Equal => Diagnosis::good(subject, format!("{name} {installed}")),
        std::cmp::Ordering::Greater => {
            Diagnosis::good(subject, format!("{name} {installed}; proven with {proven}"))
        }
    }
}

/// Looks for a tool that somebody with a grant will want.
async fn missing(host: &HostContext, tool: &str) -> Option<Check> {
    if version(host, tool).await.is_some() {
        return None;
    }
    Some(Check::warning(
        format!("program {tool}"),
        "not in PATH: sandboxes do not have it either",
        format!("install {tool}"),
    ))
}

/// The numbers of a version: `2.1.197`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Version(Vec<u64>);

impl Version {
    /// Finds the first word that is a version.
    fn find(text: &str) -> Option<Self> {
        let words = text.split(|c: char| c.is_whitespace() || ",()".contains(c));
        words.filter_map(Self::parse).next()
    }

    fn parse(word: &str) -> Option<Self> {
        let numbers =
            word.trim_start_matches('v').trim_end_matches('.').split(['-', '+']).next()?;
        let numbers: Option<Vec<_>> = numbers.split('.').map(|it| it.parse().ok()).collect();
        numbers.filter(|numbers| numbers.len() > 1).map(Self)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_ordered_by_number() {
        let version = |text| Version::find(text).map(|it| it.to_string());
        assert_eq!(version("2.1.197 (Claude Code)").as_deref(), Some("2.1.197"));
        assert_eq!(version("codex-cli 0.128.0\n").as_deref(), Some("0.128.0"));
        assert_eq!(version("v1.2.3-beta.1").as_deref(), Some("1.2.3"));
        assert_eq!(version("GitHub Copilot CLI 1.0.102.").as_deref(), Some("1.0.102"));
        assert_eq!(version("no version 7"), None);
        assert!(Version::find("1.10.0") > Version::find("1.9.9"));
    }
}
