//! MCP servers, checked before any agent is told about them.
//!
//! A remote server gets its credential by transparent injection: the agent knows its URL and nothing
//! else, and the proxy fills what the grant's own rules say, at the hosts that the grant is for. So
//! a URL that somebody else wrote never decides where a credential goes.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri};
use moat_provider_core::{
    CredentialKey, EnvVar, Error, ErrorKind, McpServerConfig, Result, RunContext,
};
use serde_json::{Map, Value, json};

/// Headers that authenticate. A credential stands in a grant, never in a file of the container.
const CREDENTIAL_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// An MCP server that passed the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpServer<'a> {
    /// A program in the container that speaks over its standard streams.
    Local {
        /// The program.
        command: &'a str,
        /// Its arguments.
        args: &'a [String],
        /// Its variables, in addition to the agent's.
        env: &'a [EnvVar],
    },
    /// A server that speaks streamable HTTP.
    Remote {
        /// An https URL, or an http one on loopback.
        url: &'a str,
        /// Headers that hold no credential.
        headers: &'a BTreeMap<String, String>,
    },
}

impl McpServer<'_> {
    /// Returns the members that most agents agree upon, in JSON: `command`, `args` and `env`, or the
    /// URL, under the name that the agent has for it, and `headers`. What is empty is left out.
    #[must_use]
    pub fn members(&self, url_member: &str) -> Map<String, Value> {
        let mut members = Map::new();
        match self {
            Self::Local { command, args, env } => {
                members.insert("command".to_owned(), (*command).into());
                if !args.is_empty() {
                    members.insert("args".to_owned(), json!(args));
                }
                let pair = |var: &EnvVar| (var.name().to_owned(), Value::from(var.value()));
                let env: Map<_, _> = env.iter().map(pair).collect();
                if !env.is_empty() {
                    members.insert("env".to_owned(), env.into());
                }
            }
            Self::Remote { url, headers } => {
                members.insert(url_member.to_owned(), (*url).into());
                if !headers.is_empty() {
                    members.insert("headers".to_owned(), json!(headers));
                }
            }
        }
        members
    }
}

/// Checks the servers of a run, in the order of their names.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a name, program, URL or header that no agent should be given,
/// [`ErrorKind::CredentialNotFound`] for a server whose grant is not part of the run, and
/// [`ErrorKind::Unsupported`] for a kind of server that this version does not know.
pub fn servers<'a>(
    configured: &'a BTreeMap<String, McpServerConfig>,
    run: &RunContext,
) -> Result<Vec<(&'a str, McpServer<'a>)>> {
    let servers = configured.iter().map(|(name, config)| {
        check_name(name)?;
        Ok((name.as_str(), server(name, config, run)?))
    });
    servers.collect()
}

/// A name becomes part of the names of tools, in every agent.
fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-') {
        Ok(())
    } else {
        Err(Error::invalid(format!("{name:?} cannot be the name of an MCP server"))
            .with_hint("use 1 to 64 letters, digits, hyphens and underscores"))
    }
}

fn server<'a>(name: &str, config: &'a McpServerConfig, run: &RunContext) -> Result<McpServer<'a>> {
    match config {
        McpServerConfig::Local { command, args, env } => {
            let words = [command].into_iter().chain(args);
            if command.trim().is_empty() || words.into_iter().any(|word| word.contains('\0')) {
                return Err(Error::invalid(format!("the MCP server {name} has no program"))
                    .with_hint("give the command that starts it"));
            }
            Ok(McpServer::Local { command, args, env })
        }
        McpServerConfig::Remote { url, headers, grant } => {
            check_url(name, url, grant.as_ref())?;
            headers.iter().try_for_each(|(header, value)| check_header(name, header, value))?;
            if let Some(grant) = grant {
                check_grant(name, grant, run)?;
            }
            Ok(McpServer::Remote { url, headers })
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the MCP server {name} is of a kind that this version does not know"),
        )
        .with_hint("leave it out")),
    }
}

fn check_url(name: &str, url: &str, grant: Option<&CredentialKey>) -> Result<()> {
    let refused = |why: &str, hint: &str| {
        Err(Error::invalid(format!("the URL of the MCP server {name} {why}"))
            .with_hint(hint.to_owned()))
    };
    let Ok(uri) = url.parse::<Uri>() else {
        return refused("is no URL", "write https://HOST/PATH");
    };
    let Some(authority) = uri.authority() else {
        return refused("names no host", "write https://HOST/PATH");
    };
    if authority.as_str().contains('@') {
        return refused(
            "holds a user or a password",
            "make a grant of it, and write the URL without it",
        );
    }
    let is_loopback = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback && grant.is_none() => Ok(()),
        _ => refused("is not https", "write https://HOST/PATH"),
    }
}

fn check_header(name: &str, header: &str, value: &str) -> Result<()> {
    let malformed = header.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err();
    if malformed {
        return Err(Error::invalid(format!(
            "the MCP server {name} has a header that HTTP does not allow: {header:?}"
        ))
        .with_hint("leave it out"));
    }
    if CREDENTIAL_HEADERS.contains(&header.to_ascii_lowercase().as_str()) {
        return Err(Error::invalid(format!(
            "the MCP server {name} has a credential in its header {header}"
        ))
        .with_hint("make a grant of it, and name that grant instead of the header"));
    }
    Ok(())
}

fn check_grant(name: &str, grant: &CredentialKey, run: &RunContext) -> Result<()> {
    if run.grants().iter().any(|info| info.key() == grant) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::CredentialNotFound,
        format!("the MCP server {name} needs the grant {grant}, which this run does not have"),
    )
    .with_hint(format!("add --grant {grant}, after moat grant {grant} if it is a new one")))
}
