//! Where requests may go: services, regions, buckets.

use http::header::HOST;
use http::request;
use moat_provider_core::{Error, ErrorKind, Result};

use crate::sigv4::{Scope, decoded, pairs};

const COPY_SOURCE: &str = "x-amz-copy-source";

/// What a person limits a grant to. An empty list limits nothing.
///
/// Service and region are those of the signature: AWS refuses a request whose host is of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    services: Vec<String>,
    regions: Vec<String>,
    buckets: Vec<String>,
}

impl Limits {
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for what cannot be a name.
    pub(crate) fn new(
        services: Vec<String>,
        regions: Vec<String>,
        buckets: Vec<String>,
    ) -> Result<Self> {
        // One has capitals: `IoTSecuredTunneling`.
        let in_service = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let is_service = |text: &&String| text.len() <= 63 && text.bytes().all(in_service);
        let in_bucket = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let is_bucket =
            |text: &&String| (3..=63).contains(&text.len()) && text.bytes().all(in_bucket);
        if let Some(service) = services.iter().find(|service| !is_service(service)) {
            return Err(Error::invalid(format!("{service:?} is not the name of a service"))
                .with_hint("services have the names that signatures use: s3, dynamodb, bedrock"));
        }
        if let Some(bucket) = buckets.iter().find(|bucket| !is_bucket(bucket)) {
            return Err(Error::invalid(format!("{bucket:?} is not the name of a bucket"))
                .with_hint("3 to 63 lower-case letters, digits, hyphens and dots"));
        }
        Ok(Self { services, regions, buckets })
    }

    pub(crate) fn regions(&self) -> &[String] {
        &self.regions
    }

    /// Returns services, regions and buckets.
    pub(crate) fn lists(&self) -> [&[String]; 3] {
        [&self.services, &self.regions, &self.buckets]
    }

