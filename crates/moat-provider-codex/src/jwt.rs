//! What stands in the tokens of a login (RFC 7519). Nothing is verified: the vendor does that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moat_provider_core::Secret;
use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The claim with the account.
pub(crate) const AUTH_CLAIM: &str = "https://api.openai.com/auth";
/// The claim with the person's mail address.
pub(crate) const EMAIL_CLAIM: &str = "https://api.openai.com/profile";

/// What is taken out of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) account: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Reads the claims; of a text that is no such token there are none.
#[expect(clippy::disallowed_methods, reason = "three claims are read, which are no secrets")]
pub(crate) fn claims(token: &Secret) -> Claims {
    let payload = token.expose().split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).map(Zeroizing::new).unwrap_or_default();
    let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let auth = &payload[AUTH_CLAIM];
    Claims {
        account: plain_word(&auth["chatgpt_account_id"]),
        plan: plain_word(&auth["chatgpt_plan_type"]),
        expires_at: payload["exp"]
            .as_i64()
            .and_then(|exp| OffsetDateTime::from_unix_timestamp(exp).ok()),
    }
}

/// Takes a text that may stand in a header and on a terminal.
pub(crate) fn plain_word(value: &Value) -> Option<String> {
    let word = value.as_str()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    ((1..=64).contains(&word.len()) && word.bytes().all(allowed)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(payload: &Value) -> Secret {
        Secret::new(format!("e30.{}.", URL_SAFE_NO_PAD.encode(payload.to_string())))
    }

    #[test]
    fn account_plan_and_expiry_are_read() {
        let auth = json!({"chatgpt_account_id": "11-aa", "chatgpt_plan_type": "pro"});
        let read = claims(&token(&json!({"exp": 60, AUTH_CLAIM: auth})));
        assert_eq!(read.account.as_deref(), Some("11-aa"));
        assert_eq!(read.plan.as_deref(), Some("pro"));
        assert_eq!(read.expires_at.map(OffsetDateTime::unix_timestamp), Some(60));
    }

    #[test]
    fn what_is_odd_is_not_there() {
        for account in [json!("a\r\nx: y"), json!(""), json!(7), json!("a".repeat(65))] {
            let odd = json!({"exp": "soon", AUTH_CLAIM: {"chatgpt_account_id": account}});
            assert_eq!(claims(&token(&odd)), Claims::default());
        }
        for text in ["", "a.b", "e30.!!.x", "at-1", "e30.e30"] {
            assert_eq!(claims(&Secret::new(text.to_owned())), Claims::default(), "{text}");
        }
    }
}
