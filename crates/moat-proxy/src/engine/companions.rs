//! What else happens to a request for which a rule is used.

use std::sync::Arc;

use http::{HeaderName, request};
use moat_provider_core::Companion;

use super::plan::Plan;
use super::table::Filling;
use super::{hygiene, list};

/// Applies the companions of the rules that were used. A header that one of them filled stays.
pub(super) fn apply(
    request: &mut request::Parts,
    used: &[&Arc<Filling>],
    path: &str,
    plan: &mut Plan,
) {
    let headers = &mut request.headers;
    let is_filled = |name: &HeaderName| used.iter().any(|rule| rule.rule.header() == name);
    for companion in used.iter().flat_map(|rule| rule.rule.companions()) {
        match companion {
            Companion::SetHeader(name, value) if !is_filled(name) => {
                hygiene::remove_with_variants(headers, name.as_str());
                headers.insert(name, value.clone());
            }
            Companion::AppendToList(name, member) if !is_filled(name) => {
                list::append(headers, name, member);
            }
            Companion::RemoveHeader(name) if !is_filled(name) => {
                hygiene::remove_with_variants(headers, name.as_str());
            }
            _ => {}
        }
    }
    for rule in used {
        plan.answer.rewrite_by(rule, path);
    }
}
