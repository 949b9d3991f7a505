//! Tries to reach what issues credentials by a request that is read in another way than it is meant.

use bytes::Bytes;
use http::Method;
use moat_provider_core::IssuingEndpoint;
use moat_proxy::engine::{BodyNeed, Generation, Verdict};
use moat_proxy::{Mode, Reason};

use crate::engine_support::{World as Grants, apply, host, request};
use crate::grants::{VENDOR, Vendor, bearer, policy, reason, send, world};
use crate::support::client::Http;

fn graphql() -> Generation {
    let mut world = Grants::new();
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

#[tokio::test]
async fn no_method_in_a_query_leads_to_an_issuing_endpoint() {
    let (mut grants, grant) = bearer();
    let members = host(VENDOR).under("/members").unwrap().methods([Method::PUT]).unwrap();
    grants.issues(&grant, IssuingEndpoint::new(members, "another account's access"));
    for mode in [Mode::Permissive, Mode::Strict] {
        let world = world(&grants, policy(mode).allow(VENDOR).unwrap()).await;
        let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
        for version in Http::BOTH {
            for query in [
                "_method=PUT",
                "a=1&%5Fmethod=put",
                "x-http-method-override=PUT",
                "$httpMethod=PUT",
            ] {
                let line = format!("POST /members/evil?{query}");
                let answer = send(&world, VENDOR, version, &line, &[]).await;
                assert_eq!(reason(&answer), Some("method-ambiguous"), "{mode} {query}");
            }
        }
        assert_eq!(vendor.origin.requests(), 0);
        // Elsewhere, and where every method means the same, there is nothing to mistake.
        let answer = send(&world, VENDOR, Http::One, "POST /other?_method=PUT", &[]).await;
        assert_eq!(answer.status(), 200);
    }
}

#[test]
fn no_method_in_a_form_leads_to_an_issuing_endpoint() {
    let mut world = Grants::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com"));
    let members = host("api.example.com").under("/members").unwrap().methods([Method::PUT]);
    world.issues(&grant, IssuingEndpoint::new(members.unwrap(), "another account's access"));
    let generation = world.build();
    let form = &[("content-type", "application/x-www-form-urlencoded")][..];
    let parts = &[("content-type", "multipart/form-data; boundary=x")][..];
    let json = &[("content-type", "application/json")][..];
    let ambiguous = Some(Reason::MethodAmbiguous);
    for (line, headers, body, reason) in [
        ("POST", form, "a=1&_method=PUT", ambiguous),
        ("POST", form, "%5F%6Dethod=put", ambiguous),
        ("POST", form, "a=1;_method=put", ambiguous),
        ("POST", &[], "_method=PUT", ambiguous),
        ("post", form, "_method=PUT", ambiguous),
        ("POST", parts, "", ambiguous),
        ("POST", &[form[0], json[0]], "_method=PUT", ambiguous),
        ("POST", &[form[0], ("content-encoding", "gzip")], "", Some(Reason::CompressedBody)),
        // As curl sends what it is told to.
        ("POST", form, "{\"name\":\"_method=PUT\"}", None),
        ("POST", form, "method=PUT", None),
        ("POST", json, "{\"_method\":\"PUT\"}", None),
        ("GET", form, "_method=PUT", None),
    ] {
        let line = format!("{line} https://api.example.com/members/evil");
        let mut head = request(&line, headers);
        let refusal = match apply(&generation, &mut head) {
            Verdict::Forward(mut plan) => match plan.body() {
                BodyNeed::Hold { .. } => plan.finish_body(Bytes::from(body), &mut head).err(),
                _ => None,
            },
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::Answer(_) => panic!(),
        };
        assert_eq!(refusal.map(|refusal| refusal.reason()), reason, "{line} {body}");
    }
    let mut elsewhere = request("POST https://api.example.com/other", form);
    let Verdict::Forward(plan) = apply(&generation, &mut elsewhere) else { panic!() };
    assert_eq!(plan.body(), BodyNeed::Stream);
}

#[tokio::test]
async fn no_spelling_leads_to_an_issuing_endpoint() {
    let (mut grants, grant) = bearer();
    let post = |target: moat_provider_core::Target| target.methods([Method::POST]).unwrap();
    let keys = post(host(VENDOR).under("/user/keys").unwrap());
    grants.issues(&grant, IssuingEndpoint::new(keys, "a key"));
    let tokens = post(host(VENDOR).exact("/v1/authTokens").unwrap());
    grants.issues(&grant, IssuingEndpoint::new(tokens, "a token"));
    let documents = post(host(VENDOR).exact("/graphql").unwrap());
    grants.issues(&grant, IssuingEndpoint::new(documents, "a key").graphql(["createKey"]));
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::bearer(&world, VENDOR, &grant.canary).await;
    for line in [
        "POST /user/keys/",
        "POST /User/Keys",
        "POST /user/keys.json",
        "POST /user/keys.json/",
        "POST /user/KEYS/1",
        "post /user/keys",
        "Post /USER/keys",
        "POST /v1/authtokens",
        "POST /v1/authTokens/",
        "POST /v1/authTokens.json",
        "POST /graphql/",
        "POST /GraphQL",
        "post /graphql",
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {VENDOR}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = world.wire(VENDOR, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
    }
    assert_eq!(vendor.origin.requests(), 0);
    for line in ["GET /user/keys.json", "GET /User/Keys", "POST /user/keys1", "POST /user/key.s"] {
        let answer = send(&world, VENDOR, Http::One, line, &[]).await;
        assert_eq!(answer.status(), 200, "{line}");
    }
}
