//! OAuth redirects on loopback.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Error, ErrorKind, PendingRedirect, RedirectListener, Result, Secret, escape_line,
};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::bounded::Buffer;

/// The longest head of a request that is read.
const MAX_HEAD: usize = 16 * 1024;
/// How many headers a browser may send.
const MAX_HEADERS: usize = 100;
/// How many connections are read at once. One more ends the oldest.
const MAX_CONNECTIONS: usize = 32;
/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on 127.0.0.1 for the browser that comes back from an OAuth authorization (RFC 8252,
/// section 7.3).
///
/// The state is compared in constant time. What comes with another, with none, with two, or on
/// another path gets an error page and ends nothing; neither does a client that sends slowly, or
/// many that do.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopbackRedirects;

impl RedirectListener for LoopbackRedirects {
    fn listen<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Box<dyn PendingRedirect>>> {
        Box::pin(async move {
            check(path)?;
            let unbound = |error| {
                Error::new(ErrorKind::Io, "no port of 127.0.0.1 can be bound")
                    .with_hint("choose a way to sign in that needs no browser on this machine")
                    .with_source(error)
            };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unbound)?;
            let port = listener.local_addr().map_err(unbound)?.port();
            let uri = format!("http://127.0.0.1:{port}{path}");
            Ok(Box::new(Pending { listener, uri, path: path.to_owned() }) as Box<_>)
        })
    }
}

fn check(path: &str) -> Result<()> {
    // The characters of a path that no client writes in another way (RFC 3986, section 2.3).
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if path.starts_with('/') && path.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::invalid(format!("{} is not a path for redirects", escape_line(path)))
        .with_hint("use a path such as /callback"))
}

struct Pending {
    listener: TcpListener,
    uri: String,
    path: String,
}

impl PendingRedirect for Pending {
    fn redirect_uri(&self) -> &str {
        &self.uri
    }

    fn receive(
        self: Box<Self>,
        state: Secret,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Secret>> {
        Box::pin(async move {
            tokio::time::timeout(limit, self.wait(state)).await.unwrap_or_else(|_| {
                let seconds = limit.as_secs();
                let message = format!("the browser did not come back within {seconds} seconds");
                Err(Error::new(ErrorKind::TimedOut, message)
                    .with_hint("try again, and finish the sign-in in the browser"))
            })
        })
    }
}

impl Pending {
    async fn wait(self: Box<Self>, state: Secret) -> Result<Secret> {
        // Connections end with the set.
        let mut connections = JoinSet::new();
        let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let Ok((tcp, _)) = accepted else {
                        // Out of descriptors, or the client was gone: not at full speed.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    };
                    oldest.retain(|connection| !connection.is_finished());
                    if oldest.len() >= MAX_CONNECTIONS && let Some(first) = oldest.pop_front() {
                        first.abort();
                    }
                    let (path, state) = (self.path.clone(), state.clone());
                    oldest.push_back(connections.spawn(async move {
                        let served = serve(tcp, &path, &state);
                        tokio::time::timeout(PATIENCE, served).await.ok()?.ok()?
                    }));
                }
                Some(served) = connections.join_next(), if !connections.is_empty() => {
                    if let Ok(Some(query)) = served {
                        return Ok(query);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// Reads one request and answers it; returns the query of the redirect that is waited for.
async fn serve(mut tcp: TcpStream, path: &str, state: &Secret) -> io::Result<Option<Secret>> {
    let mut head = Buffer::new(MAX_HEAD);
    let judged = read_head(&mut tcp, &mut head).await?.judge(&head, path, state);
    let answered = match &judged {
        Judged::Redirect(_) => answer(&mut tcp, "200 OK", "You can close this tab.").await,
        Judged::NotFound => answer(&mut tcp, "404 Not Found", "There is nothing here.").await,
        Judged::Bad => {
            let text = "This is not the sign-in that moat waits for. Begin it anew.";
            answer(&mut tcp, "400 Bad Request", text).await
        }
    };
    match judged {
        // It came, whether the browser waits for the page or not.
        Judged::Redirect(query) => Ok(Some(query)),
        _ => answered.map(|()| None),
    }
}

enum Head {
    Complete,
    Malformed,
}

enum Judged {
    Redirect(Secret),
    NotFound,
    Bad,
}

async fn read_head(tcp: &mut (impl AsyncRead + Unpin), head: &mut Buffer) -> io::Result<Head> {
    loop {
        let read = head.read_from(tcp).await?;
        if head.as_slice().windows(4).any(|window| window == b"\r\n\r\n") {
            return Ok(Head::Complete);
        }
        if head.is_too_long() {
            return Ok(Head::Malformed);
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

impl Head {
    fn judge(self, head: &Buffer, path: &str, state: &Secret) -> Judged {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if matches!(self, Self::Malformed) || request.parse(head.as_slice()).is_err() {
            return Judged::Bad;
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Judged::Bad;
        };
        let (asked, query) = target.split_once('?').unwrap_or((target, ""));
        if asked != path {
            Judged::NotFound
        } else if method == "GET" && has_state(query, state) {
            Judged::Redirect(Secret::new(query.to_owned()))
        } else {
            Judged::Bad
        }
    }
}

/// Whether a query has exactly one `state`, and that the right one. An empty state is never right.
fn has_state(query: &str, state: &Secret) -> bool {
    let mut states = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = percent_decode_str(name).decode_utf8().ok()?;
        (name == "state").then(|| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some(Secret::new(value.into_owned()))
        })
    });
    match (states.next(), states.next()) {
        (Some(Some(found)), None) => !state.is_empty() && found.same_as(state),
        _ => false,
    }
}

async fn answer(tcp: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>moat</title>\
         <p>{text}</p></html>\n"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        page.len()
    );
    tcp.write_all((head + &page).as_bytes()).await?;
    tcp.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_state_once_and_whole() {
        let state = Secret::new("a-b~c".to_owned());
        for right in ["state=a-b~c", "code=1&state=a-b~c", "state=a%2Db~c&x", "s%74ate=a-b~c"] {
            assert!(has_state(right, &state), "{right}");
        }
        for wrong in [
            "",
            "state",
            "state=",
            "state=a-b~",
            "state=a-b~cd",
            "State=a-b~c",
            "xstate=a-b~c",
            "state=a-b~c&state=a-b~c",
            "state=a-b~c&state=x",
            "state=%ff",
        ] {
            assert!(!has_state(wrong, &state), "{wrong}");
        }
        assert!(!has_state("state=", &Secret::new(String::new())));
    }
}
