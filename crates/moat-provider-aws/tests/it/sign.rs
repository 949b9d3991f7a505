//! Requests on their way through the signer, verified by another implementation.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{Method, Request, Version, request};
use moat_provider_aws::Aws;
use moat_provider_core::{
    BodySigning, CredentialProvider, ErrorKind, ProxyRules, Result, Secret, SecretName, Secrets,
    SigningRule,
};
use moat_provider_testkit::Canary;
use time::OffsetDateTime;

use crate::support::{granted, run, time};
use crate::v4::{Signing, hash};

const NOW: &str = "2026-11-28T10:35:27Z";
const STAMP: &str = "20261128T103527Z";
const SESSION_ID: &str = "ASIDEXAMPLEEXAMPLE";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A run with one grant: what its container holds, and what its proxy does.
pub(crate) struct Way {
    rules: ProxyRules,
    id: String,
    dummy: String,
    secret: Canary,
    token: Canary,
}

impl Way {
    pub(crate) fn with(options: &[(&str, &str)]) -> Self {
        let credential = granted("aws", &Canary::new().secret(), options);
        let infos = [credential.info()];
        let run = run(infos, None);
        let aws = Aws::new();
        let mut rules = ProxyRules::default();
        aws.configure_proxy(&mut rules, infos[0], &run).unwrap();
        let env = aws.container_env(&infos, &run).unwrap();
        let value =
            |name: &str| env.iter().find(|var| var.name() == name).unwrap().value().to_owned();
        let plain = || Canary::shaped("", moat_provider_core::Alphabet::Alphanumeric, 40);
        Self {
            rules,
            id: value("AWS_ACCESS_KEY_ID"),
            dummy: value("AWS_SECRET_ACCESS_KEY"),
            secret: plain(),
            token: plain(),
        }
    }

    pub(crate) fn client(&self, service: &str) -> Signing {
        Signing {
            id: self.id.clone(),
            secret: self.dummy.clone(),
            time: STAMP.to_owned(),
            region: "eu-central-1".to_owned(),
            service: service.to_owned(),
        }
    }

    pub(crate) fn session(&self, service: &str) -> Signing {
        Signing {
            id: SESSION_ID.to_owned(),
            secret: self.secret.text().to_owned(),
            ..self.client(service)
        }
    }

    fn secrets(&self) -> Secrets {
        [
            ("session_access_key_id", Secret::new(SESSION_ID.to_owned())),
            ("session_secret_access_key", self.secret.secret()),
            ("session_token", self.token.secret()),
        ]
        .into_iter()
        .map(|(name, secret)| (name.parse::<SecretName>().unwrap(), secret))
        .collect()
    }

    fn rule(&self, head: &request::Parts) -> &SigningRule {
        let host = head.uri.host().unwrap();
        let fits =
            |rule: &&SigningRule| rule.target().matches(host, 443, &head.method, head.uri.path());
        self.rules.signers().iter().find(fits).unwrap()
    }

    pub(crate) fn begin(&self, head: &mut request::Parts) -> Result<BodySigning> {
        self.at(head, time(NOW))
    }

    fn at(&self, head: &mut request::Parts, now: OffsetDateTime) -> Result<BodySigning> {
        self.rule(head).signer().clone().sign(head, &self.secrets(), now)
    }

    /// Signs a request whose body does not stream.
    fn pass(&self, head: &mut request::Parts, body: &[u8]) -> Result<()> {
        match self.begin(head)? {
            BodySigning::HeadOnly => Ok(()),
            BodySigning::Whole { limit, finish } => {
                assert!(body.len() <= limit);
                // The way to AWS goes on with the head while the body is read.
                head.headers.insert(ACCEPT_ENCODING, "identity".parse().unwrap());
                finish(body, head)
            }
            other => panic!("{other:?}"),
        }
    }

    fn kind(&self, head: request::Parts, body: &[u8]) -> Option<ErrorKind> {
        let mut head = head;
        self.pass(&mut head, body).err().map(|error| {
            assert!(error.hint().is_some(), "{error}");
            error.kind()
        })
    }
}

pub(crate) fn head(method: Method, url: &str) -> request::Parts {
    Request::builder().method(method).uri(url).body(Bytes::new()).unwrap().into_parts().0
}

const TABLE: &str = "https://dynamodb.eu-central-1.amazonaws.com/";
const OBJECT: &str = "https://data.s3.eu-central-1.amazonaws.com/a//b/../c%20d";

