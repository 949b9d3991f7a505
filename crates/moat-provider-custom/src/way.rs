//! Ways: how a service wants its secret.

use http::HeaderName;
use http::header::AUTHORIZATION;
use moat_provider_core::{Error, HeaderTemplate, Result};

use crate::options::{BASIC, BEARER, HEADER, QUERY};
use crate::text::shown;

/// Where the secret goes in the value of a header.
const GAP: &str = "{}";
/// The longest text before the secret in a header, user name and query key, in bytes.
const LONGEST: usize = 128;

/// Headers that frame or route a message, belong to one hop, or hold more than a credential.
///
/// A cookie header is among them: it would take the place of all cookies that a program has.
const REFUSED: [&str; 16] = [
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-host",
    "x-method-override",
    "x-original-host",
    "x-real-ip",
];
const REFUSED_PREFIXES: [&str; 8] = [
    "accept",
    "access-control-",
    "content-",
    "proxy-",
    "sec-",
    "x-forwarded-",
    "x-http-method",
    "x-original-url",
];

/// How a service wants its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Authorization: Bearer SECRET` (RFC 6750).
    Bearer,
    /// A header of the service's own: a text, then the secret.
    Header {
        /// The header.
        name: HeaderName,
        /// What stands before the secret; often nothing.
        before: String,
    },
    /// `Authorization: Basic` with the secret as the password (RFC 7617).
    Basic {
        /// The user name.
        user: String,
    },
    /// A key of the query.
    Query {
        /// The key.
        key: String,
    },
}

impl Way {
    /// Reads the one way that is given; Bearer is the default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput), with what to write
    /// instead. The value of a header is not shown: people write the secret itself there.
    pub(crate) fn read<'v>(get: impl Fn(&str) -> Option<&'v str>) -> Result<Self> {
        let given: Vec<_> = [BEARER, HEADER, BASIC, QUERY]
            .into_iter()
            .filter_map(|option| Some((option, get(option)?)))
            .collect();
        match given.as_slice() {
            [] | [(BEARER, _)] => Ok(Self::Bearer),
            [(HEADER, text)] => header(text),
            [(BASIC, user)] => basic(user),
            [(_, key)] => query(key),
            [(first, _), (second, _), ..] => Err(Error::invalid(format!(
                "--{first} and --{second} are two ways to send a secret"
            ))
            .with_hint("choose one; a second way is a grant of its own, under another name")),
        }
    }

    /// Returns the option that says this, and its value.
    pub(crate) fn option(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Bearer => (BEARER, None),
            Self::Header { name, before } => (HEADER, Some(format!("{name}: {before}{GAP}"))),
            Self::Basic { user } => (BASIC, Some(user.clone())),
            Self::Query { key } => (QUERY, Some(key.clone())),
        }
    }

    /// Returns the header that is filled, and how; `None` for the query.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderTemplate)> {
        match self {
            Self::Bearer => Some((AUTHORIZATION, HeaderTemplate::Bearer)),
            Self::Header { name, before } if before.is_empty() => {
                Some((name.clone(), HeaderTemplate::Raw))
            }
            Self::Header { name, before } => {
                Some((name.clone(), HeaderTemplate::Prefix(before.clone().into())))
            }
            Self::Basic { user } => {
                Some((AUTHORIZATION, HeaderTemplate::Basic { user: user.clone().into() }))
            }
            Self::Query { .. } => None,
        }
    }

    /// Returns what sticks to the secret behind the scheme word: `token=` of `Token token={}`.
    ///
    /// Proxies recognize a placeholder as a whole value, or as all that follows one scheme word.
    pub(crate) fn affix(&self) -> &str {
        let Self::Header { before, .. } = self else {
            return "";
        };
        match before.split_once(' ') {
            Some((scheme, rest)) if is_token(scheme) => rest.trim_start(),
            _ => before,
        }
    }

    /// Whether the secret may hold more than visible ASCII: it is sent encoded.
    pub(crate) fn is_encoded(&self) -> bool {
        matches!(self, Self::Basic { .. } | Self::Query { .. })
    }

    /// Shows a request with the secret in it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Bearer => "Authorization: Bearer SECRET".to_owned(),
            Self::Header { name, before } => format!("{name}: {before}SECRET"),
            Self::Basic { user } => format!("the password of {}", shown(user)),
            Self::Query { key } => format!("?{key}=SECRET"),
        }
    }
}

