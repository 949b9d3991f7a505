//! The client in the sandbox: asks the API, and then looks for anything like a token in all that it
//! can read. It does not know the token.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, USER_AGENT};
use moat_host::{CorporateProxy, HttpsClient};
use moat_provider_core::{Environment, HttpClient};
use moat_run::sandbox::PROXY_SOCKET;
use serde_json::{Value, json};

use super::vendor::API;
use crate::app::{App, plain_variable};
use crate::error::Result;

/// What a token of GitHub's begins with, and how long it is at least.
const PREFIX: &[u8] = b"ghp_";
const LENGTH: usize = 36;

/// Where files of a run are.
const PLACES: [&str; 6] = ["/home", "/run", "/tmp", "/var", "/etc", "/opt"];
/// The most that is read of one file, in bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// A mapping that is longer is not memory that anything was put into.
const LONGEST_MAPPING: u64 = 256 * 1024 * 1024;

/// What the client found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) token: Option<String>,
    pub(super) status: u16,
    pub(super) answer: String,
    pub(super) candidates: BTreeSet<String>,
    pub(super) searched: u64,
    pub(super) processes: usize,
}

/// Is the client.
pub(in crate::command) async fn client(app: &App<'_>) -> Result<()> {
    let environment = app.system.environment();
    let token = plain_variable(&*environment, "GH_TOKEN")?;
    let (status, answer) = ask(&*environment, token.as_deref()).await?;
    let mut search = Search::default();
    search.everything(plain_variable(&*environment, "HOME")?.as_deref());
    let report = json!({
        "token": token,
        "status": status,
        "answer": answer,
        "candidates": search.candidates,
        "searched": search.bytes,
        "processes": search.processes,
    });
    app.output.raw(&format!("{report}\n"))
}

impl Report {
    /// Reads what the client wrote.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let report: Value = serde_json::from_slice(text).ok()?;
        let candidates = report["candidates"].as_array()?.iter();
        Some(Self {
            token: report["token"].as_str().map(str::to_owned),
            status: u16::try_from(report["status"].as_u64()?).ok()?,
            answer: report["answer"].as_str()?.to_owned(),
            candidates: candidates.filter_map(|it| it.as_str().map(str::to_owned)).collect(),
            searched: report["searched"].as_u64()?,
            processes: usize::try_from(report["processes"].as_u64()?).ok()?,
        })
    }
}

/// Asks the API who the person is, by the proxy of the environment.
async fn ask(environment: &dyn Environment, token: Option<&str>) -> Result<(u16, String)> {
    let mut client = HttpsClient::builder();
    if let Some(bundle) = plain_variable(environment, "SSL_CERT_FILE")? {
        client = client.upstream_ca(bundle)?;
    }
    let client = client.proxy(CorporateProxy::from_environment(environment)?).build()?;
    let mut request = Request::get(format!("https://{API}/user")).header(USER_AGENT, "demo");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("token {token}"));
    }
    let request = request.body(Bytes::new()).unwrap_or_default();
    let answer = client.send(request).await?;
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    Ok((answer.status().as_u16(), body))
}

/// Collects what looks like a token.
#[derive(Default)]
struct Search {
    candidates: BTreeSet<String>,
    bytes: u64,
    processes: usize,
}

impl Search {
    /// Looks at all that is there, in a sandbox; without one at what the run alone has.
    fn everything(&mut self, home: Option<&str>) {
        if !Path::new(PROXY_SOCKET).exists() {
            home.into_iter().for_each(|home| self.files(Path::new(home), 0));
            return self.process(Path::new("/proc/self"));
        }
        for place in PLACES {
            self.files(Path::new(place), 0);
        }
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let is_process =
                entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit());
            if is_process {
                self.process(&entry.path());
            }
        }
    }

    fn files(&mut self, path: &Path, depth: usize) {
        let Ok(found) = fs::symlink_metadata(path) else { return };
        if found.is_dir() && depth < 32 {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.files(&entry.path(), depth + 1);
            }
        } else if found.is_file() {
            self.file(path);
        }
    }

    fn file(&mut self, path: &Path) {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(path) {
            _ = file.take(MOST).read_to_end(&mut text);
        }
        self.look(&text);
    }

    fn process(&mut self, path: &Path) {
        let own: PathBuf = path.join("environ");
        self.file(&own);
        self.file(&path.join("cmdline"));
        let (maps, memory) =
            (fs::read_to_string(path.join("maps")), fs::File::open(path.join("mem")));
        let (Ok(maps), Ok(mut memory)) = (maps, memory) else { return };
        self.processes += 1;
        for (first, last) in maps.lines().filter_map(readable) {
            let mut text = vec![0; usize::try_from(last - first).unwrap_or(0)];
            if memory.seek(SeekFrom::Start(first)).is_ok() && memory.read_exact(&mut text).is_ok() {
                self.look(&text);
            }
        }
    }

    fn look(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        let starts = text.windows(PREFIX.len()).enumerate().filter(|(_, it)| *it == PREFIX);
        for (at, _) in starts {
            let rest = &text[at..];
            let end = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_');
            let word = &rest[..end.unwrap_or(rest.len()).min(256)];
            if word.len() >= LENGTH {
                self.candidates.insert(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
}

/// Reads a line of `/proc/PID/maps` (proc(5)): a range that can be read.
fn readable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (first, last) = words.next()?.split_once('-')?;
    let is_readable = words.next()?.starts_with('r');
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (first, last) = (number(first)?, number(last)?);
    (is_readable && last - first <= LONGEST_MAPPING).then_some((first, last))
}