#[test]
fn a_body_is_read_when_its_digest_is_not_stated() {
    let way = Way::with(&[]);
    let mut sent = head(Method::POST, TABLE);
    sent.headers.insert("x-amz-target", "DynamoDB_20120810.GetItem".parse().unwrap());
    sent.headers.insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
    let body = br#"{"TableName":"t"}"#;
    way.client("dynamodb").sign(&mut sent, &hash(body));
    way.pass(&mut sent, body).unwrap();
    way.session("dynamodb").verify(&sent, &hash(body)).unwrap();
    assert_eq!(sent.headers["x-amz-security-token"], way.token.text());
    let text = format!("{:?}", sent.headers);
    assert_eq!(way.token.find_in_str(&text), None, "{text}");
    let signed = sent.headers[AUTHORIZATION].to_str().unwrap();
    assert!(!signed.contains("accept-encoding"), "{signed}");
    assert!(signed.contains(";x-amz-security-token;x-amz-target,"), "{signed}");
}

/// HTTP/2 does not say in the head whether a body follows; a signature of none does.
#[test]
fn no_body_is_waited_for_where_none_is_signed() {
    let way = Way::with(&[]);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut sent = head(Method::POST, TABLE);
        sent.version = version;
        way.client("dynamodb").sign(&mut sent, EMPTY);
        assert!(matches!(way.begin(&mut sent).unwrap(), BodySigning::HeadOnly));
        way.session("dynamodb").verify(&sent, EMPTY).unwrap();
    }
}

#[test]
fn a_body_that_is_another_is_refused() {
    let way = Way::with(&[]);
    let mut sent = head(Method::POST, TABLE);
    way.client("dynamodb").sign(&mut sent, &hash(b"one"));
    assert_eq!(way.kind(sent, b"two"), Some(ErrorKind::Unauthenticated));
}

#[test]
fn s3_streams_what_it_states() {
    let way = Way::with(&[]);
    let stated = [EMPTY, "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"];
    for digest in stated {
        let mut sent = head(Method::PUT, OBJECT);
        sent.headers.insert("x-amz-content-sha256", digest.parse().unwrap());
        way.client("s3").sign(&mut sent, digest);
        assert!(matches!(way.begin(&mut sent).unwrap(), BodySigning::HeadOnly));
        way.session("s3").verify(&sent, digest).unwrap();
        assert_eq!(sent.uri, OBJECT, "the path stays as it was");
    }
}

