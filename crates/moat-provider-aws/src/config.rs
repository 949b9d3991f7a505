//! What of the person's `~/.aws/config` is taken over: how programs behave, never where they go or
//! whom they are.

use crate::profile::{FileKind, entries};

/// Which values a setting may have.
#[derive(Clone, Copy, Debug)]
enum Values {
    Words(&'static [&'static str]),
    /// A number of at most six digits.
    Number,
    /// A number, with a unit or without.
    Size,
}

const SWITCH: Values = Values::Words(&["true", "false"]);
const CHECKSUMS: Values = Values::Words(&["when_supported", "when_required"]);

/// `cli_auto_prompt` is not among them: nobody in the container answers the AWS command 2 when it
/// asks, and what it was asked itself goes unanswered then.
///
/// Source: AWS SDKs and Tools reference guide, "Settings reference", and the AWS command's
/// `topics/config-vars` and `topics/s3-config`.
const SETTINGS: [(&str, Values); 19] = [
    ("output", Values::Words(&["json", "text", "table", "yaml", "yaml-stream"])),
    ("cli_timestamp_format", Values::Words(&["none", "iso8601", "wire"])),
    ("cli_binary_format", Values::Words(&["base64", "raw-in-base64-out"])),
    ("parameter_validation", SWITCH),
    ("retry_mode", Values::Words(&["legacy", "standard", "adaptive"])),
    ("max_attempts", Values::Number),
    (
        "defaults_mode",
        Values::Words(&["legacy", "standard", "in-region", "cross-region", "mobile", "auto"]),
    ),
    ("use_dualstack_endpoint", SWITCH),
    ("use_fips_endpoint", SWITCH),
    ("request_checksum_calculation", CHECKSUMS),
    ("response_checksum_validation", CHECKSUMS),
    ("s3.addressing_style", Values::Words(&["path", "virtual", "auto"])),
    ("s3.max_concurrent_requests", Values::Number),
    ("s3.max_queue_size", Values::Number),
    ("s3.multipart_threshold", Values::Size),
    ("s3.multipart_chunksize", Values::Size),
    ("s3.payload_signing_enabled", SWITCH),
    ("s3.use_accelerate_endpoint", SWITCH),
    ("s3.use_dualstack_endpoint", SWITCH),
];

impl Values {
    fn allow(self, value: &str) -> bool {
        let number =
            |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Words(words) => words.contains(&value),
            Self::Number => number(value),
            Self::Size => {
                let digits = ["KB", "MB", "GB"].iter().find_map(|unit| value.strip_suffix(unit));
                number(digits.unwrap_or(value))
            }
        }
    }
}

/// Returns the settings of a profile, and of `default` where it has none, in the order of the list
/// above.
pub(crate) fn settings(config: &str, profile: &str) -> Vec<(&'static str, String)> {
    let own = entries(config, FileKind::Config, profile);
    let shared = entries(config, FileKind::Config, "default");
    let value = |name: &str| {
        let all = own.iter().rev().chain(shared.iter().rev());
        all.clone().find(|(other, _)| other == name).map(|(_, value)| *value)
    };
    SETTINGS
        .iter()
        .filter_map(|(name, values)| {
            let value = value(name).filter(|value| values.allow(value))?;
            Some((*name, value.to_owned()))
        })
        .collect()
}
