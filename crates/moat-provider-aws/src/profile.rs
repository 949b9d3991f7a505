//! Files of profiles: `~/.aws/config` and `~/.aws/credentials`.
//!
//! Source: AWS SDKs and Tools reference guide, "Shared config and credentials files".

use moat_provider_core::{Error, HostDir, HostFile, Result};

/// Names the configuration file.
pub(crate) fn config_file() -> HostFile {
    HostFile::new("aws/config")
        .at(HostDir::Variable("AWS_CONFIG_FILE"), "")
        .at(HostDir::Home, ".aws/config")
}

/// Names the file of keys.
pub(crate) fn credentials_file() -> HostFile {
    HostFile::new("aws/credentials")
        .at(HostDir::Variable("AWS_SHARED_CREDENTIALS_FILE"), "")
        .at(HostDir::Home, ".aws/credentials")
}

/// Which of the two files a text is of: they name profiles differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// `[default]`, `[profile NAME]`
    Config,
    /// `[NAME]`
    Credentials,
}

/// Checks the name of a profile: it becomes an argument and part of a section's line.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput).
pub(crate) fn check_name(name: &str) -> Result<()> {
    let odd = |c: char| c.is_control() || "[]\"'".contains(c);
    if (1..=128).contains(&name.len()) && !name.contains(odd) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::invalid(format!("{:?} is not the name of a profile", name))
        .with_hint("profiles are listed by: aws configure list-profiles"))
}

/// Returns the settings of a profile in the order of the file; those of a group are named
/// `group.name`.
pub(crate) fn entries<'t>(text: &'t str, kind: FileKind, profile: &str) -> Vec<(String, &'t str)> {
    let mut inside = false;
    let mut group: Option<String> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = trimmed.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default();
            inside = is_section(section, kind, profile);
            group = None;
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=').filter(|_| inside) else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), without_comment(value.trim()));
        if line.starts_with([' ', '\t']) {
            if let Some(group) = &group {
                found.push((format!("{group}.{name}"), value));
            }
        } else if value.is_empty() {
            group = Some(name);
        } else {
            group = None;
            found.push((name, value));
        }
    }
    found
}

/// A comment begins behind white space.
fn without_comment(value: &str) -> &str {
    let begins = |mark: &str| value.find(&format!(" {mark}"));
    let end = [begins("#"), begins(";")].into_iter().flatten().min().unwrap_or(value.len());
    value[..end].trim_end()
}

fn is_section(section: &str, kind: FileKind, profile: &str) -> bool {
    let section = section.trim();
    let name = match (kind, section.split_once(char::is_whitespace)) {
        (FileKind::Config, Some(("profile", name))) => name.trim().trim_matches(['"', '\'']),
        (FileKind::Config, None) if section == "default" => section,
        (FileKind::Config, _) => return false,
        (FileKind::Credentials, _) => section,
    };
    name == profile
}

/// Splits a command line at white space outside quotes (POSIX shell quoting without expansions);
/// `None` when a quote is not closed, or there is no word.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(rest.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# mine\n[default]\nregion = us-east-1 # here\n\n[profile dev]\nREGION=eu-west-1\ns3 =\n  addressing_style = path\n  max_concurrent_requests = 4\noutput = json\n[dev]\nregion = wrong\n[sso-session dev]\nregion = wrong\n";

    #[test]
    fn profiles_have_their_own_sections() {
        let read = |kind, profile| entries(CONFIG, kind, profile);
        assert_eq!(read(FileKind::Config, "default"), [("region".to_owned(), "us-east-1")]);
        assert_eq!(
            read(FileKind::Config, "dev"),
            [
                ("region".to_owned(), "eu-west-1"),
                ("s3.addressing_style".to_owned(), "path"),
                ("s3.max_concurrent_requests".to_owned(), "4"),
                ("output".to_owned(), "json"),
            ]
        );
        assert_eq!(read(FileKind::Credentials, "dev"), [("region".to_owned(), "wrong")]);
        assert!(read(FileKind::Config, "other").is_empty());
    }

    #[test]
    fn commands_are_split_as_a_shell_would() {
        let split = |line: &str| words(line).unwrap_or_default().join("|");
        assert_eq!(
            split("/opt/tool --account  '1 2' \"a\\\"b\" c\\ d"),
            "/opt/tool|--account|1 2|a\"b|c d"
        );
        assert_eq!(split("tool ''"), "tool|");
        for line in ["", "  ", "tool 'x", "tool \"x", "tool \\"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
