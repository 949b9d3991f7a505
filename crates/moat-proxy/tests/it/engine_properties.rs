//! Properties that hold for all rules and requests.

use http::header::AUTHORIZATION;
use http::{Method, request};
use moat_provider_core::{
    Fill, HeaderTemplate, Position, ProxyConfigurer, Relation, Slot, SlotGroup, Target,
};
use moat_proxy::engine::Verdict;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::engine_support::*;

const PATTERNS: [&str; 9] = [
    "api.example.com",
    "*.example.com",
    "*.eu.example.com",
    "x.eu.example.com",
    "example.com",
    "api.example.com:8443",
    "*.example.com:8443",
    "other.net",
    "*.other.net",
];
const HOSTS: [&str; 11] = [
    // A wildcard does not stand for what is no name.
    "-x.example.com",
    "api.example.com",
    "API.example.COM.",
    "x.eu.example.com",
    "a.b.eu.example.com",
    "eu.example.com",
    "example.com",
    "notexample.com",
    "other.net",
    "a.other.net",
    "evil.example.net",
];
const PORTS: [u16; 3] = [443, 8443, 80];
const PATHS: [&str; 6] = ["/", "/v1", "/v1/a", "/v1/b/x", "/v1beta", "/v2"];
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::DELETE];

fn target() -> impl Strategy<Value = Target> {
    let path = vec!["", "/v1", "=/v1/a", "/v1/*", "=/v1/*/x", "/v2"];
    target_of(PATTERNS.to_vec(), path)
}

/// A target that covers most of what [`near_place`] yields.
fn near_target() -> impl Strategy<Value = Target> {
    let patterns = vec!["api.example.com", "api.example.com", "api.example.com", "*.example.com"];
    target_of(patterns, vec!["", "", "", "/v1", "=/v1/a"])
}

fn target_of(
    patterns: Vec<&'static str>,
    paths: Vec<&'static str>,
) -> impl Strategy<Value = Target> {
    let methods = select(vec![vec![], vec![], vec![Method::GET], vec![Method::GET, Method::POST]]);
    (select(patterns), select(paths), methods).prop_map(|(pattern, path, methods)| {
        let target = host(pattern);
        let target = match path.strip_prefix('=') {
            Some(exact) => target.exact(exact).unwrap(),
            None if path.is_empty() => target,
            None => target.under(path).unwrap(),
        };
        if methods.is_empty() { target } else { target.methods(methods).unwrap() }
    })
}

/// Where a request goes.
fn place() -> impl Strategy<Value = (&'static str, u16, &'static str, Method)> {
    (select(&HOSTS[..]), select(&PORTS[..]), select(&PATHS[..]), select(METHODS.to_vec()))
}

/// A place that is mostly one and the same.
fn near_place() -> impl Strategy<Value = (&'static str, u16, &'static str, Method)> {
    let hosts = vec![
        "api.example.com",
        "api.example.com",
        "api.example.com",
        "API.example.com.",
        "evil.test",
    ];
    let (ports, paths) = (vec![443, 443, 443, 443, 8443], vec!["/v1", "/v1/a", "/v2"]);
    let methods = vec![Method::GET, Method::GET, Method::POST];
    (select(hosts), select(ports), select(paths), select(methods))
}

fn head_for(
    (host, port, path, method): &(&str, u16, &str, Method),
    query: &str,
    headers: &[(String, String)],
) -> request::Parts {
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    request(&format!("{method} https://{host}:{port}{path}{query}"), &headers)
}

