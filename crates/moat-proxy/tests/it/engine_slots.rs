//! Slots and groups (law L7): who is used, and what happens to what stands there already.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use moat_provider_core::{
    ClientCredential, Companion, CredentialRule, Fill, HeaderTemplate, ProxyConfigurer, Slot,
    SlotGroup,
};
use moat_proxy::Reason;
use moat_proxy::engine::{How, NotUsed, Verdict};

use crate::engine_support::*;

const HOST: &str = "api.example.com";
const LINE: &str = "GET https://api.example.com/v1";

/// Two grants for one vendor: `oauth` fills what is empty, `key` waits for its placeholder.
struct Vendor {
    world: World,
    oauth: Grant,
    key: Grant,
}

fn group() -> SlotGroup {
    let slots = [
        header_slot("authorization"),
        header_slot("x-api-key"),
        Slot::QueryKey("key".into()),
        Slot::Cookie("session".into()),
    ];
    SlotGroup::new("vendor-api", slots)
}

impl Vendor {
    fn new() -> Self {
        Self::stated(false)
    }

    fn stated(reversed: bool) -> Self {
        let mut world = World::new();
        let (oauth, key) = (world.grant("oauth"), world.grant("key"));
        let mut rules = vec![
            oauth
                .bearer(host(HOST))
                .group(group())
                .when_used(Companion::RemoveHeader(name("x-api-key")))
                .when_used(Companion::AppendToList(
                    name("x-beta"),
                    HeaderValue::from_static("oauth"),
                )),
            key.rule(host(HOST), name("x-api-key"), HeaderTemplate::Raw)
                .group(group())
                .fill(Fill::PlaceholderOnly),
        ];
        if reversed {
            rules.reverse();
        }
        for rule in rules {
            world.rules.credential(rule);
        }
        Self { world, oauth, key }
    }
}

#[test]
fn empty_slots_are_filled_by_the_rule_that_fills_empties() {
    let vendor = Vendor::new();
    let mut head = request(LINE, &[]);
    let plan = forward(&vendor.world.build(), &mut head);
    assert_eq!(only(&head, "authorization"), vendor.oauth.expected_bearer());
    assert!(!head.headers.contains_key("x-api-key"));
    assert_eq!(plan.used().len(), 1);
    assert_eq!(plan.used()[0].how(), How::Empty);
}

/// An environment variable that is empty leaves the scheme alone in the header.
#[test]
fn a_scheme_without_anything_behind_it_is_empty() {
    let vendor = Vendor::new();
    for value in ["", " ", "Bearer", "bearer ", "token"] {
        let mut head = request(LINE, &[("authorization", value), ("x-api-key", "")]);
        forward(&vendor.world.build(), &mut head);
        assert_eq!(only(&head, "authorization"), vendor.oauth.expected_bearer(), "{value:?}");
    }
}

/// The placeholder decides, in whichever slot of the group it came, and not the header's name: an
/// SDK sends keys as bearer tokens too. The order in which the grants were stated does not matter.
#[test]
fn the_placeholder_that_came_chooses_the_rule() {
    for reversed in [false, true] {
        let vendor = Vendor::stated(reversed);
        let generation = vendor.world.build();
        let key = vendor.key.placeholder.as_str();
        let oauth = vendor.oauth.placeholder.as_str();
        for (line, header, value) in [
            (LINE, "x-api-key", key.to_owned()),
            (LINE, "authorization", format!("Bearer {key}")),
            (LINE, "authorization", format!("tOkEn   {key}")),
            (LINE, "authorization", basic(key, "")),
            (LINE, "authorization", basic("x-access-token", key)),
            (LINE, "authorization", basic("us", key).trim_end_matches('=').to_owned()),
            (LINE, "cookie", format!("a=1; session={key}; b=2")),
            (&format!("{LINE}?a=%7e&key={key}&b=+"), "x", String::new()),
        ] {
            let mut head = request(line, &[(header, &value)]);
            let plan = forward(&generation, &mut head);
            assert_eq!(only(&head, "x-api-key"), vendor.key.secret(), "{value}");
            assert!(!head.headers.contains_key("authorization"), "{value}");
            assert!(!holds(&head, &vendor.oauth.canary));
            assert_eq!(plan.used()[0].how(), How::Placeholder);
            assert!(!format!("{head:?}").contains(key), "the placeholder stayed: {head:?}");
        }
        let mut head = request(LINE, &[("x-api-key", oauth)]);
        forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), vendor.oauth.expected_bearer());
        assert!(!head.headers.contains_key("x-api-key"));
    }
}

