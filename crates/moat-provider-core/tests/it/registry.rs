//! Registries.

use std::sync::Arc;

use moat_provider_core::{ErrorKind, GrantRef, ProviderName, Registry};

use crate::everything::{AgentOnly, Everything};
use crate::support::key;

fn registry() -> Registry {
    let mut builder = Registry::builder();
    builder.register(Everything::default()).unwrap();
    builder.register_arc(Arc::new(AgentOnly::default())).unwrap();
    builder.register_alias("all", "everything").unwrap();
    assert!(format!("{builder:?}").contains("everything"));
    builder.build()
}

fn grant(text: &str) -> GrantRef {
    text.parse().unwrap()
}

#[test]
fn providers_are_found_by_name_and_alias() {
    let registry = registry();
    assert_eq!(registry.get("everything").unwrap().name().as_str(), "everything");
    assert_eq!(registry.get("all").unwrap().name().as_str(), "everything");
    assert!(registry.get("none").is_none() && registry.get("No Name").is_none());
    assert_eq!(registry.resolve_name("all"), "everything");
    assert_eq!(registry.resolve_name("none"), "none");
    let names: Vec<_> = registry.names().map(ProviderName::as_str).collect();
    assert_eq!(names, ["agent-only", "everything"]);
    assert_eq!(registry.iter().count(), 2);
    assert_eq!(registry.aliases().count(), 1);
    assert_eq!(registry.agents().count(), 2);
    assert!(registry.get_agent("agent-only").is_some());
    assert!(registry.get_endpoint("all").is_some());
    assert!(registry.get_endpoint("agent-only").is_none());
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = registry().require("gitbuh").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderNotFound);
    assert!(error.hint().unwrap().contains("agent-only, everything"));
    let empty = Registry::default().require("x").unwrap_err();
    assert_eq!(empty.hint(), Some("no provider is registered"));
}

#[test]
fn a_taken_name_or_a_dangling_alias_is_an_error() {
    let mut builder = Registry::builder();
    builder.register(Everything::default()).unwrap();
    let taken = builder.register(Everything::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let dangling = builder.register_alias("x", "nothing").unwrap_err();
    assert_eq!(dangling.kind(), ErrorKind::ProviderNotFound);
    let taken = builder.register_alias("everything", "everything").unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    builder.register_alias("agent-only", "everything").unwrap();
    let taken = builder.register(AgentOnly::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let chained = builder.register_alias("y", "agent-only").unwrap_err();
    assert_eq!(chained.kind(), ErrorKind::ProviderNotFound, "an alias of an alias");
    assert_eq!(
        builder.register_alias("No", "everything").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn what_was_typed_becomes_a_key() {
    let registry = registry();
    assert_eq!(registry.resolve(&grant("all")).unwrap(), key("everything"));
    assert_eq!(registry.resolve(&grant("all:ok")).unwrap(), key("everything:ok"));
    for (typed, kind) in [
        ("none", ErrorKind::ProviderNotFound),
        ("all:bad", ErrorKind::InvalidInput),
        ("agent-only", ErrorKind::InvalidInput),
    ] {
        assert_eq!(registry.resolve(&grant(typed)).unwrap_err().kind(), kind, "{typed}");
    }
}

#[test]
fn a_configured_instance_takes_its_place() {
    let registry = registry();
    let other = registry.with(Arc::new(Everything::configured("turbo"))).unwrap();
    assert!(format!("{:?}", other.get("all").unwrap()).contains("turbo"));
    assert!(!format!("{:?}", registry.get("all").unwrap()).contains("turbo"), "the first is kept");
    let error = Registry::default().with(Arc::new(AgentOnly::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderNotFound);
}
