//! Connections that go elsewhere.

use std::borrow::Cow;
use std::str::FromStr;

use moat_provider_core::{Error, escape_line};

/// "Connections to this host and port go to that host and port instead": `HOST:PORT:ADDR:PORT`, as
/// curl's `--connect-to` has it. An empty first host or port stands for any, an empty second one
/// for the same. An IPv6 address stands in brackets.
///
/// TLS still expects the certificate of the first host.
///
/// ```
/// use moat_host::ConnectTo;
///
/// let rule: ConnectTo = "api.example.com:443:[::1]:8443".parse()?;
/// assert!("api.example.com:8443".parse::<ConnectTo>().is_err());
/// # Ok::<(), moat_provider_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    host: Option<String>,
    port: Option<u16>,
    to_host: Option<String>,
    to_port: Option<u16>,
}

impl ConnectTo {
    /// Returns where to connect, when the rule is about this host and port.
    pub(super) fn apply<'a>(&'a self, host: &'a str, port: u16) -> Option<(&'a str, u16)> {
        let applies = self.host.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(&bare(host)))
            && self.port.is_none_or(|own| own == port);
        applies.then(|| (self.to_host.as_deref().unwrap_or(host), self.to_port.unwrap_or(port)))
    }
}

impl FromStr for ConnectTo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::invalid(format!("{} is not HOST:PORT:ADDR:PORT", escape_line(text)))
                .with_hint("for example --connect-to api.example.com:443:127.0.0.1:8443")
        };
        let parts = split_outside_brackets(text);
        let [host, port, to_host, to_port] = parts[..] else { return Err(invalid()) };
        let name = |host: &str| match bare(host) {
            host if host.is_empty() => Ok(None),
            host if is_host(&host) => Ok(Some(host.into_owned())),
            _ => Err(invalid()),
        };
        let number = |port: &str| match port {
            "" => Ok(None),
            port => port.parse().map(Some).map_err(|_| invalid()),
        };
        Ok(Self {
            host: name(host)?,
            port: number(port)?,
            to_host: name(to_host)?,
            to_port: number(to_port)?,
        })
    }
}

/// Returns a host without brackets and the dot of an absolute name, in lower case.
fn bare(host: &str) -> Cow<'_, str> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    host.bytes().all(plain) && (!host.contains(':') || host.parse::<std::net::Ipv6Addr>().is_ok())
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|character| {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        character == ':' && !inside
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ConnectTo {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_is_about_one_host_and_port() {
        let rule = read("API.example.:443:[::1]:8443");
        assert_eq!(rule.apply("api.example", 443), Some(("::1", 8443)));
        assert_eq!(rule.apply("Api.Example.", 443), Some(("::1", 8443)));
        assert_eq!(rule.apply("api.example", 444), None);
        assert_eq!(rule.apply("b.api.example", 443), None);
        assert_eq!(read("[::2]:1:a:2").apply("[::2]", 1), Some(("a", 2)));
    }

    #[test]
    fn an_empty_part_is_any_or_the_same() {
        assert_eq!(read("::127.0.0.1:1").apply("any.example", 9), Some(("127.0.0.1", 1)));
        assert_eq!(read("a:1::2").apply("a", 1), Some(("a", 2)));
        assert_eq!(read("a::b:").apply("a", 7), Some(("b", 7)));
        assert_eq!(read(":::").apply("a", 7), Some(("a", 7)));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_an_example() {
        for odd in [
            "",
            "a:1:b",
            "a:x:b:1",
            "a:1:b:70000",
            "a:1:b:1:2",
            "a b:1:b:1",
            "a:1:[b:2",
            "a:1:[x:y]:2",
        ] {
            let error = odd.parse::<ConnectTo>().unwrap_err();
            assert_eq!(error.message(), format!("{odd} is not HOST:PORT:ADDR:PORT"));
            assert!(error.hint().is_some());
        }
    }
}