#[test]
fn clearing_a_slot_leaves_everything_else_byte_for_byte() {
    let vendor = Vendor::new();
    let key = vendor.key.placeholder.as_str();
    let line = format!("{LINE}?b=%7E&&a;c=+&key={key}&d=%zz");
    let cookie = format!("x=\"1\"; session={key}; y=%20");
    let mut head = request(&line, &[("cookie", &cookie), ("cookie", "z=1;w=2")]);
    forward(&vendor.world.build(), &mut head);
    assert_eq!(head.uri.query(), Some("b=%7E&&a;c=+&d=%zz"));
    let cookies: Vec<_> = head.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["x=\"1\"; y=%20", "z=1;w=2"]);
}

/// It is not overwritten.
#[test]
fn a_credential_of_the_clients_own_passes_in_a_permissive_run() {
    let vendor = Vendor::new();
    for (header, value) in [
        ("authorization", "Bearer own"),
        ("authorization", "Basic !"),
        ("x-api-key", "own"),
        ("cookie", "session=own"),
    ] {
        let mut head = request(LINE, &[(header, value)]);
        let grants = [&vendor.oauth, &vendor.key];
        let reason = left_alone(&vendor.world.build(), &mut head, &grants);
        assert_eq!(reason, NotUsed::ClientCredential);
        assert_eq!(only(&head, header), value);
    }
}

#[test]
fn text_that_only_contains_a_placeholder_is_the_clients_own() {
    let vendor = Vendor::new();
    let placeholder = vendor.oauth.placeholder.as_str();
    for value in [
        format!("Bearer {placeholder}x"),
        format!("Bearer x{placeholder}"),
        format!("Bearer a {placeholder}"),
        format!("{placeholder}, {placeholder}"),
        basic("u", &format!("{placeholder} ")),
    ] {
        let mut head = request(LINE, &[("authorization", &value)]);
        let grants = [&vendor.oauth, &vendor.key];
        let reason = left_alone(&vendor.world.build(), &mut head, &grants);
        assert_eq!(reason, NotUsed::ClientCredential, "{value}");
    }
}

#[test]
fn values_that_do_not_belong_together_are_refused() {
    let vendor = Vendor::new();
    let generation = vendor.world.build();
    let oauth = format!("Bearer {}", vendor.oauth.placeholder);
    let key = vendor.key.placeholder.as_str();
    for headers in [
        &[("authorization", oauth.as_str()), ("x-api-key", key)][..],
        &[("authorization", &oauth), ("authorization", "Bearer own")],
        &[("authorization", &oauth), ("x-api-key", "own")],
        &[("authorization", &oauth), ("cookie", "session=own")],
        &[("x-api-key", key), ("authorization", "Bearer own")],
        &[("authorization", &basic(key, vendor.oauth.placeholder.as_str()))],
    ] {
        let mut head = request(LINE, headers);
        assert_eq!(refused(&generation, &mut head), Reason::MixedCredentials, "{headers:?}");
        assert!(!holds(&head, &vendor.oauth.canary) && !holds(&head, &vendor.key.canary));
    }
}

#[test]
fn one_value_several_times_is_one_value() {
    let vendor = Vendor::new();
    let bearer = format!("Bearer {}", vendor.key.placeholder);
    let key = vendor.key.placeholder.as_str();
    let headers = [("authorization", bearer.as_str()), ("authorization", key), ("x-api-key", key)];
    let mut head = request(LINE, &headers);
    forward(&vendor.world.build(), &mut head);
    assert_eq!(only(&head, "x-api-key"), vendor.key.secret());
    assert!(!head.headers.contains_key("authorization"));
}

