//! A vendor that tells everybody what it was told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Request, Response};
use serde_json::{Value, json};

use super::Vendor;

/// A vendor that answers every request with one status, and with everything that could be secret in
/// the request: in the fields in which vendors put their messages, and in headers.
///
/// Vendors do echo tokens, in texts such as `Incorrect API key provided: sk-…`. What a provider
/// shows must not come from an answer's body.
#[derive(Clone, Debug)]
pub struct EchoVendor {
    status: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    Text,
}

impl EchoVendor {
    /// Makes a vendor that answers in JSON.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, form: Form::Json }
    }

    /// Makes the vendor answer in plain text, as the machines in front of vendors do.
    #[must_use]
    pub fn in_text(mut self) -> Self {
        self.form = Form::Text;
        self
    }
}

impl Vendor for EchoVendor {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let heard = heard(request);
        let mut response = match self.form {
            Form::Json => super::json(self.status, &body(&heard)),
            Form::Text => super::text(self.status, format!("refused: {}\n", heard.join("\n"))),
        };
        if matches!(self.status, 204 | 304) {
            *response.body_mut() = Bytes::new();
        }
        echo_in_headers(response.headers_mut(), &heard);
        response
    }
}

/// Everything that could be secret: header values, also without their scheme and decoded, the query
/// and the body.
fn heard(request: &Request<Bytes>) -> Vec<String> {
    let mut heard = Vec::new();
    for value in request.headers().values() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Some((_, parameters)) = value.split_once(' ') {
            heard.push(parameters.to_owned());
            if let Ok(decoded) = STANDARD.decode(parameters) {
                heard.push(String::from_utf8_lossy(&decoded).into_owned());
            }
        }
        heard.push(value);
    }
    heard.extend(request.uri().query().map(ToOwned::to_owned));
    heard.push(String::from_utf8_lossy(request.body()).into_owned());
    heard.retain(|text| !text.is_empty());
    heard
}

fn body(heard: &[String]) -> Value {
    let all = heard.join(" ");
    json!({
        "message": format!("Incorrect credentials: {all}"),
        "error": format!("invalid: {all}"),
        "error_description": all,
        "detail": all,
        "errors": heard.iter().map(|text| json!({"message": text})).collect::<Vec<_>>(),
    })
}

fn echo_in_headers(headers: &mut HeaderMap, heard: &[String]) {
    for text in heard {
        let Ok(value) = HeaderValue::from_str(text) else {
            continue;
        };
        headers.append(HeaderName::from_static("x-echo"), value);
        let challenge = format!("Bearer error_description=\"{text}\"");
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let query: String = heard.iter().flat_map(|text| text.bytes()).map(percent).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("https://echo.invalid/?echo={query}")) {
        headers.insert(LOCATION, value);
    }
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}
