//! The client in the sandbox: asks the API, and then searches all that it can read for the token.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, USER_AGENT};
use moat_host::{CorporateProxy, HttpsClient};
use moat_provider_core::{CommandSpec, ErrorKind, HttpClient, Secret};
use serde_json::{Value, json};

use super::search::Search;
use super::vendor::{API, OTHER};
use crate::app::{App, plain_variable};
use crate::error::{CliError, Result};
use crate::output::line;

/// Variables by which curl finds the proxy and whom to trust.
const INHERITED: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
/// How long an answer of loopback may take, in seconds.
const PATIENCE: &str = "20";

/// What the client found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// The program that asked.
    pub(super) program: String,
    /// What the sandbox has for a credential.
    pub(super) credential: Option<String>,
    pub(super) api: Answer,
    /// What a host answered that no grant is for.
    pub(super) other: Answer,
    pub(super) searched: Searched,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// What was searched, and what was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Searched {
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) processes: u64,
    pub(super) placeholder_in: BTreeSet<String>,
}

/// Is the client.
pub(in crate::command) async fn client(app: &App<'_>) -> Result<()> {
    let environment = app.system.environment();
    let credential = plain_variable(&*environment, "GH_TOKEN")?;
    let (program, api) = ask(app, &format!("https://{API}/user"), credential.as_deref()).await?;
    let (_, other) = ask(app, &format!("https://{OTHER}/"), credential.as_deref()).await?;
    let searched = credential.as_deref().map(|credential| {
        let home = plain_variable(&*environment, "HOME").ok().flatten();
        let mut search = Search::new(credential);
        search.everything(home.as_deref());
        json!({
            "bytes": search.bytes,
            "files": search.files,
            "processes": search.processes,
            "placeholder_in": search.placeholder_in,
            "candidates": search.candidates,
        })
    });
    let report = json!({
        "program": program,
        "credential": credential,
        "api": { "status": api.status, "body": api.body },
        "other": { "status": other.status, "body": other.body },
        "searched": searched,
    });
    app.output.raw(&format!("{report}\n"))
}

impl Report {
    /// Reads what the client wrote.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let report: Value = serde_json::from_slice(text).ok()?;
        let answer = |name: &str| {
            let status = u16::try_from(report[name]["status"].as_u64()?).ok()?;
            Some(Answer { status, body: report[name]["body"].as_str()?.to_owned() })
        };
        let searched = &report["searched"];
        let count = |name: &str| searched[name].as_u64().unwrap_or_default();
        let places = searched["placeholder_in"].as_array().into_iter().flatten();
        Some(Self {
            program: report["program"].as_str()?.to_owned(),
            credential: report["credential"].as_str().map(str::to_owned),
            api: answer("api")?,
            other: answer("other")?,
            searched: Searched {
                bytes: count("bytes"),
                files: count("files"),
                processes: count("processes"),
                placeholder_in: places.filter_map(|it| it.as_str().map(str::to_owned)).collect(),
            },
        })
    }
}

/// Asks by the proxy of the environment: with curl, or where there is none with a client of ours.
/// Returns who asked as well.
async fn ask(app: &App<'_>, url: &str, credential: Option<&str>) -> Result<(&'static str, Answer)> {
    let mut arguments = vec!["-sS", "--max-time", PATIENCE, "--write-out", "\n%{http_code}"];
    let header = credential.map(|credential| format!("Authorization: token {credential}"));
    if let Some(header) = &header {
        arguments.extend(["--header", header]);
    }
    arguments.push(url);
    let curl = CommandSpec::new("curl").args(arguments).inherit(INHERITED);
    match app.system.commands().run(&curl).await {
        Ok(output) if output.succeeded() => {
            let answer = curls(&output.stdout);
            Ok(("curl", answer.ok_or_else(|| CliError::new("curl printed no status"))?))
        }
        Ok(output) => {
            Err(CliError::new(format!("curl failed: {}", line(&plain(&output.stderr.trimmed())))))
        }
        Err(error) if error.kind() == ErrorKind::CommandNotFound => {
            Ok(("moat", ask_without_curl(app, url, header.as_deref()).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads what curl was asked to print.
fn curls(stdout: &Secret) -> Option<Answer> {
    let text = plain(stdout);
    let (body, status) = text.rsplit_once('\n')?;
    Some(Answer { status: status.parse().ok()?, body: body.to_owned() })
}

#[expect(clippy::disallowed_methods, reason = "what the sandbox was answered is to be shown")]
fn plain(output: &Secret) -> String {
    output.expose().to_owned()
}

async fn ask_without_curl(app: &App<'_>, url: &str, header: Option<&str>) -> Result<Answer> {
    let environment = app.system.environment();
    let mut client = HttpsClient::builder();
    if let Some(bundle) = plain_variable(&*environment, "SSL_CERT_FILE")? {
        client = client.upstream_ca(bundle)?;
    }
    let client = client.proxy(CorporateProxy::from_environment(&*environment)?).build()?;
    let mut request = Request::get(url).header(USER_AGENT, "moat-demo");
    if let Some((_, value)) = header.and_then(|header| header.split_once(": ")) {
        request = request.header(AUTHORIZATION, value);
    }
    let request = request
        .body(Bytes::new())
        .map_err(|error| CliError::new("the request cannot be made").with_source(&error))?;
    let answer = client.send(request).await?;
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    Ok(Answer { status: answer.status().as_u16(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_curl_is_the_status() {
        let answer = curls(&Secret::new("{\n}\n200".to_owned())).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\n}"));
        assert!(curls(&Secret::new("200".to_owned())).is_none());
    }
}
