//! Prints what one request costs with 1, 100 and 10,000 hosts that have rules.
//!
//! `cargo run --release --example engine_speed`

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use http::header::AUTHORIZATION;
use http::{Request, request};
use moat_provider_core::{
    Alphabet, CredentialKey, CredentialRule, HeaderTemplate, PlaceholderKey, PlaceholderShape,
    ProxyConfigurer, ProxyRules, Result, RunContext, Secret, SecretName, SecretRef, Target,
};
use moat_proxy::Mode;
use moat_proxy::engine::{Generation, Place};
use time::OffsetDateTime;

const ROUNDS: u32 = 200_000;

fn generation(hosts: usize) -> Result<(Generation, String)> {
    let key = PlaceholderKey::from_bytes([1; 32]);
    let run = RunContext::builder("speed".parse()?, "/home/moatuser".parse()?, key.clone()).build();
    let shape = PlaceholderShape::prefixed("tok_", Alphabet::Alphanumeric, 36);
    let mut rules = ProxyRules::default();
    let mut secrets = BTreeMap::new();
    let mut bearer = String::new();
    for at in 0..hosts {
        let grant: CredentialKey = format!("vendor:h{at}").parse()?;
        let placeholder = run.placeholder(&grant, "token", &shape)?;
        let pattern = match at % 10 {
            9 => format!("*.w{at}.example.com"),
            _ => format!("h{at}.example.com"),
        };
        let secret = SecretRef::token(&grant);
        let rule = CredentialRule::new(
            Target::host(&pattern)?.under("/v1")?,
            AUTHORIZATION,
            HeaderTemplate::Bearer,
            secret,
        );
        bearer = if at == 0 { format!("Bearer {placeholder}") } else { bearer };
        rules.credential(rule.placeholder(placeholder));
        let token = Secret::new(format!("tok_secret_number_{at}_0123456789"));
        secrets.insert(grant, [(SecretName::TOKEN, token)].into_iter().collect());
    }
    let generation = Generation::new(&rules, &[], &secrets, key, Mode::Permissive)?;
    Ok((generation, bearer))
}

fn head(host: &str, headers: &[(&str, &str)]) -> Result<request::Parts> {
    let mut request = Request::builder().uri(format!("https://{host}/v1/messages?beta=true"));
    let common = [
        ("host", host),
        ("user-agent", "client/1.0"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, br"),
        ("content-type", "application/json"),
        ("content-length", "1000"),
    ];
    for (name, value) in common.iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let invalid = |_| moat_provider_core::Error::invalid("the request of the example");
    Ok(request.body(()).map_err(invalid)?.into_parts().0)
}

fn nanoseconds(
    generation: &Generation,
    host: &str,
    headers: &[(&str, &str)],
    apply: bool,
) -> Result<f64> {
    let head = head(host, headers)?;
    let rules = generation.at(host, 443);
    let place = Place::new(&rules, "/v1/messages");
    let now = OffsetDateTime::UNIX_EPOCH;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let mut head = head.clone();
        if apply {
            let _ = black_box(generation.apply(&mut head, &place, now));
        }
        black_box(head);
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS))
}

#[expect(clippy::print_stdout, reason = "the result of the example")]
fn main() -> Result<()> {
    println!("{:<28}{:>10}{:>10}{:>10}", "ns per request, hosts:", 1, 100, 10_000);
    let began = Instant::now();
    let generations = [generation(1)?, generation(100)?, generation(10_000)?];
    let built = began.elapsed();
    let bearer = generations[0].1.clone();
    let own = [("authorization", "Bearer a-credential-of-the-clients-own")];
    let ours = [("authorization", bearer.as_str())];
    for (name, host, headers) in [
        ("empty slot", "h0.example.com", &[][..]),
        ("placeholder", "h0.example.com", &ours),
        ("client's own credential", "h0.example.com", &own),
        ("wildcard", "a.w9.example.com", &[]),
        ("no rule", "elsewhere.example.net", &[]),
    ] {
        print!("{name:<28}");
        for (generation, _) in &generations {
            let copying = nanoseconds(generation, host, headers, false)?;
            print!("{:>10.0}", nanoseconds(generation, host, headers, true)? - copying);
        }
        println!();
    }
    println!("all three generations were built in {:.0} ms", built.as_secs_f64() * 1e3);
    Ok(())
}