/// CGI and its heirs read `X_Api_Key` as `X-Api-Key`: such a value would stand beside ours.
#[test]
fn underscore_variants_are_removed_first() {
    let vendor = Vendor::new();
    let mut head = request(LINE, &[("x_api_key", "own"), ("x-api_key", "own"), ("x_other", "1")]);
    forward(&vendor.world.build(), &mut head);
    assert_eq!(only(&head, "authorization"), vendor.oauth.expected_bearer());
    assert!(!head.headers.contains_key("x_api_key") && !head.headers.contains_key("x-api_key"));
    assert_eq!(only(&head, "x_other"), "1");
}

#[test]
fn a_stale_placeholder_never_reaches_the_vendor() {
    let vendor = Vendor::new();
    let generation = vendor.world.build();
    let stale = vendor.world.stale();
    let bearer = format!("Bearer {stale}");
    for (line, headers) in [
        (LINE.to_owned(), vec![("authorization", bearer.clone())]),
        (LINE.to_owned(), vec![("authorization", basic("x", stale.as_str()))]),
        (LINE.to_owned(), vec![("x-api-key", stale.to_string())]),
        (LINE.to_owned(), vec![("cookie", format!("session=\"{stale}\""))]),
        (format!("{LINE}?key={stale}"), vec![]),
        (LINE.to_owned(), vec![("x-api-key", stale.to_string()), ("authorization", "own".into())]),
        (
            LINE.to_owned(),
            vec![("authorization", basic(stale.as_str(), vendor.key.placeholder.as_str()))],
        ),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut head = request(&line, &headers);
        assert_eq!(refused(&generation, &mut head), Reason::StalePlaceholder, "{headers:?}");
    }
    assert_eq!(Reason::StalePlaceholder.status(), 401);
}

/// A rule for another path of the host makes its slots known to all paths.
#[test]
fn a_stale_placeholder_is_refused_on_every_path_of_a_granted_host() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host(HOST).under("/v1").unwrap());
    let bearer = format!("Bearer {}", world.stale());
    let mut head = request("GET https://api.example.com/v2", &[("authorization", &bearer)]);
    assert_eq!(refused(&world.build(), &mut head), Reason::StalePlaceholder);
}

#[test]
fn a_placeholder_that_no_rule_names_is_this_runs_once_it_is_known() {
    let vendor = Vendor::new();
    let unnamed = vendor.world.placeholder(&vendor.oauth.key, "refresh_token");
    let bearer = format!("Bearer {unnamed}");
    let generation = vendor.world.build();
    let mut head = request(LINE, &[("authorization", &bearer)]);
    assert_eq!(refused(&generation, &mut head), Reason::StalePlaceholder);
    let generation = generation.knowing([&unnamed]);
    let mut head = request(LINE, &[("authorization", &bearer)]);
    let grants = [&vendor.oauth, &vendor.key];
    assert_eq!(left_alone(&generation, &mut head, &grants), NotUsed::OtherPlaceholder);
}

/// The placeholder of one host's credential on its way to another goes on unchanged.
#[test]
fn a_placeholder_at_another_host_is_left_alone_and_seen() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.bearer(&a, host("a.example.com"));
    world.rules.credential(b.bearer(host("b.example.com")));
    let generation = world.build();
    let bearer = format!("Bearer {}", a.placeholder);
    for (name, reason) in
        [("evil.example.net", NotUsed::NoRule), ("b.example.com", NotUsed::OtherPlaceholder)]
    {
        let mut head = request(&format!("GET https://{name}/"), &[("authorization", &bearer)]);
        assert_eq!(left_alone(&generation, &mut head, &[&a, &b]), reason);
        assert_eq!(only(&head, "authorization"), bearer);
        let attempts = generation.placeholders_in(&head);
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].placeholder(), a.placeholder.as_str());
        assert_eq!(attempts[0].slot(), Some(&Slot::Header(AUTHORIZATION)));
    }
    // Not even by a Host header that names the granted host.
    let mut head = request("GET https://evil.example.net/", &[("host", "a.example.com")]);
    left_alone(&generation, &mut head, &[&a, &b]);
}

#[test]
fn attempts_are_seen_in_headers_query_and_path() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("a.example.com"));
    let placeholder = grant.placeholder.as_str();
    let line =
        format!("GET https://evil.example.net/{placeholder}?q={placeholder}&r=x{placeholder}");
    let head = request(&line, &[("x-any", &basic("u", placeholder)), ("x-text", "none")]);
    let attempts = world.build().placeholders_in(&head);
    let slots: Vec<_> = attempts.iter().map(|attempt| attempt.slot().cloned()).collect();
    assert_eq!(slots, [Some(header_slot("x-any")), Some(Slot::QueryKey("q".into())), None]);
}

