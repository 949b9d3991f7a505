//! Which hosts clients reach without the proxy.

use moat_provider_core::HostPattern;

/// What is always reached directly: the container's own loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Returns the value of `NO_PROXY`, and a warning for each entry that is dropped from it.
pub(super) fn value(extra: &[String], granted: &[HostPattern]) -> (String, Vec<String>) {
    let mut entries: Vec<&str> = LOOPBACK.to_vec();
    let mut warnings = Vec::new();
    for entry in extra.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
        match granted.iter().find(|pattern| covers(entry, pattern)) {
            Some(pattern) => warnings.push(format!(
                "{entry:?} is left out of NO_PROXY: it covers {pattern}, which would be asked \
                 without its credential"
            )),
            None if entries.contains(&entry) => {}
            None => entries.push(entry),
        }
    }
    (entries.join(","), warnings)
}

/// Whether some client that honours an entry would take a host of the pattern directly.
///
/// Clients differ: some take `example.com` for that host alone, others for all below it too. The
/// wider reading counts.
fn covers(entry: &str, pattern: &HostPattern) -> bool {
    let entry = entry.to_ascii_lowercase();
    let without_port = match entry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => &*entry,
    };
    let domain = without_port.trim_start_matches("*.").trim_start_matches('.');
    if domain == "*" {
        return true;
    }
    let text = pattern.to_string();
    let host = text.split(':').next().unwrap_or_default();
    let host = host.strip_prefix("*.").unwrap_or(host);
    let is_below = |name: &str, of: &str| {
        name == of || name.strip_suffix(of).is_some_and(|front| front.ends_with('.'))
    };
    is_below(host, domain) || (text.starts_with("*.") && is_below(domain, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(extra: &[&str], granted: &[&str]) -> (String, usize) {
        let extra: Vec<_> = extra.iter().map(|&entry| entry.to_owned()).collect();
        let granted: Vec<_> = granted.iter().map(|host| host.parse().unwrap()).collect();
        let (value, warnings) = value(&extra, &granted);
        (value, warnings.len())
    }

    #[test]
    fn loopback_is_always_there_and_entries_once() {
        let (value, warnings) =
            value_of(&["localhost", " intranet.test ", "", "intranet.test"], &[]);
        assert_eq!((&*value, warnings), ("localhost,127.0.0.1,::1,intranet.test", 0));
    }

    #[test]
    fn what_covers_a_granted_host_is_dropped() {
        for entry in ["*", "github.com", ".github.com", "*.github.com", "api.github.com:443", "COM"]
        {
            let (value, warnings) = value_of(&[entry], &["api.github.com"]);
            assert_eq!((&*value, warnings), ("localhost,127.0.0.1,::1", 1), "{entry}");
        }
        assert_eq!(value_of(&["a.example.com"], &["*.example.com"]).1, 1);
        for entry in ["hub.com", "api.github.com.test", "10.0.0.0/8", "github.co"] {
            assert_eq!(value_of(&[entry], &["api.github.com"]).1, 0, "{entry}");
        }
    }
}
