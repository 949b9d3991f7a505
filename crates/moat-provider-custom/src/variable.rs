//! Variables: which of the container's may hold a placeholder.

use moat_provider_core::{EnvVar, Error, Result};

use crate::text::shown;

/// Variables that decide what is loaded and run, where requests go, and whose certificates count.
const REFUSED: [&str; 33] = [
    "AWS_CA_BUNDLE",
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "COLORTERM",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "ENV",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_PAGER",
    "HOME",
    "HOSTNAME",
    "IFS",
    "JDK_JAVA_OPTIONS",
    "LANG",
    "LOGNAME",
    "OLDPWD",
    "OPENSSL_CONF",
    "PATH",
    "PIP_CERT",
    "PROMPT_COMMAND",
    "PWD",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "_JAVA_OPTIONS",
];
const REFUSED_PREFIXES: [&str; 20] = [
    "CARGO_HTTP_",
    "DYLD_",
    "GIT_CONFIG",
    "GIT_SSH",
    "GIT_SSL_",
    "JAVA_TOOL_",
    "LC_",
    "LD_",
    "MOAT_",
    "NODE_EXTRA_CA_",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_TLS_",
    "PERL5",
    "PYTHON",
    "RUBYLIB",
    "RUBYOPT",
    "SSL_CERT_",
    "XDG_",
    "__",
];
const REFUSED_SUFFIX: &str = "_PROXY";

/// Checks the name of a variable of the container.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when it is none, or one
/// of the host's.
pub(crate) fn check(name: &str) -> Result<()> {
    let example = "name the variable in which the program looks for its secret, such as --env OPENROUTER_API_KEY";
    if name.len() > 128 || EnvVar::new(name, "").is_err() {
        let message = format!("{} is not the name of a variable", shown(name));
        return Err(Error::invalid(message).with_hint(example));
    }
    let upper = name.to_ascii_uppercase();
    let is_hosts = REFUSED.contains(&upper.as_str())
        || REFUSED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || upper.ends_with(REFUSED_SUFFIX);
    if is_hosts {
        return Err(
            Error::invalid(format!("{name} is a variable of the host's")).with_hint(example)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_the_programs_own() {
        for name in ["OPENROUTER_API_KEY", "HF_TOKEN", "token", "GITLAB_TOKEN", "NODE_AUTH_TOKEN"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "1X",
            "A-B",
            "A B",
            "PATH",
            "path",
            "LD_PRELOAD",
            "https_proxy",
            "NO_PROXY",
            "MOAT_X",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "SSL_CERT_FILE",
            "HOME",
            "GIT_SSH_COMMAND",
            "JAVA_TOOL_OPTIONS",
            "BASH_ENV",
            "A\u{1b}",
        ] {
            let error = check(name).unwrap_err();
            assert!(error.hint().is_some(), "{name}");
            assert!(!error.to_string().contains(char::is_control));
        }
    }
}