    /// Checks a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] when it goes elsewhere.
    pub(crate) fn check(&self, scope: &Scope, head: &request::Parts) -> Result<()> {
        let allows =
            |list: &[String], item: &str| list.is_empty() || list.iter().any(|own| own == item);
        if !allows(&self.services, &scope.service) {
            return Err(denied(
                format!("this grant is not for the service {}", scope.service),
                "service",
            ));
        }
        if !allows(&self.regions, &scope.region) {
            return Err(denied(
                format!("this grant is not for the region {}", scope.region),
                "allow-region",
            ));
        }
        if self.buckets.is_empty() || !is_s3(&scope.service) {
            return Ok(());
        }
        let named = |bucket: &str| self.buckets.iter().any(|own| own == bucket);
        let refused = || denied("this grant is not for this bucket", "bucket");
        let bucket = bucket_of(head).ok_or_else(|| {
            denied("this grant is for some buckets, and the request names none", "bucket")
        })?;
        let sources = copy_sources(head).ok_or_else(refused)?;
        if named(&bucket) && sources.iter().all(|source| named(source)) {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

fn denied(what: impl Into<std::borrow::Cow<'static, str>>, option: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, what)
        .with_hint(format!("grant the role with another --{option}"))
}

fn is_s3(service: &str) -> bool {
    matches!(
        service,
        "s3" | "s3express" | "s3-object-lambda" | "s3-outposts" | "s3vectors" | "s3tables"
    )
}

fn host(head: &request::Parts) -> Option<String> {
    let host = match head.headers.get(HOST) {
        Some(host) => host.to_str().ok()?,
        None => head.uri.authority()?.as_str(),
    };
    Some(host.split(':').next()?.to_ascii_lowercase())
}

fn label_of_s3(labels: &[&str]) -> Option<usize> {
    labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"))
}

/// Whether a request goes to S3, by its host.
pub(crate) fn is_host_of_s3(head: &request::Parts) -> bool {
    host(head).is_some_and(|host| label_of_s3(&host.split('.').collect::<Vec<_>>()).is_some())
}

/// Tells the bucket of a request to S3: in front of the label `s3` of its host, else the first
/// segment of its path; `None` for a request that is of no bucket, such as the list of all.
fn bucket_of(head: &request::Parts) -> Option<String> {
    let host = host(head)?;
    let labels: Vec<&str> = host.split('.').collect();
    let at = label_of_s3(&labels)?;
    // The control plane names buckets in many other ways.
    if labels[at].starts_with("s3-control") {
        return None;
    }
    if at > 0 {
        return Some(labels[..at].join("."));
    }
    let first = head.uri.path().trim_start_matches('/').split('/').next()?;
    (!first.is_empty() && !head.uri.path().starts_with("//")).then(|| first.to_owned())
}

/// Returns the buckets that a request copies from; `None` when that cannot be told.
fn copy_sources(head: &request::Parts) -> Option<Vec<String>> {
    let mut sources = Vec::new();
    for value in head.headers.get_all(COPY_SOURCE) {
        sources.push(copied_bucket(value.to_str().ok()?)?);
    }
    for (name, value) in pairs(head.uri.query().unwrap_or_default()) {
        if decoded(name).eq_ignore_ascii_case(COPY_SOURCE.as_bytes()) {
            sources.push(copied_bucket(&String::from_utf8(decoded(value)).ok()?)?);
        }
    }
    Some(sources)
}

/// Reads `/bucket/key` and `bucket/key`, with or without percent encoding. An ARN, of an access
/// point, is of no bucket that can be told.
fn copied_bucket(source: &str) -> Option<String> {
    let source = String::from_utf8(decoded(source)).ok()?;
    let bucket = source.strip_prefix('/').unwrap_or(&source).split('/').next()?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(url: &str) -> request::Parts {
        let (mut head, ()) = http::Request::get(url).body(()).unwrap().into_parts();
        let host = head.uri.authority().unwrap().to_string();
        head.headers.insert(HOST, host.parse().unwrap());
        head
    }

    #[test]
    fn buckets_stand_in_hosts_and_paths() {
        for (url, bucket) in [
            ("https://s3.us-east-1.amazonaws.com/data/key", Some("data")),
            ("https://s3.us-east-1.amazonaws.com/", None),
            ("https://s3.us-east-1.amazonaws.com//data/key", None),
            ("https://s3.us-east-1.amazonaws.com/%64ata/key", Some("%64ata")),
            ("https://data.s3.us-east-1.amazonaws.com/other/key", Some("data")),
            ("https://my.data.s3.dualstack.eu-west-1.amazonaws.com/", Some("my.data")),
            ("https://s3.data.s3.us-east-1.amazonaws.com/", Some("s3.data")),
            ("https://data.s3-accelerate.amazonaws.com/k", Some("data")),
            ("https://s3-us-west-2.amazonaws.com/data", Some("data")),
            ("https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/jobs", None),
            ("https://dynamodb.us-east-1.amazonaws.com/data", None),
        ] {
            assert_eq!(bucket_of(&head(url)).as_deref(), bucket, "{url}");
            assert_eq!(is_host_of_s3(&head(url)), !url.contains("dynamodb"), "{url}");
        }
    }

    #[test]
    fn the_list_of_all_buckets_is_of_none() {
        let limits = Limits::new(vec![], vec![], vec!["data".into()]).unwrap();
        let scope = Scope { day: String::new(), region: "us-east-1".into(), service: "s3".into() };
        let refused = limits.check(&scope, &head("https://s3.us-east-1.amazonaws.com/"));
        assert!(refused.unwrap_err().to_string().contains("the request names none"));
    }

    #[test]
    fn a_copy_reads_from_a_bucket_too() {
        let limits = Limits::new(vec![], vec![], vec!["data".into()]).unwrap();
        let scope = Scope { day: String::new(), region: "us-east-1".into(), service: "s3".into() };
        let mut head = head("https://data.s3.us-east-1.amazonaws.com/k");
        assert!(limits.check(&scope, &head).is_ok());
        for (source, fine) in [
            ("/data/a", true),
            ("data/a", true),
            ("data%2Fa", true),
            ("other/a", false),
            ("/other/data", false),
            ("arn:aws:s3:us-east-1:1:accesspoint/x/object/k", false),
        ] {
            head.headers.insert(COPY_SOURCE, source.parse().unwrap());
            assert_eq!(limits.check(&scope, &head).is_ok(), fine, "{source}");
        }
        head.headers.clear();
        head.uri =
            "https://data.s3.us-east-1.amazonaws.com/k?X-Amz-Copy-Source=other/a".parse().unwrap();
        assert!(limits.check(&scope, &head).is_err());
    }
}
