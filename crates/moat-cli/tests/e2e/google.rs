//! Google on loopback: the Gemini API for keys, Gemini Code Assist for logins.

use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use moat_provider_core::{Alphabet, BoxFuture};
use moat_provider_testkit::Canary;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::model::{BEGINNING, Turn, hold, is_held, stream};
use crate::program::Output;
use crate::vendor::{Arrival, Double, Reply, json as reply};

pub(crate) const API: &str = "generativelanguage.googleapis.com";
pub(crate) const LOGIN: &str = "cloudcode-pa.googleapis.com";
const TOKENS: &str = "oauth2.googleapis.com";

/// The APIs, and the person's two credentials.
pub(crate) struct Google {
    key: Canary,
    access: Canary,
    /// What the person's own Gemini CLI renews its login with.
    refresh: Canary,
}

impl Google {
    pub(crate) fn new() -> Self {
        Self {
            key: Canary::shaped("AIza", Alphabet::Alphanumeric, 35),
            access: Canary::shaped("ya29.", Alphabet::Alphanumeric, 120),
            refresh: Canary::shaped("1//", Alphabet::Alphanumeric, 60),
        }
    }

    /// Grants the key.
    pub(crate) async fn grant_key(&self, machine: &Machine) {
        machine.grant("gemini", "GEMINI_API_KEY", &self.key).await;
    }

    /// Grants the login that Gemini CLI has on the machine, in the place of the key.
    pub(crate) async fn grant_login(&self, machine: &Machine) -> Output {
        const LATER: i64 = 4_102_444_800_000;
        let login = json!({
            "access_token": self.access.text(), "refresh_token": self.refresh.text(),
            "expiry_date": LATER, "token_type": "Bearer",
        });
        let directory = machine.home().join(".gemini");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("oauth_creds.json"), login.to_string()).unwrap();
        let granted = machine.moat().args(["grant", "gemini", "--source", "import"]).run().await;
        machine.checked(&granted);
        granted.text();
        granted
    }
}

impl Double for Google {
    fn hosts(&self) -> &[&str] {
        &[API, LOGIN, TOKENS, "www.googleapis.com"]
    }

    fn canaries(&self) -> Vec<&Canary> {
        vec![&self.key, &self.access, &self.refresh]
    }

    fn account(&self, head: &Parts) -> Option<&'static str> {
        let field = |name: &str| {
            let value = head.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let host = head.uri.host().map_or_else(|| field("host"), str::to_owned);
        let (bearer, key) = (field(AUTHORIZATION.as_str()), field("x-goog-api-key"));
        if head.uri.query().is_some_and(|query| query.contains("key=")) {
            return None;
        }
        match &*host {
            API => (key == self.key.text() && bearer.is_empty()).then_some("key"),
            _ => {
                let is_login = bearer == format!("Bearer {}", self.access.text());
                (is_login && key.is_empty()).then_some("login")
            }
        }
    }

    fn answer(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let (host, path) = (arrival.host().to_owned(), arrival.path().to_owned());
            let account = arrival.account();
            let sent = arrival.body().await;
            let asked: Value = serde_json::from_slice(&sent).unwrap_or_default();
            let (_, method) = path.rsplit_once(':').unwrap_or_default();
            match (account, &*host, &*path, method) {
                (None, API, ..) => reply(400, &bad_key()),
                (None, ..) => reply(401, &bad_login()),
                (_, TOKENS, "/tokeninfo", _) => reply(200, &json!({"sub": "1", "scope": "openid"})),
                (_, API, "/v1beta/models", _) => reply(200, &json!({"models": []})),
                (_, API, _, "generateContent") => reply(200, &generated(&asked)),
                (_, API, _, "streamGenerateContent") if is_held(&said(&asked)) => {
                    hold([generated(&asked).to_string()])
                }
                (_, API, _, "streamGenerateContent") => stream([generated(&asked).to_string()]),
                (_, LOGIN, _, "generateContent") => reply(200, &assisted(&asked)),
                (_, LOGIN, _, "streamGenerateContent") if is_held(&said(&asked["request"])) => {
                    hold([assisted(&asked).to_string()])
                }
                (_, LOGIN, _, "streamGenerateContent") => stream([assisted(&asked).to_string()]),
                (_, LOGIN, _, "loadCodeAssist") => reply(200, &tier()),
                (_, LOGIN, ..) => reply(200, &json!({})),
                _ => reply(404, &error(404, "Not found", "NOT_FOUND")),
            }
        })
    }
}

fn error(code: u16, message: &str, status: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// What the API says to a key that it does not know.
fn bad_key() -> Value {
    let message = "API key not valid. Please pass a valid API key.";
    let mut error = error(400, message, "INVALID_ARGUMENT");
    error["error"]["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
        "domain": "googleapis.com", "metadata": {"service": API},
    }]);
    error
}

fn bad_login() -> Value {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
    error(401, message, "UNAUTHENTICATED")
}

fn tier() -> Value {
    let tier = json!({"id": "free-tier", "name": "free", "isDefault": true});
    json!({"currentTier": tier, "allowedTiers": [tier], "cloudaicompanionProject": "project"})
}

/// What Code Assist wraps around question and answer.
fn assisted(asked: &Value) -> Value {
    json!({"response": generated(&asked["request"])})
}

/// Returns the contents since the person said something: those behind have results of tools, or what
/// the model said.
fn turn(asked: &Value) -> &[Value] {
    let contents = asked["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_result = |part: &Value| part["functionResponse"].is_object();
    let is_prompt = |content: &Value| {
        let parts = content["parts"].as_array();
        content["role"] == "user" && !parts.is_some_and(|parts| parts.iter().any(is_result))
    };
    &contents[contents.iter().rposition(is_prompt).unwrap_or_default()..]
}

/// Returns what the person said last.
fn said(asked: &Value) -> String {
    let parts = turn(asked).first().and_then(|content| content["parts"].as_array());
    let texts = parts.into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

fn generated(asked: &Value) -> Value {
    let wants_json = asked["generationConfig"]["responseMimeType"] == "application/json";
    let contents = turn(asked).iter().filter(|content| content["role"] == "user");
    let mut parts = contents.flat_map(|content| content["parts"].as_array().into_iter().flatten());
    let said: Vec<_> = parts.clone().filter_map(|part| part["text"].as_str()).collect();
    let result = parts.rfind(|part| part["functionResponse"].is_object());
    let result = result.map(|part| part["functionResponse"]["response"].to_string());
    let tools = asked["tools"].as_array().into_iter().flatten();
    let tools =
        tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    let tools: Vec<_> = tools.filter_map(|tool| tool["name"].as_str()).collect();
    let part = match Turn::next(&said, &tools, result.as_deref()) {
        // Which model is to answer, and who speaks next.
        _ if wants_json => {
            let choice = json!({
                "reasoning": "", "model_choice": "flash", "next_speaker": "user",
                "complexity_reasoning": "", "complexity_score": 1,
            });
            json!({"text": choice.to_string()})
        }
        Turn::Say(text) => json!({"text": text}),
        Turn::Hold => json!({"text": BEGINNING}),
        Turn::Call { tool, arguments } => {
            json!({"functionCall": {"name": tool, "args": arguments}})
        }
    };
    json!({
        "candidates": [{
            "content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0,
        }],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "double",
    })
}
