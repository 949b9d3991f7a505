//! OpenAI on loopback, as far as Codex asks for it: logins, keys, and a model by HTTP and by
//! WebSocket.

mod model;
mod socket;

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use moat_provider_core::{Alphabet, BoxFuture};
use moat_provider_testkit::Canary;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::model::endless;
use crate::vendor::{Arrival, Double, Reply, field, json as reply, text};

pub(crate) const API: &str = "api.openai.com";
pub(crate) const CHATGPT: &str = "chatgpt.com";
pub(crate) const LOGIN: &str = "auth.openai.com";

/// The ChatGPT account.
const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";

/// Whether the model is offered by WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    WebSocket,
    Http,
}

pub(crate) struct OpenAi {
    key: Canary,
    /// What a person makes for programs.
    access_token: Canary,
    /// The tokens of a login, of which the second comes in exchange for the refresh token.
    logins: [Canary; 2],
    refresh_token: Canary,
    offer: Offer,
    /// Since when the first token of the login is refused.
    is_first_login_over: Mutex<bool>,
}

impl OpenAi {
    pub(crate) fn new(offer: Offer) -> Self {
        Self {
            key: Canary::shaped("sk-proj-", Alphabet::Alphanumeric, 156),
            access_token: Canary::shaped("at-", Alphabet::Alphanumeric, 60),
            logins: [token(), token()],
            refresh_token: Canary::shaped("rt_", Alphabet::Alphanumeric, 60),
            offer,
            is_first_login_over: Mutex::new(false),
        }
    }

    /// Grants the key, and the access token.
    pub(crate) async fn grant(&self, machine: &Machine) {
        machine.grant("openai", "OPENAI_API_KEY", &self.key).await;
        machine.grant("codex", "CODEX_ACCESS_TOKEN", &self.access_token).await;
    }

    /// Accepts the first token of the login no more.
    pub(crate) fn end_first_login(&self) {
        *self.is_first_login_over.lock().unwrap() = true;
    }

    /// Answers the host of logins: a device login with the code that the page would have taken.
    fn login(&self, path: &str, account: Option<&str>, sent: &Value) -> Reply {
        let issued = |login: &Canary| {
            let refresh = self.refresh_token.text();
            let (id, access) = (login.text(), login.text());
            let tokens = json!({"id_token": id, "access_token": access, "refresh_token": refresh});
            reply(200, &tokens)
        };
        match path {
            "/api/accounts/v1/user-auth-credential/whoami" if account.is_some() => {
                let who = json!({"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro"});
                reply(200, &who)
            }
            "/api/accounts/deviceauth/usercode" => {
                let code = json!({"device_auth_id": "d1", "user_code": "AB12-CD34"});
                let interval = json!({"interval": "1"});
                reply(200, &merged(code, interval))
            }
            "/api/accounts/deviceauth/token" if sent["device_auth_id"] == "d1" => {
                reply(200, &json!({"authorization_code": "c1", "code_verifier": "v1"}))
            }
            "/oauth/token" if sent["refresh_token"] == self.refresh_token.text() => {
                issued(&self.logins[1])
            }
            "/oauth/token" if sent["code"] == "c1" => issued(&self.logins[0]),
            _ => reply(401, &json!({"error": {"code": "refresh_token_invalidated"}})),
        }
    }

    /// Answers what Codex asks about the account, and what it asks the model.
    fn codex(&self, path: &str, sent: &Bytes) -> Reply {
        match path {
            "/v1/responses" | "/backend-api/codex/responses" => stream(sent),
            "/v1/models" => reply(200, &json!({"object": "list", "data": []})),
            "/backend-api/codex/models" => reply(200, &json!({"models": []})),
            "/backend-api/wham/accounts/check" => {
                let account = json!({
                    "id": ACCOUNT, "account_id": ACCOUNT, "plan_type": "pro", "name": "me",
                    "structure": "personal", "is_default": true,
                    "account_routing_override": "us",
                    "workspace_backend_origin": "https://chatgpt.com",
                });
                let ids = json!({"account_ordering": [ACCOUNT], "default_account_id": ACCOUNT});
                reply(200, &merged(json!({"accounts": [account]}), ids))
            }
            _ => reply(404, &json!({"detail": "Not found"})),
        }
    }
}

impl Double for OpenAi {
    fn hosts(&self) -> &[&str] {
        &[API, CHATGPT, LOGIN]
    }

    fn canaries(&self) -> Vec<&Canary> {
        let [first, second] = &self.logins;
        vec![&self.key, &self.access_token, first, second, &self.refresh_token]
    }

    fn account(&self, head: &Parts) -> Option<&'static str> {
        let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let host = head.uri.host().or(field("host"))?;
        let bearer = field(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")?;
        let is_account = host == LOGIN || field("chatgpt-account-id") == Some(ACCOUNT);
        let is_over = *self.is_first_login_over.lock().unwrap();
        match host {
            API => (bearer == self.key.text()).then_some("key"),
            _ if !is_account => None,
            _ if bearer == self.access_token.text() => Some("access token"),
            CHATGPT if bearer == self.logins[0].text() && !is_over => Some("login"),
            CHATGPT if bearer == self.logins[1].text() => Some("renewed login"),
            _ => None,
        }
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let (host, path) = (arrival.host().to_owned(), arrival.path().to_owned());
            let account = arrival.account();
            let is_socket = arrival.head().headers().contains_key("sec-websocket-key");
            let is_form = field(arrival.head(), CONTENT_TYPE.as_str()).contains("form-urlencoded");
            if is_socket && account.is_some() {
                return match self.offer {
                    Offer::WebSocket => socket::accept(arrival.into_request()),
                    Offer::Http => text(426, ""),
                };
            }
            let sent = arrival.body().await;
            match (&*host, account) {
                (LOGIN, _) if is_form => self.login(&path, account, &form(&sent)),
                (LOGIN, _) => self.login(&path, account, &parsed(&sent)),
                (_, None) => reply(401, &refusal()),
                _ => self.codex(&path, &sent),
            }
        })
    }
}

fn refusal() -> Value {
    json!({"error": {
        "message": "Incorrect API key provided", "type": "invalid_request_error", "param": null,
        "code": "invalid_api_key",
    }})
}

/// Draws a token of a login, out of which the grant reads the account. It lives until 2100.
fn token() -> Canary {
    let claims = json!({
        "exp": 4_102_444_800_u64,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "plus",
        },
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let start = format!("{}.{}.", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()));
    Canary::shaped(&start, Alphabet::Base64Url, 86)
}

/// The model by HTTP. On a ChatGPT account Codex compresses what it sends.
fn stream(sent: &Bytes) -> Reply {
    let mut plain = Vec::with_capacity(4 * 1024 * 1024);
    let asked = match zstd_safe::decompress(&mut plain, sent) {
        Ok(_) => parsed(&plain),
        Err(_) => parsed(sent),
    };
    let line =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let events = model::events(&asked);
    let lines: String = events.iter().map(line).collect();
    if model::is_open(&events) {
        return endless(lines);
    }
    let mut answer = text(200, lines);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

fn parsed(sent: &[u8]) -> Value {
    serde_json::from_slice(sent).unwrap_or_default()
}

/// Reads a form whose values need no decoding.
fn form(sent: &[u8]) -> Value {
    let text = String::from_utf8_lossy(sent);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn merged(mut one: Value, mut other: Value) -> Value {
    one.as_object_mut().unwrap().append(other.as_object_mut().unwrap());
    one
}