proptest! {
    /// What the index finds is what looking at every rule finds.
    #[test]
    fn a_lookup_is_a_scan_of_all_rules(targets in vec(target(), 0..12), place in place()) {
        let mut world = World::new();
        let grant = world.grant("a");
        for (at, target) in targets.iter().enumerate() {
            let template = HeaderTemplate::Basic { user: at.to_string().into() };
            world.rules.credential(grant.rule(target.clone(), AUTHORIZATION, template));
        }
        let generation = world.build();
        let (name, port, path, method) = &place;
        let fits: Vec<usize> = (0..targets.len())
            .filter(|at| targets[*at].matches(name, *port, method, path))
            .collect();
        let is_narrower =
            |one: usize, other: usize| targets[one].relation(&targets[other]) == Relation::Narrower;
        let expected = fits
            .iter()
            .copied()
            .find(|at| !fits.iter().any(|other| is_narrower(*other, *at)))
            .map(|at| basic(&at.to_string(), grant.secret()));
        let mut head = head_for(&place, "", &[]);
        let plan = forward(&generation, &mut head);
        let sent = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        prop_assert_eq!(sent, expected);
        prop_assert_eq!(plan.not_used().is_some(), fits.is_empty());

        let on_host: Vec<_> =
            targets.iter().filter(|target| target.host_pattern().matches(name, *port)).collect();
        prop_assert_eq!(generation.covers(name, *port), !on_host.is_empty());
        prop_assert_eq!(generation.scrub_set(name, *port).len(), usize::from(!on_host.is_empty()));
        let by_path = on_host
            .iter()
            .any(|target| **target != Target::from(target.host_pattern().clone()));
        prop_assert_eq!(generation.has_path_rules(name, *port), by_path);
        let stated = generation.targets_at(name, *port);
        prop_assert!(stated.iter().all(|target| on_host.contains(target)));
        prop_assert!(on_host.iter().all(|target| stated.contains(target)));
    }
}

/// One rule of a random world.
#[derive(Clone, Debug)]
enum AnyRule {
    Credential { target: Target, grant: usize, header: &'static str, grouped: bool },
    Substitution { target: Target, grant: usize, position: usize },
}

fn any_rule() -> impl Strategy<Value = AnyRule> {
    let header = select(vec!["authorization", "x-api-key"]);
    prop_oneof![
        3 => (near_target(), 0..3_usize, header, any::<bool>()).prop_map(
            |(target, grant, header, grouped)| AnyRule::Credential { target, grant, header, grouped }
        ),
        1 => (near_target(), 0..3_usize, 0..3_usize).prop_map(|(target, grant, position)| {
            AnyRule::Substitution { target, grant, position }
        }),
    ]
}

fn positions() -> [Position; 3] {
    [
        Position::QueryKey("key".into()),
        Position::Header(name("x-sub")),
        Position::PathSegment { prefix: "bot".into() },
    ]
}

/// What a client puts somewhere: of grant 0 to 2, of another run, of its own, or nothing.
#[derive(Clone, Copy, Debug)]
enum Text {
    Placeholder(usize),
    Stale,
    Own,
    Empty,
}

impl Text {
    fn of(self, world: &World, grants: &[Grant]) -> String {
        match self {
            Self::Placeholder(at) => grants[at].placeholder.to_string(),
            Self::Stale => world.stale().to_string(),
            Self::Own => "own-credential-of-the-client".to_owned(),
            Self::Empty => String::new(),
        }
    }
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Text::Placeholder),
        1 => Just(Text::Stale),
        1 => Just(Text::Own),
        1 => Just(Text::Empty),
    ]
}

/// A header of a client, its form and what it carries.
fn client_header() -> impl Strategy<Value = (&'static str, u8, Text)> {
    let names =
        vec!["authorization", "x-api-key", "x_api_key", "x-sub", "x-text", "connection", "cookie"];
    (select(names), 0..4_u8, text())
}

fn in_form(form: u8, text: &str) -> String {
    match form {
        _ if text.is_empty() => String::new(),
        0 => text.to_owned(),
        1 => format!("bEaRer {text}"),
        2 => basic("user", text),
        _ => format!("look at {text} here"),
    }
}

fn client_query() -> impl Strategy<Value = Option<(&'static str, Text)>> {
    proptest::option::of((select(vec!["key", "%6bey", "text"]), text()))
}

