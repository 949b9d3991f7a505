//! Tries what makes an intercepting authority dangerous: a long life, a known serial, a leaf for
//! more than one host, a key that is shared.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{Clock, Secret};
use moat_proxy::Mode;
use moat_proxy::plane::{CertificateAuthority, RunRegistration};
use x509_parser::prelude::*;

use crate::grants::*;
use crate::support::{RealClock, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The chain that a client of a tunnel sees.
async fn chain(world: &World, host: &str) -> Vec<Vec<u8>> {
    let stream = world.tls(host, &["h2"]).await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain.iter().map(|certificate| certificate.to_vec()).collect()
}

fn is_p256(certificate: &X509Certificate<'_>) -> bool {
    let curve = certificate.public_key().algorithm.parameters.as_ref();
    let curve = curve.and_then(|curve| curve.as_oid().ok()).map(|oid| oid.to_id_string());
    curve.as_deref() == Some("1.2.840.10045.3.1.7")
}

#[tokio::test]
async fn leaves_are_for_one_host_for_a_few_days_under_a_number_of_their_own() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Permissive).deny("b.test/x").unwrap()).await;
    let now = RealClock.now();
    let mut serials = HashSet::new();
    let mut keys = HashSet::new();
    let (_, ca) = parse_x509_certificate(world.ca.certificate()).unwrap();
    keys.insert(ca.public_key().subject_public_key.data.to_vec());
    serials.insert(ca.raw_serial().to_vec());
    for host in [VENDOR, "b.test"] {
        let chain = chain(&world, host).await;
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names, [GeneralName::DNSName(host)]);
        let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
        // A clock that runs late by most of an hour takes the leaf.
        assert!(from.to_datetime() <= now - Duration::from_secs(50 * 60));
        assert!(to.to_datetime() <= now + 7 * DAY + Duration::from_secs(60));
        assert!(to <= ca.validity().not_after);
        assert!(!leaf.is_ca() && is_p256(&leaf));
        assert!(leaf.raw_serial().len() >= 16, "{:?}", leaf.raw_serial());
        assert!(serials.insert(leaf.raw_serial().to_vec()));
        assert!(keys.insert(leaf.public_key().subject_public_key.data.to_vec()));
        leaf.verify_signature(Some(ca.public_key())).unwrap();
    }
}

#[test]
fn authorities_are_short_lived_and_told_apart() {
    let now = RealClock.now();
    let (mut serials, mut names, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
    for _ in 0..8 {
        let authority = CertificateAuthority::generate(now, 3650 * DAY).unwrap();
        let (_, ca) = parse_x509_certificate(authority.certificate()).unwrap();
        assert!(ca.validity().not_before.to_datetime() <= now - Duration::from_secs(50 * 60));
        assert!(ca.validity().not_after.to_datetime() <= now + 7 * DAY);
        let constraints = ca.basic_constraints().unwrap().unwrap().value;
        assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
        assert!(is_p256(&ca));
        assert!(serials.insert(ca.raw_serial().to_vec()));
        assert!(names.insert(ca.subject().to_string()));
        assert!(keys.insert(authority.key_pem().to_string()));
        assert!(!authority.certificate_pem().contains("PRIVATE"));
        assert!(!format!("{authority:?}").contains(&authority.key_pem()[40..80]));
    }
}

#[tokio::test]
async fn a_run_has_an_authority_of_its_own() {
    let (grants, _) = bearer();
    let world = world(&grants, policy(Mode::Permissive)).await;
    let own = Arc::new(CertificateAuthority::generate(RealClock.now(), DAY).unwrap());
    let run =
        RunRegistration::new("r2".parse().unwrap(), rules(&grants, policy(Mode::Strict).build()))
            .token(&Secret::new("second".to_owned()))
            .authority(Arc::clone(&own));
    let run = world.proxy.register(run).unwrap();
    assert_eq!(run.authority().certificate(), own.certificate());
    assert_ne!(own.certificate(), world.ca.certificate());
    let (socket, head) = world.tunnel_as(&format!("{VENDOR}:443"), "Bearer second").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // Who trusts the authority of the other run does not trust this one's leaf.
    let connector = world.connector(&["h2"]);
    assert!(connector.connect(VENDOR.try_into().unwrap(), socket).await.is_err());
    assert!(world.tls_as(VENDOR, VENDOR, &["h2"]).await.is_ok());
}
