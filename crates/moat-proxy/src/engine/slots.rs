//! Slots: where a vendor looks for a credential (law L7).

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, request};
use moat_provider_core::Slot;
use percent_encoding::percent_decode_str;

use super::pairs::{pairs, set_path_and_query, without};
use crate::Reason;

/// Calls back with each value of a slot that is not empty; `None` stands for one that is not text.
///
/// # Errors
///
/// [`Reason::QueryAmbiguous`], and those of the callback.
pub(super) fn for_each_value(
    request: &request::Parts,
    slot: &Slot,
    mut found: impl FnMut(Option<&str>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    match slot {
        Slot::Header(name) => {
            for value in request.headers.get_all(name) {
                match value.to_str() {
                    Ok(text) if super::carried::is_empty(text) => {}
                    text => found(text.ok())?,
                }
            }
        }
        Slot::QueryKey(key) => {
            let query = request.uri.query().unwrap_or_default().as_bytes();
            for pair in pairs(query) {
                if pair.hides(query, key) {
                    return Err(Reason::QueryAmbiguous);
                }
                if pair.is(key) && !pair.value.trim_ascii().is_empty() {
                    found(pair.text())?;
                }
            }
        }
        Slot::Cookie(name) => {
            for value in request.headers.get_all(COOKIE) {
                for cookie in cookies(value) {
                    if let Some(text) = cookie_value(cookie, name).filter(|text| !text.is_empty()) {
                        found(Some(&text))?;
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Empties a slot.
///
/// # Errors
///
/// [`Reason::UnfitSecret`] is not expected: what is left of a query is one.
pub(super) fn clear(request: &mut request::Parts, slot: &Slot) -> Result<(), Reason> {
    match slot {
        Slot::Header(name) => {
            request.headers.remove(name);
        }
        Slot::QueryKey(key) => {
            let query = request.uri.query().unwrap_or_default();
            if pairs(query.as_bytes()).any(|pair| pair.is(key)) {
                let mut target = request.uri.path().to_owned();
                if let Some(rest) = without(query, |pair| pair.is(key)) {
                    target.push('?');
                    target.push_str(&rest);
                }
                set_path_and_query(&mut request.uri, target.into_bytes())
                    .map_err(|_| Reason::QueryAmbiguous)?;
            }
        }
        Slot::Cookie(name) => clear_cookie(&mut request.headers, name),
        _ => {}
    }
    Ok(())
}

/// Iterates over the cookies of one header line, as they are written.
fn cookies(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Returns the value of a cookie of this name, without quotes and percent-encoding.
fn cookie_value<'a>(cookie: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let cookie = std::str::from_utf8(cookie).ok()?;
    let (own, value) = cookie.split_once('=')?;
    let value = value.trim();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    (own.trim() == name).then(|| percent_decode_str(inner.unwrap_or(value)).decode_utf8_lossy())
}

fn clear_cookie(headers: &mut HeaderMap, name: &str) {
    let is_it = |cookie: &[u8]| cookie_value(cookie, name).is_some();
    if !headers.get_all(COOKIE).iter().any(|line| cookies(line).any(is_it)) {
        return;
    }
    let lines: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| {
            if !cookies(line).any(is_it) {
                return Some(line.clone());
            }
            let kept: Vec<&[u8]> = cookies(line).filter(|cookie| !is_it(cookie)).collect();
            HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}