fn build(rules: &[AnyRule]) -> (World, Vec<Grant>) {
    let mut world = World::new();
    let grants: Vec<Grant> = ["a", "b", "c"].iter().map(|name| world.grant(name)).collect();
    for rule in rules {
        match rule {
            AnyRule::Credential { target, grant, header, grouped } => {
                // Only one grant fills what is empty, so that the rules do not conflict.
                let fill = [Fill::EmptyOrPlaceholder, Fill::PlaceholderOnly][(*grant).min(1)];
                let mut rule = grants[*grant]
                    .rule(target.clone(), name(header), HeaderTemplate::Bearer)
                    .fill(fill);
                if *grouped {
                    let slots = [
                        header_slot("authorization"),
                        header_slot("x-api-key"),
                        Slot::QueryKey("key".into()),
                    ];
                    rule = rule.group(SlotGroup::new("group", slots));
                }
                world.rules.credential(rule);
            }
            AnyRule::Substitution { target, grant, position } => {
                let position = positions()[*position].clone();
                world.substitute(&grants[*grant], target.clone(), position);
            }
        }
    }
    (world, grants)
}

/// Where a grant's secret may stand in a request, looking at each rule.
fn allowed(rules: &[AnyRule], grant: usize, fits: &dyn Fn(&Target) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for rule in rules {
        match rule {
            AnyRule::Credential { target, grant: own, header, .. }
                if *own == grant && fits(target) =>
            {
                places.push((*header).to_owned());
            }
            AnyRule::Substitution { target, grant: own, position }
                if *own == grant && fits(target) =>
            {
                places.push(["query", "x-sub", "path"][*position].to_owned());
            }
            _ => {}
        }
    }
    places
}

/// Where a secret stands in a request.
fn found(head: &request::Parts, grant: &Grant) -> Vec<String> {
    let mut places = Vec::new();
    if grant.canary.find_in_str(head.uri.path()).is_some() {
        places.push("path".to_owned());
    }
    if grant.canary.find_in_str(head.uri.query().unwrap_or_default()).is_some() {
        places.push("query".to_owned());
    }
    for (name, value) in &head.headers {
        if grant.canary.find_in(value.as_bytes()).is_some() {
            places.push(name.to_string());
        }
    }
    places
}