#[test]
fn framing_that_was_signed_may_be_taken_off_on_the_way() {
    let way = Way::with(&[]);
    let digest = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let mut sent = head(Method::PUT, OBJECT);
    sent.headers.insert("x-amz-content-sha256", digest.parse().unwrap());
    sent.headers.insert("x-amz-meta-a", "b".parse().unwrap());
    sent.headers.insert(TRANSFER_ENCODING, "chunked".parse().unwrap());
    way.client("s3").sign(&mut sent, digest);
    sent.headers.remove(TRANSFER_ENCODING);
    // What else was signed has to be there.
    let mut without = sent.clone();
    without.headers.remove("x-amz-meta-a");
    assert_eq!(way.begin(&mut without).unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert!(matches!(way.begin(&mut sent).unwrap(), BodySigning::HeadOnly));
    way.session("s3").verify(&sent, digest).unwrap();
    assert!(!sent.headers[AUTHORIZATION].to_str().unwrap().contains("transfer-encoding"));
}

#[test]
fn presigned_urls_are_signed_in_their_query() {
    let way = Way::with(&[]);
    let mut sent = head(Method::GET, OBJECT);
    way.client("s3").presign(&mut sent, "UNSIGNED-PAYLOAD");
    assert!(matches!(way.begin(&mut sent).unwrap(), BodySigning::HeadOnly));
    way.session("s3").verify(&sent, "UNSIGNED-PAYLOAD").unwrap();
    let query = sent.uri.query().unwrap();
    assert!(query.contains(&format!("X-Amz-Security-Token={}", way.token.text())));
    assert!(query.contains("X-Amz-Expires=600") && !query.contains(&way.id));
    assert!(!sent.headers.contains_key(AUTHORIZATION));
}

#[test]
fn a_clock_that_is_off_is_set_right_and_an_old_url_is_left_to_aws() {
    let way = Way::with(&[]);
    for (now, kept) in [
        ("2026-11-28T10:38:27Z", true),
        ("2026-11-28T10:32:27Z", true),
        ("2026-11-28T10:41:27Z", false),
        ("2026-11-28T09:35:27Z", false),
        ("2027-01-01T00:00:00Z", false),
    ] {
        let mut sent = head(Method::PUT, OBJECT);
        sent.headers.insert("x-amz-content-sha256", EMPTY.parse().unwrap());
        way.client("s3").sign(&mut sent, EMPTY);
        way.at(&mut sent, time(now)).unwrap();
        let stamp = sent.headers["x-amz-date"].to_str().unwrap().to_owned();
        assert_eq!(stamp == STAMP, kept, "{now}: {stamp}");
        let session = Signing { time: stamp, ..way.session("s3") };
        session.verify(&sent, EMPTY).unwrap();

        let mut sent = head(Method::GET, OBJECT);
        way.client("s3").presign(&mut sent, "UNSIGNED-PAYLOAD");
        way.at(&mut sent, time(now)).unwrap();
        let old = sent.uri.query().unwrap().contains(&format!("X-Amz-Date={STAMP}"));
        assert_eq!(old, now != "2026-11-28T09:35:27Z", "{now}");
    }
}

#[test]
fn only_what_the_runs_keys_signed_is_signed() {
    let way = Way::with(&[]);
    let other = Way::with(&[]);
    let signed = |signing: &Signing| {
        let mut sent = head(Method::PUT, OBJECT);
        sent.headers.insert("x-amz-content-sha256", EMPTY.parse().unwrap());
        signing.sign(&mut sent, EMPTY);
        sent
    };
    let own = way.client("s3");
    assert_eq!(way.kind(signed(&own), b""), None);
    let refused = Some(ErrorKind::Unauthenticated);
    let secret = Signing { secret: other.dummy.clone(), ..own.clone() };
    assert_eq!(way.kind(signed(&secret), b""), refused, "another secret");
    assert_eq!(way.kind(signed(&other.client("s3")), b""), refused, "another run");
    let mut changed = signed(&own);
    changed.headers.insert(HOST, "evil.s3.eu-central-1.amazonaws.com".parse().unwrap());
    assert_eq!(way.kind(changed, b""), refused, "another host");
    let mut twice = signed(&own);
    twice.headers.append(AUTHORIZATION, "Bearer x".parse().unwrap());
    assert_eq!(way.kind(twice, b""), refused, "two headers");
    let mut both = signed(&own);
    both.uri = format!("{OBJECT}?X-Amz-Credential=x").parse().unwrap();
    assert_eq!(way.kind(both, b""), refused, "header and query");
    let mut unsigned = signed(&own);
    unsigned.headers.remove(AUTHORIZATION);
    assert_eq!(way.kind(unsigned, b""), refused, "none");
    let mut extra = signed(&own);
    extra.headers.insert(USER_AGENT, "x".parse().unwrap());
    assert_eq!(way.kind(extra, b""), None, "a header that is not signed");
}

#[test]
fn other_algorithms_are_refused_with_what_to_set() {
    let way = Way::with(&[]);
    let id = way.id.as_str();
    for (authorization, hint) in [
        (
            format!(
                "AWS4-ECDSA-P256-SHA256 Credential={id}/20261128/s3/aws4_request, SignedHeaders=host, Signature=00"
            ),
            "AWS_AUTH_SCHEME_PREFERENCE=sigv4",
        ),
        (format!("AWS {id}:x"), "s3v4"),
    ] {
        let mut sent = head(Method::GET, OBJECT);
        sent.headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        let error = way.begin(&mut sent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
    for digest in ["STREAMING-AWS4-HMAC-SHA256-EVENTS", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"]
    {
        let mut sent = head(Method::PUT, OBJECT);
        sent.headers.insert("x-amz-content-sha256", digest.parse().unwrap());
        way.client("s3").sign(&mut sent, digest);
        assert_eq!(way.kind(sent, b""), Some(ErrorKind::Unsupported), "{digest}");
    }
    let url = format!("{OBJECT}?AWSAccessKeyId={id}&Signature=x&Expires=1");
    assert_eq!(way.kind(head(Method::GET, &url), b""), Some(ErrorKind::Unsupported));
}

#[test]
fn calls_that_issue_credentials_are_refused() {
    let way = Way::with(&[]);
    let call = |body: &str| {
        let mut sent = head(Method::POST, "https://sts.eu-central-1.amazonaws.com/");
        let form = "application/x-www-form-urlencoded".parse().unwrap();
        sent.headers.insert("content-type", form);
        way.client("sts").sign(&mut sent, &hash(body.as_bytes()));
        way.kind(sent, body.as_bytes())
    };
    assert_eq!(call("Action=GetCallerIdentity&Version=2011-06-15"), None);
    assert_eq!(call("Action=AssumeRole&RoleArn=x"), Some(ErrorKind::PermissionDenied));
    // An identity that a cluster would take for the session's is not to be had either.
    let mut sent = head(Method::GET, "https://sts.eu-central-1.amazonaws.com/");
    way.client("sts").presign(&mut sent, EMPTY);
    assert_eq!(way.kind(sent, b""), Some(ErrorKind::PermissionDenied));
}

#[test]
fn a_grant_may_be_for_few_services_regions_and_buckets() {
    let way =
        Way::with(&[("service", "s3,sqs"), ("allow-region", "eu-central-1"), ("bucket", "data")]);
    let sent = |service: &str, region: &str, url: &str| {
        let mut sent = head(Method::GET, url);
        sent.headers.insert("x-amz-content-sha256", EMPTY.parse().unwrap());
        let signing = Signing { region: region.to_owned(), ..way.client(service) };
        signing.sign(&mut sent, EMPTY);
        way.kind(sent, b"")
    };
    let denied = Some(ErrorKind::PermissionDenied);
    assert_eq!(sent("s3", "eu-central-1", OBJECT), None);
    assert_eq!(sent("sqs", "eu-central-1", "https://sqs.eu-central-1.amazonaws.com/"), None);
    assert_eq!(sent("ec2", "eu-central-1", "https://ec2.eu-central-1.amazonaws.com/"), denied);
    assert_eq!(sent("s3", "us-east-1", OBJECT), denied);
    let bucket = "https://other.s3.eu-central-1.amazonaws.com/k";
    assert_eq!(sent("s3", "eu-central-1", bucket), denied);
    assert_eq!(sent("s3", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/"), denied);
}

/// Requests that are signed with the run's own key, and are refused nevertheless.
#[test]
fn a_signature_has_to_make_sense_as_a_whole() {
    let way = Way::with(&[]);
    let own = way.client("s3");
    let refused = Some(ErrorKind::Unauthenticated);
    let signed = |signing: &Signing, url: &str| {
        let mut sent = head(Method::PUT, url);
        sent.headers.insert("x-amz-content-sha256", EMPTY.parse().unwrap());
        signing.sign(&mut sent, EMPTY);
        sent
    };
    let other_id = Signing { id: "AKIDEXAMPLEEXAMPLE".to_owned(), ..own.clone() };
    assert_eq!(way.kind(signed(&other_id, OBJECT), b""), refused, "another id");
    let both = signed(&own, &format!("{OBJECT}?X-Amz-Credential=x"));
    assert_eq!(way.kind(both, b""), refused, "a header and, under its signature, the query");
    let odd = Signing { service: "s3$".to_owned(), ..own.clone() };
    assert_eq!(way.kind(signed(&odd, OBJECT), b""), refused, "an odd service");
    let replaced = |from: &str, to: &str| {
        let mut sent = signed(&own, OBJECT);
        let text = sent.headers[AUTHORIZATION].to_str().unwrap().replace(from, to);
        sent.headers.insert(AUTHORIZATION, text.parse().unwrap());
        way.begin(&mut sent).map(drop).unwrap_err().to_string()
    };
    for (from, to, why) in [
        ("20261128", "20261127", "date"),
        ("SignedHeaders=host;", "SignedHeaders=", "lacks the host"),
        ("host;x-amz-content-sha256", "x-amz-content-sha256;host", "malformed"),
        ("aws4_request", "aws5_request", "scope"),
        ("Signature=", "Signature=0,Signature=", "each field once"),
    ] {
        let error = replaced(from, to);
        assert!(error.contains(why), "{from}: {error}");
    }
}

/// The host is signed as it is sent on: in lower case, without the default port.
#[test]
fn the_host_is_signed_as_it_arrives() {
    let way = Way::with(&[]);
    for host in ["Data.S3.eu-central-1.AmazonAWS.com", "data.s3.eu-central-1.amazonaws.com:443"] {
        let mut sent = head(Method::PUT, &format!("https://{host}/k"));
        sent.headers.insert("x-amz-content-sha256", EMPTY.parse().unwrap());
        way.client("s3").sign(&mut sent, EMPTY);
        way.begin(&mut sent).unwrap();
        assert!(way.session("s3").verify(&sent, EMPTY).is_err(), "{host}");
        sent.headers.insert(HOST, "data.s3.eu-central-1.amazonaws.com".parse().unwrap());
        way.session("s3").verify(&sent, EMPTY).unwrap();
    }
}
