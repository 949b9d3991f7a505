//! Role ARNs and partitions.

use std::fmt;

use moat_provider_core::{Error, Result};

/// A part of AWS with accounts, regions and host names of its own.
///
/// Source: botocore 1.44, `data/partitions.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// As it stands in ARNs.
    pub(crate) id: &'static str,
    /// What the names of its regions begin with; empty where every other name is meant.
    prefix: &'static str,
    /// What its host names end in.
    pub(crate) suffix: &'static str,
    /// The further domains of its services.
    domains: &'static [&'static str],
    /// The region that is taken where nobody names one.
    pub(crate) default_region: &'static str,
}

/// `on.aws` is where functions have their URLs.
const PARTITIONS: [Partition; 8] = [
    Partition {
        id: "aws-cn",
        prefix: "cn-",
        suffix: "amazonaws.com.cn",
        domains: &["api.amazonwebservices.com.cn"],
        default_region: "cn-north-1",
    },
    Partition {
        id: "aws-us-gov",
        prefix: "us-gov-",
        suffix: "amazonaws.com",
        domains: &["api.aws"],
        default_region: "us-gov-west-1",
    },
    Partition {
        id: "aws-eusc",
        prefix: "eusc-",
        suffix: "amazonaws.eu",
        domains: &["api.amazonwebservices.eu"],
        default_region: "eusc-de-east-1",
    },
    Partition {
        id: "aws-iso",
        prefix: "us-iso-",
        suffix: "c2s.ic.gov",
        domains: &["api.aws.ic.gov"],
        default_region: "us-iso-east-1",
    },
    Partition {
        id: "aws-iso-b",
        prefix: "us-isob-",
        suffix: "sc2s.sgov.gov",
        domains: &["api.aws.scloud"],
        default_region: "us-isob-east-1",
    },
    Partition {
        id: "aws-iso-e",
        prefix: "eu-isoe-",
        suffix: "cloud.adc-e.uk",
        domains: &["api.cloud-aws.adc-e.uk"],
        default_region: "eu-isoe-west-1",
    },
    Partition {
        id: "aws-iso-f",
        prefix: "us-isof-",
        suffix: "csp.hci.ic.gov",
        domains: &["api.aws.hci.ic.gov"],
        default_region: "us-isof-south-1",
    },
    Partition {
        id: "aws",
        prefix: "",
        suffix: "amazonaws.com",
        domains: &["api.aws", "on.aws"],
        default_region: "us-east-1",
    },
];

impl Partition {
    fn named(id: &str) -> Option<Self> {
        PARTITIONS.into_iter().find(|partition| partition.id == id)
    }

    /// Tells the partition of a region.
    fn of_region(region: &str) -> Option<Self> {
        PARTITIONS.into_iter().find(|partition| region.starts_with(partition.prefix))
    }

    /// Whether a region lies in it: lower-case words and a number, joined by hyphens.
    pub(crate) fn has_region(self, region: &str) -> bool {
        let words: Vec<&str> = region.split('-').collect();
        let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let number = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let well_formed = words.len() >= 3
            && region.len() <= 32
            && words.split_last().is_some_and(|(last, rest)| number(last) && rest.iter().all(word));
        well_formed && Self::of_region(region).is_some_and(|partition| partition.id == self.id)
    }

    /// Returns the patterns of all its hosts.
    pub(crate) fn hosts(self) -> impl Iterator<Item = String> {
        std::iter::once(self.suffix)
            .chain(self.domains.iter().copied())
            .map(|domain| format!("*.{domain}"))
    }
}

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleArn {
    text: String,
    partition: Partition,
}

/// An ARN to learn from.
pub(crate) const EXAMPLE: &str = "arn:aws:iam::123456789012:role/NAME";

impl RoleArn {
    /// Reads an ARN.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) with the first thing
    /// that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| {
            Err(Error::invalid(what).with_hint(format!("a role's ARN looks like {EXAMPLE}")))
        };
        if text.is_empty() {
            return wrong("the role's ARN is empty".to_owned());
        }
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, resource] = parts.as_slice() else {
            let count = parts.len();
            return wrong(format!("a role's ARN has 6 parts between colons, this has {count}"));
        };
        if *arn != "arn" {
            return wrong("a role's ARN begins with arn:".to_owned());
        }
        let Some(partition) = Partition::named(partition) else {
            return wrong(format!("there is no partition {partition:?}"));
        };
        if *service != "iam" {
            return wrong(format!("a role is of the service iam, not {service:?}"));
        }
        if !region.is_empty() {
            return wrong(format!("a role's ARN has no region, this has {region:?}"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong(format!("an account has 12 digits, not {account:?}"));
        }
        let Some(name) = resource.strip_prefix("role/") else {
            return wrong(format!("{resource:?} is no role"));
        };
        // IAM user guide, "IAM and AWS STS quotas": names and paths.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
        let last = name.rsplit('/').next().unwrap_or_default();
        if !(1..=64).contains(&last.len()) || name.len() > 576 || !name.bytes().all(allowed) {
            return wrong(format!("{name:?} is not the name of a role"));
        }
        Ok(Self { text: text.to_owned(), partition })
    }

    /// Returns the partition.
    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text is the ARN of an IAM policy.
pub(crate) fn is_policy(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
    if Partition::named(partition).is_some()
        && (*account == "aws" || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())))
        && resource.strip_prefix("policy/").is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b))
        }))
}

/// Whether a text can be the ARN of an identity that AWS named: printable, without surprises.
pub(crate) fn is_identity(text: &str) -> bool {
    text.starts_with("arn:")
        && text.len() <= 2048
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-/:".contains(&b))
}