/// Header values that only the engine's own rules may touch.
fn untouchable(head: &request::Parts) -> Vec<(String, Vec<u8>)> {
    let touched = ["authorization", "x-api-key", "x_api_key", "x-sub", "connection"];
    let mut values: Vec<_> = head
        .headers
        .iter()
        .filter(|(name, _)| !touched.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    // Only lines of one name have an order (RFC 9110, section 5.3).
    values.sort_by(|(one, _), (other, _)| one.cmp(other));
    values
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// A secret is only where a rule for this very request puts it, one group has one secret, a
    /// foreign placeholder does not leave, and nothing else is touched.
    #[test]
    fn secrets_go_where_rules_say_and_nothing_else_changes(
        rules in vec(any_rule(), 1..6),
        place in near_place(),
        headers in vec(client_header(), 0..3),
        query in client_query(),
        segment in proptest::option::of(text()),
    ) {
        let (world, grants) = build(&rules);
        let Ok(generation) = world.try_build(moat_proxy::Mode::Permissive) else {
            return Ok(());
        };
        let sent: Vec<(String, String)> = headers
            .iter()
            .map(|(name, form, text)| ((*name).to_owned(), in_form(*form, &text.of(&world, &grants))))
            .collect();
        let path = match segment {
            Some(text) => format!("{}/bot{}", place.2, text.of(&world, &grants)).replace("//", "/"),
            None => place.2.to_owned(),
        };
        let query = match query {
            Some((key, text)) => format!("?a=%7E;x&{key}={}&b=+", text.of(&world, &grants)),
            None => "?a=%7E;x&&b=+".to_owned(),
        };
        let place = (place.0, place.1, path.as_str(), place.3);
        let mut head = head_for(&place, &query, &sent);
        let before = head.clone();
        let fits = |target: &Target| target.matches(place.0, place.1, &place.3, place.2);
        let on_host = |target: &Target| target.host_pattern().matches(place.0, place.1);
        let verdict = apply(&generation, &mut head);
        let used = match &verdict {
            Verdict::Forward(plan) => plan.used().to_vec(),
            // Nothing of a refused request goes anywhere.
            _ => return Ok(()),
        };

        let mut in_slots = Vec::new();
        for (at, grant) in grants.iter().enumerate() {
            let found = found(&head, grant);
            let allowed = allowed(&rules, at, &fits);
            for place in &found {
                prop_assert!(allowed.contains(place), "{} in {place}, allowed {allowed:?}", grant.key);
            }
            let is_used = used.iter().any(|used| used.grant() == Some(&grant.key));
            prop_assert_eq!(is_used, !found.is_empty(), "reported and real use differ");
            if found.iter().any(|place| ["authorization", "x-api-key", "query"].contains(&&**place)) {
                in_slots.push(at);
            }
        }
        let grouped = rules.iter().any(|rule| {
            matches!(rule, AnyRule::Credential { target, grouped: true, .. } if fits(target))
        });
        if grouped {
            prop_assert!(in_slots.len() <= 1, "two secrets of one group: {in_slots:?}");
        }

        let is_slot = |slot: &str| rules.iter().any(|rule| {
            matches!(rule, AnyRule::Credential { target, header, grouped, .. } if on_host(target)
                && (*header == slot || (*grouped && ["authorization", "x-api-key", "key"].contains(&slot))))
        });
        let stale = world.stale();
        for (name, value) in &head.headers {
            let forms = [0, 1, 2].map(|form| in_form(form, stale.as_str()));
            let value = value.to_str().unwrap();
            if is_slot(name.as_str()) {
                prop_assert!(!forms.iter().any(|form| form == value), "a foreign placeholder left");
            }
        }
        if is_slot("key") {
            let left = head.uri.query().unwrap_or_default().contains(&format!("ey={stale}"));
            prop_assert!(!left, "a foreign placeholder left in the query");
        }

        prop_assert_eq!(untouchable(&head), untouchable(&before));
        let kept = head.uri.query().unwrap_or_default();
        prop_assert!(kept.starts_with("a=%7E;x&") && kept.ends_with("&b=+"), "{}", kept);
        if used.is_empty() {
            prop_assert_eq!(&head.uri, &before.uri);
            for name in ["authorization", "x-api-key", "x-sub"] {
                let named = sent.iter().any(|(n, value)| n == "connection" && value == name);
                let values = |head: &request::Parts| -> Vec<_> {
                    head.headers.get_all(name).iter().cloned().collect()
                };
                prop_assert!(named || values(&head) == values(&before));
            }
        }
    }

    /// Whatever bytes a client sends, nothing panics, and a secret only goes to its host.
    #[test]
    fn any_bytes_are_survived(
        path in "/[!-~]{0,40}",
        values in vec(vec(any::<u8>().prop_filter("allowed in a header", |b| *b == 9 || (*b >= 32 && *b != 127)), 0..60), 0..6),
        body in vec(any::<u8>(), 0..200),
    ) {
        let mut world = World::new();
        let grant = world.grant("a");
        let target = || host("api.example.com");
        let slots = [header_slot("authorization"), Slot::QueryKey("k".into()), Slot::Cookie("c".into())];
        world.rules.credential(grant.bearer(target()).group(SlotGroup::new("g", slots)));
        for position in positions() {
            world.substitute(&grant, target(), position);
        }
        world.substitute(&grant, target(), Position::JsonField("/a/0/b".into()));
        world.substitute(&grant, target(), Position::FormField("f".into()));
        let endpoint = moat_provider_core::IssuingEndpoint::new(target(), "x").graphql(["createKey"]);
        world.issues(&grant, endpoint);
        let generation = world.build();
        let Ok(uri) = format!("https://api.example.com{path}").parse::<http::Uri>() else {
            return Ok(());
        };
        for media in ["application/json", "application/x-www-form-urlencoded", "application/graphql"] {
            let mut head = request("POST https://api.example.com/", &[("content-type", media)]);
            head.uri = uri.clone();
            let names = ["authorization", "cookie", "x-sub", "connection", "te", "content-length"];
            for (name, value) in names.iter().zip(&values) {
                head.headers.append(*name, http::HeaderValue::from_bytes(value).unwrap());
            }
            let _ = generation.placeholders_in(&head);
            if let Verdict::Forward(mut plan) = apply(&generation, &mut head) {
                let _ = plan.finish_body(body.clone().into(), &mut head);
            }
        }
    }
}