fn header(text: &str) -> Result<Way> {
    const EXAMPLE: &str =
        "write it as in --header 'X-Api-Key: {}' or --header 'Authorization: Token {}'";
    let Some((name, value)) = text.split_once(':') else {
        return Err(
            Error::invalid("--header has no colon behind the header's name").with_hint(EXAMPLE)
        );
    };
    let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else {
        return Err(Error::invalid("what stands before the colon of --header is no header's name")
            .with_hint(EXAMPLE));
    };
    check_header(&name)?;
    let value = value.trim();
    let Some((before, after)) = value.split_once(GAP) else {
        return Err(Error::invalid(format!("--header has no {GAP} where the secret goes")).with_hint(
            format!("write --header '{name}: {GAP}': the secret itself is asked for later, and never stands in a command"),
        ));
    };
    if after.contains(GAP) {
        return Err(Error::invalid(format!("--header has {GAP} more than once")).with_hint(EXAMPLE));
    }
    if !after.is_empty() {
        // Rails and others take `token=x` for `token="x"` (RFC 9110, section 11.2, allows both).
        return Err(Error::invalid(format!("--header has text behind {GAP}")).with_hint(format!(
            "end the value with {GAP}, also where quotation marks would stand around it: --header \
             'Authorization: Token token={GAP}'"
        )));
    }
    if before.len() > LONGEST || !before.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(Error::invalid(format!(
            "what stands before {GAP} of --header is longer than {LONGEST} characters or not ASCII"
        ))
        .with_hint(EXAMPLE));
    }
    Ok(Way::Header { name, before: before.to_owned() })
}

fn check_header(name: &HeaderName) -> Result<()> {
    // Servers behind a gateway read `_` as `-`.
    let folded = name.as_str().replace('_', "-");
    let refused = REFUSED.contains(&folded.as_str())
        || REFUSED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix));
    if !refused {
        return Ok(());
    }
    let hint = match folded.as_str() {
        "cookie" | "set-cookie" => {
            "a cookie header is the program's own: make a token for the service's API, and send it with --bearer or --header"
        }
        _ => {
            "see the service's documentation for the header that authenticates, such as --header 'X-Api-Key: {}'"
        }
    };
    Err(Error::invalid(format!("the header {name} never carries a secret of a service"))
        .with_hint(hint))
}

fn basic(user: &str) -> Result<Way> {
    if user.contains(':') {
        return Err(Error::invalid("the user name of --basic has a colon").with_hint(
            "write the user name alone, as in --basic USER: the password is asked for later",
        ));
    }
    if user.is_empty() || user.len() > LONGEST || user.contains(char::is_control) {
        return Err(Error::invalid(format!(
            "the user name of --basic is empty, longer than {LONGEST} bytes or has control \
             characters"
        ))
        .with_hint("write the user name alone, as in --basic USER"));
    }
    Ok(Way::Basic { user: user.to_owned() })
}

fn query(key: &str) -> Result<Way> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]$".contains(&byte);
    if (1..=LONGEST).contains(&key.len()) && key.bytes().all(allowed) {
        return Ok(Way::Query { key: key.to_owned() });
    }
    Err(Error::invalid("--query takes the name of one key, of letters, digits and . _ - [ ] $")
        .with_hint("write the key alone, as in --query api_key: the secret is asked for later"))
}

/// Whether a text is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(option: &'static str, value: &str) -> Result<Way> {
        let value = value.to_owned();
        Way::read(|name| (name == option).then_some(value.as_str()))
    }

    #[test]
    fn headers_are_a_text_and_the_secret() {
        for (text, title, affix) in [
            ("X-Api-Key: {}", "x-api-key: SECRET", ""),
            ("x-api-key:{}", "x-api-key: SECRET", ""),
            ("Authorization: Token {}", "authorization: Token SECRET", ""),
            ("Authorization: Token  {}", "authorization: Token  SECRET", ""),
            ("Authorization: Token token={}", "authorization: Token token=SECRET", "token="),
            ("X-Auth: key={}", "x-auth: key=SECRET", "key="),
            ("X-Auth: a=1, key={}", "x-auth: a=1, key=SECRET", "a=1, key="),
            ("X_Api_Key: {}", "x_api_key: SECRET", ""),
        ] {
            let way = read(HEADER, text).unwrap();
            assert_eq!(way.title(), title, "{text}");
            assert_eq!(way.affix(), affix, "{text}");
            let (_, again) = way.option();
            assert_eq!(read(HEADER, &again.unwrap()).unwrap(), way, "{text} reads back");
        }
    }

    #[test]
    fn a_value_that_may_be_the_secret_is_not_repeated() {
        for (option, value) in [
            (HEADER, "X-Api-Key: hunter2"),
            (HEADER, "hunter2"),
            (HEADER, "X-Api-Key: {}hunter2"),
            (HEADER, "X-Api-Key: hunter2 {} {}"),
            (HEADER, "hunter2 x: {}"),
            (HEADER, "X-Api-Key: hunter2\u{7}{}"),
            (BASIC, "me:hunter2"),
            (BASIC, "hunter2\n"),
            (QUERY, "key=hunter2"),
        ] {
            let error = read(option, value).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_header_of_the_transport_is_refused() {
        for name in [
            "Host",
            "Connection",
            "Cookie",
            "Content-Length",
            "content_length",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "Proxy_Authorization",
            "Sec-WebSocket-Protocol",
            "X-Forwarded-For",
            "X-HTTP-Method-Override",
            "Accept-Encoding",
            "TE",
        ] {
            assert!(read(HEADER, &format!("{name}: {{}}")).is_err(), "{name}");
        }
    }

    #[test]
    fn there_is_one_way() {
        assert_eq!(Way::read(|_| None).unwrap(), Way::Bearer);
        let error = Way::read(|name| [BASIC, QUERY].contains(&name).then_some("x")).unwrap_err();
        assert!(error.message().contains("--basic and --query"), "{error}");
    }
}
