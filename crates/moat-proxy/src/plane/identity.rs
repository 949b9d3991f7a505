//! Which run a request on a shared listener belongs to.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ctutils::CtEq;
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;
use moat_provider_core::Secret;
use ring::digest;
use zeroize::Zeroizing;

use crate::plane::error::SetupError;
use crate::plane::run::Run;

/// The SHA-256 hash of a run token. What is compared says nothing about the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    #[expect(
        clippy::disallowed_methods,
        reason = "the token is hashed here, so that it is not kept"
    )]
    pub(crate) fn of_secret(token: &Secret) -> Self {
        Self::of(token.expose().as_bytes())
    }

    fn of(token: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, token);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHash").finish_non_exhaustive()
    }
}

/// The runs that can be named with a token.
#[derive(Debug, Default)]
pub(crate) struct Runs(RwLock<HashMap<TokenHash, Arc<Run>>>);

impl Runs {
    pub(crate) fn insert(&self, token: TokenHash, run: Arc<Run>) -> Result<(), SetupError> {
        let mut runs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if runs.contains_key(&token) {
            return Err(SetupError::new("the run token belongs to another run"));
        }
        runs.insert(token, run);
        Ok(())
    }

    pub(crate) fn remove(&self, token: &TokenHash) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Finds the run whose token a request carries.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Arc<Run>, NoRun> {
        if !headers.contains_key(PROXY_AUTHORIZATION) {
            return Err(NoRun::Missing);
        }
        let presented = TokenHash::of(&presented(headers).ok_or(NoRun::Wrong)?);
        let runs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (token, run) = runs.get_key_value(&presented).ok_or(NoRun::Wrong)?;
        let same: bool = token.0.ct_eq(&presented.0).into();
        let here = run.peer.is_none_or(|bound| peer.map(|ip| ip.to_canonical()) == Some(bound));
        if same && here { Ok(Arc::clone(run)) } else { Err(NoRun::Wrong) }
    }
}

/// Why no run was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRun {
    /// There is no token: clients often try without one first.
    Missing,
    /// The token is of no run, or of one that is elsewhere.
    Wrong,
}

/// Reads the token: the password of Basic credentials, or a Bearer token (RFC 9110, section 11.4).
fn presented(headers: &HeaderMap) -> Option<Zeroizing<Vec<u8>>> {
    let mut fields = headers.get_all(PROXY_AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, rest) = field.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| Zeroizing::new(rest.as_bytes().to_vec()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(rest).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let password = &pair[colon + 1..];
    (!password.is_empty()).then(|| Zeroizing::new(password.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(PROXY_AUTHORIZATION, value.parse().unwrap())]);
        presented(&headers).map(|token| String::from_utf8(token.to_vec()).unwrap())
    }

    #[test]
    fn a_token_is_a_password_or_a_bearer_token() {
        let basic = |pair: &str| STANDARD.encode(pair);
        assert_eq!(read(&format!("Basic {}", basic("moat:t:o"))).unwrap(), "t:o");
        assert_eq!(read(&format!("bAsIc   {}", basic(":t"))).unwrap(), "t");
        assert_eq!(read("bearer t").unwrap(), "t");
        for odd in ["t", "Basic", "Basic %%", "Bearer ", "Digest t", "Basic dA==", "Basic dDo="] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn two_credentials_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(PROXY_AUTHORIZATION, "Bearer a".parse().unwrap());
        headers.append(PROXY_AUTHORIZATION, "Bearer a".parse().unwrap());
        assert!(presented(&headers).is_none());
    }
}
