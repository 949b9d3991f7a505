//! What is taken over, and what prevails.

use moat_agent::{Layers, ValueKind, pick};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

const ALLOWED: &[(&str, ValueKind)] = &[
    ("done", ValueKind::Boolean),
    ("count", ValueKind::Integer),
    ("version", ValueKind::Text),
    ("absent", ValueKind::Text),
];

#[test]
fn only_listed_members_of_their_kind_are_picked() {
    let file = object(json!({
        "done": true, "count": 3, "version": "2.1", "oauthAccount": {"emailAddress": "me"},
    }));
    let picked = pick(&file, ALLOWED);
    assert_eq!(Value::from(picked), json!({"done": true, "count": 3, "version": "2.1"}));

    let odd = object(json!({
        "done": "yes", "count": 1.5, "version": "a\u{1b}[31m", "absent": "x".repeat(257),
    }));
    assert!(pick(&odd, ALLOWED).is_empty());
    assert!(pick(&object(json!({"version": ["2.1"], "count": {"a": 1}})), ALLOWED).is_empty());
}

#[test]
fn later_sources_prevail_entry_by_entry() {
    let mut layers = Layers::new();
    layers.push("host", object(json!({"plugins": {"a": true, "b": true}, "tui": "full"})));
    layers.push("workspace", object(json!({"plugins": {"b": false, "c": true}, "tui": 7})));
    layers.push("run", object(json!({"plugins": "none", "tui": "plain"})));
    let united: Vec<_> = layers.united("plugins").into_iter().collect();
    assert_eq!(
        united,
        [
            ("a", ("host", &json!(true))),
            ("b", ("workspace", &json!(false))),
            ("c", ("workspace", &json!(true))),
        ]
    );
    assert_eq!(layers.last("tui", Value::is_string), Some(("run", &json!("plain"))));
    assert_eq!(layers.last("tui", |value| value == "full"), Some(("host", &json!("full"))));
    assert_eq!(layers.last("tui", Value::is_boolean), None);
    assert!(layers.united("tui").is_empty());
    assert_eq!(
        layers.iter().map(|(source, _)| source).collect::<Vec<_>>(),
        ["host", "workspace", "run"]
    );
}

proptest! {
    /// Whatever stands in a file, nothing comes out that is not on the list.
    #[test]
    fn nothing_else_is_picked(names in prop::collection::vec("[a-z]{1,8}", 0..8), text in "\\PC{0,300}") {
        let mut file = Map::new();
        for name in names.iter().map(String::as_str).chain(["done", "count", "version"]) {
            file.insert(name.to_owned(), Value::from(text.clone()));
        }
        for (name, value) in pick(&file, ALLOWED) {
            prop_assert_eq!(&name, "version");
            prop_assert!(value.as_str().unwrap().len() <= 256);
        }
    }
}