/// Groups do not know of each other: a placeholder in one does not keep another from being filled.
#[test]
fn rules_of_different_groups_are_used_side_by_side() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.bearer(&a, host(HOST));
    let rule = b.rule(host(HOST), name("x-project-key"), HeaderTemplate::Raw);
    world.rules.credential(rule);
    let bearer = format!("bearer {}", a.placeholder);
    for headers in [&[][..], &[("authorization", bearer.as_str())]] {
        let mut head = request(LINE, headers);
        let plan = forward(&world.build(), &mut head);
        assert_eq!(only(&head, "authorization"), a.expected_bearer());
        assert_eq!(only(&head, "x-project-key"), b.secret());
        let mut grants: Vec<_> = plan.used().iter().filter_map(|used| used.grant()).collect();
        grants.sort_unstable();
        assert_eq!(grants, [&a.key, &b.key]);
    }
    // What one group leaves alone does not stop the other, and is not reported as used.
    let mut head = request(LINE, &[("authorization", "Bearer own")]);
    let plan = forward(&world.build(), &mut head);
    assert_eq!(plan.used().len(), 1);
    assert_eq!(plan.used()[0].grant(), Some(&b.key));
}

#[test]
fn a_placeholder_only_rule_waits() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.rules.credential(grant.bearer(host(HOST)).fill(Fill::PlaceholderOnly));
    let mut head = request(LINE, &[]);
    assert_eq!(left_alone(&world.build(), &mut head, &[&grant]), NotUsed::NoPlaceholder);
}

#[test]
fn several_placeholders_of_one_rule_ask_for_it() {
    let mut world = World::new();
    let grant = world.grant("a");
    let second = world.placeholder(&grant.key, "second");
    world.rules.credential(grant.bearer(host(HOST)).group(group()).placeholder(second.clone()));
    let bearer = format!("Bearer {}", grant.placeholder);
    let headers = [("authorization", bearer.as_str()), ("x-api-key", second.as_str())];
    let mut head = request(LINE, &headers);
    forward(&world.build(), &mut head);
    assert_eq!(only(&head, "authorization"), grant.expected_bearer());
}

#[test]
fn a_narrower_rule_of_the_same_placeholder_goes_first() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host(HOST));
    let narrow = host(HOST).under("/git").unwrap();
    let template = HeaderTemplate::Basic { user: "git".into() };
    world.rules.credential(grant.rule(narrow, AUTHORIZATION, template));
    let bearer = format!("Bearer {}", grant.placeholder);
    for (path, expected) in
        [("/git/x", basic("git", grant.secret())), ("/x", grant.expected_bearer())]
    {
        let line = format!("GET https://{HOST}{path}");
        let mut head = request(&line, &[("authorization", &bearer)]);
        forward(&world.build(), &mut head);
        assert_eq!(only(&head, "authorization"), expected);
    }
}

#[test]
fn companions_act_with_the_rule_that_was_used_alone() {
    let vendor = Vendor::new();
    let generation = vendor.world.build();
    let mut head = request(LINE, &[("x-beta", "a, b"), ("x-beta", "c")]);
    forward(&generation, &mut head);
    assert_eq!(only(&head, "x-beta"), "a, b, c, oauth");
    let mut head = request(LINE, &[("x-api-key", vendor.key.placeholder.as_str())]);
    forward(&generation, &mut head);
    assert!(!head.headers.contains_key("x-beta"));
    let mut head = request(LINE, &[("authorization", "Bearer own"), ("x-beta", "a")]);
    forward(&generation, &mut head);
    assert_eq!(only(&head, "x-beta"), "a");
}

