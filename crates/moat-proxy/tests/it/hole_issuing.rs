//! Tries to reach what issues credentials by a request that is read in another way than it is meant.

use bytes::Bytes;
use moat_provider_core::IssuingEndpoint;
use moat_proxy::Reason;
use moat_proxy::engine::{Generation, Verdict};

use crate::engine_support::*;

fn graphql() -> Generation {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com"));
    let target = host("api.example.com").exact("/graphql").unwrap();
    world.issues(&grant, IssuingEndpoint::new(target, "a key").graphql(["createKey"]));
    world.build()
}

/// Why a document goes nowhere, if it does not.
fn judged(generation: &Generation, document: &str) -> Option<Reason> {
    let json = [("content-type", "application/json")];
    let mut head = request("POST https://api.example.com/graphql", &json);
    let body = serde_json::json!({ "query": document }).to_string();
    match apply(generation, &mut head) {
        Verdict::Forward(mut plan) => {
            plan.finish_body(Bytes::from(body), &mut head).err().map(|refusal| refusal.reason())
        }
        Verdict::Refuse(refusal) => Some(refusal.reason()),
        Verdict::Answer(_) => panic!(),
    }
}

#[test]
fn no_string_hides_a_mutation_from_who_ends_it_elsewhere() {
    let generation = graphql();
    // graphql-ruby ends a block string at the last three of many quotes, and a comment at a line
    // feed alone; others take two backslashes for an escape there too.
    for document in [
        r#"mutation { x(a: """\""""") createKey(i: 1) y(b: """ """) } #""") }"#,
        r#"mutation { x(a: """\"""" ") createKey(i: 1) y(b: """ """) } #""") }"#,
        "mutation { x(a: [\"\"\"a\"\"\"\"\"\" \"]) createKey(i: 1) y(b: \"\"\" \"\"\") } #\"\"\") }",
        r#"mutation { x(a: """\\""") createKey(i: 1) y(b: """ """) } #""") }"#,
        r#"mutation { x(a: """a"""") createKey(i: 1) y(b: "" ) } #" ) }"#,
        "mutation { x #\r\"\"\"\ncreateKey(i: 1) #\r\"\"\"\n}",
        "mutation { x(a: \"\\\n\") createKey(i: 1) y(b: \"\") }",
    ] {
        assert_eq!(judged(&generation, document), Some(Reason::UnreadableGraphql), "{document}");
    }
    for document in [
        r#"mutation { x(a: """ say \"""hello\""" and "bye" \ """, b: "") }"#,
        r#"mutation { x(a: """""", b: "C:\\") }"#,
        "mutation { # a comment\r\n x(a: \"\\u0041\\n\") }",
    ] {
        assert_eq!(judged(&generation, document), None, "{document}");
    }
}
