//! MCP servers that a workspace names.

use std::collections::BTreeMap;

use http::Uri;
use moat_provider_core::{EnvVar, GrantRef};

use super::fields::Value;
use crate::error::Result;

/// A server, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum McpServer {
    /// A program in the sandbox.
    Local { command: String, args: Vec<String>, env: Vec<EnvVar> },
    /// A server at an https URL.
    Remote { url: String, headers: BTreeMap<String, String>, grant: Option<GrantRef> },
}

/// Reads one server.
pub(super) fn server(name: &str, value: &Value<'_>) -> Result<(String, McpServer)> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(value.error("a server's name has letters, digits, hyphens and underscores"));
    }
    let mut fields = value.fields()?;
    let command = fields.text("command")?;
    let url = fields.optional("url", url)?;
    let args = fields.list("args", Value::text)?;
    let env = fields.table("env", |name, value| value.check(EnvVar::new(name, value.text()?)))?;
    let headers = fields.table("headers", header)?.into_iter().collect::<BTreeMap<_, _>>();
    let grant = fields.parsed("grant")?;
    fields.finish()?;
    let server = match (command, url) {
        (Some(command), None) if headers.is_empty() && grant.is_none() => {
            McpServer::Local { command, args, env }
        }
        (None, Some(url)) if args.is_empty() && env.is_empty() => {
            McpServer::Remote { url, headers, grant }
        }
        (Some(_), None) => {
            return Err(value.error("a server with a command has neither headers nor a grant"));
        }
        (None, Some(_)) => return Err(value.error("a server with a url has neither args nor env")),
        _ => return Err(value.error("a server has either a command or a url")),
    };
    Ok((name.to_owned(), server))
}

/// Reads an https URL without user information.
fn url(value: &Value<'_>) -> Result<String> {
    let text = value.text()?;
    let uri: Uri = value.check(text.parse())?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) || has_user {
        return Err(value.error("an https URL is expected, without user information"));
    }
    Ok(text)
}

/// Reads a header that holds no secret, and that authenticates nobody.
fn header(name: &str, value: &Value<'_>) -> Result<(String, String)> {
    let lower = name.to_ascii_lowercase();
    value.check(http::HeaderName::from_bytes(name.as_bytes()))?;
    let text = value.text()?;
    value.check(http::HeaderValue::from_str(&text))?;
    if ["authorization", "cookie", "host", "proxy-authorization"].contains(&lower.as_str()) {
        return Err(value
            .error(format!("the header {lower} cannot be set by a workspace"))
            .with_hint("name the grant whose credential goes there: grant = \"…\""));
    }
    Ok((name.to_owned(), text))
}