#[test]
fn a_member_that_is_there_is_not_added_again() {
    let vendor = Vendor::new();
    for lines in [&["a,oauth ,b"][..], &["a", "oauth"], &["\"x,y\", oauth"]] {
        let headers: Vec<_> = lines.iter().map(|line| ("x-beta", *line)).collect();
        let mut head = request(LINE, &headers);
        forward(&vendor.world.build(), &mut head);
        let kept: Vec<_> = head.headers.get_all("x-beta").iter().collect();
        assert_eq!(kept, lines, "bytes were touched");
    }
    for line in ["\"a\\\", oauth, b\"", "OAuth", "oauth2"] {
        let mut head = request(LINE, &[("x-beta", line)]);
        forward(&vendor.world.build(), &mut head);
        assert_eq!(only(&head, "x-beta"), format!("{line}, oauth"));
    }
}

#[test]
fn a_companion_spares_a_header_that_a_rule_filled() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    let companions = [
        Companion::RemoveHeader(name("x-project-key")),
        Companion::SetHeader(name("x-project-key"), HeaderValue::from_static("x")),
        Companion::SetHeader(name("x-version"), HeaderValue::from_static("2")),
        Companion::RemoveHeader(name("x-debug")),
    ];
    let rule = companions.into_iter().fold(a.bearer(host(HOST)), CredentialRule::when_used);
    world.rules.credential(rule);
    let rule = b.rule(host(HOST), name("x-project-key"), HeaderTemplate::Raw);
    world.rules.credential(rule);
    let headers = [
        ("x-version", "1"),
        ("x-version", "0"),
        ("x_version", "3"),
        ("x-debug", "1"),
        ("x_debug", "1"),
    ];
    let mut head = request(LINE, &headers);
    forward(&world.build(), &mut head);
    assert_eq!(only(&head, "x-project-key"), b.secret());
    assert_eq!(only(&head, "x-version"), "2");
    for gone in ["x_version", "x-debug", "x_debug"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
}

/// `?a=1;key=…` is one pair to most servers and two to some.
#[test]
fn a_slot_of_the_query_behind_a_semicolon_is_refused() {
    let vendor = Vendor::new();
    for query in ["a=1;key=own", "key=own;a=1", "a;%6Bey=1"] {
        let mut head = request(&format!("{LINE}?{query}"), &[]);
        let reason = refused(&vendor.world.build(), &mut head);
        assert_eq!(reason, Reason::QueryAmbiguous, "{query}");
    }
    let mut head = request(&format!("{LINE}?a=1;b=2&keys;x"), &[]);
    forward(&vendor.world.build(), &mut head);
}

#[test]
fn sessions_that_the_vendor_hands_out_pass_where_the_provider_says_so() {
    for reversed in [false, true] {
        let mut world = World::new();
        let grant = world.grant("a");
        let narrow = grant.bearer(host(HOST).under("/session").unwrap());
        let mut rules =
            vec![grant.bearer(host(HOST)), narrow.client_credential(ClientCredential::Passes)];
        if reversed {
            rules.reverse();
        }
        for rule in rules {
            world.rules.credential(rule);
        }
        let generation = world.strict();
        let own = [("authorization", "Bearer session")];
        let mut head = request("GET https://api.example.com/session/x", &own);
        assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::ClientCredential);
        let mut head = request(LINE, &own);
        assert_eq!(refused(&generation, &mut head), Reason::ClientCredential);
    }
}

/// Rules of one name exclude each other even if they name different places.
#[test]
fn the_name_makes_the_group() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    let named = || SlotGroup::new("one", []);
    world.rules.credential(a.bearer(host(HOST)).group(named()));
    let rule = b.rule(host(HOST), name("x-key"), HeaderTemplate::Raw).group(named());
    world.rules.credential(rule.fill(Fill::PlaceholderOnly));
    let mut head = request(LINE, &[("x-key", b.placeholder.as_str())]);
    let plan = forward(&world.build(), &mut head);
    assert_eq!(plan.used().len(), 1);
    assert!(holds(&head, &b.canary) && !holds(&head, &a.canary));
}

#[test]
fn a_refusal_names_the_rule_and_says_what_to_do() {
    let vendor = Vendor::new();
    let mut head = request(LINE, &[("x-api-key", "own"), ("authorization", "Bearer own")]);
    let Verdict::Refuse(refusal) = apply(&vendor.world.strict(), &mut head) else { panic!() };
    assert_eq!(refusal.reason().as_str(), "client-credential");
    assert_eq!(refusal.decided_by(), Some("api.example.com/** authorization"));
    assert!(refusal.remedy().is_some() && !refusal.to_string().is_empty());
}
