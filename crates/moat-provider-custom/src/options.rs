//! The options of a grant.

use moat_provider_core::GrantOption;

pub(crate) const HOST: &str = "host";
pub(crate) const PATH: &str = "path";
pub(crate) const BEARER: &str = "bearer";
pub(crate) const HEADER: &str = "header";
pub(crate) const BASIC: &str = "basic";
pub(crate) const QUERY: &str = "query";
pub(crate) const ENV: &str = "env";
pub(crate) const PREFIX: &str = "placeholder-prefix";
pub(crate) const ONLY_PLACEHOLDER: &str = "only-placeholder";
pub(crate) const FROM_ENV: &str = "from-env";
pub(crate) const TEST_PATH: &str = "test-path";

/// The flags of `moat grant custom:NAME`.
///
/// None is mandatory for whoever checks flags alone: the error of the grant says more.
pub(crate) static OPTIONS: [GrantOption; 11] = [
    GrantOption::text(
        HOST,
        "HOSTS",
        "hosts that get the secret, with commas between: HOST, HOST:PORT, *.DOMAIN or a URL; needed",
    ),
    GrantOption::text(PATH, "PATHS", "only these paths and all below them, with commas between"),
    GrantOption::switch(BEARER, "send the secret as Authorization: Bearer, which is the default"),
    GrantOption::text(
        HEADER,
        "HEADER",
        "send it in a header, with {} where the secret goes: 'X-Api-Key: {}'",
    ),
    GrantOption::text(BASIC, "USER", "send it as the password of this user"),
    GrantOption::text(QUERY, "KEY", "send it under this key of the query; needs --env"),
    GrantOption::text(
        ENV,
        "VARIABLES",
        "variables of the container that hold the placeholder, with commas between",
    ),
    GrantOption::text(
        PREFIX,
        "PREFIX",
        "what the placeholder begins with, for programs that look at it: sk-; moat_ without this",
    ),
    GrantOption::switch(
        ONLY_PLACEHOLDER,
        "fill only requests that carry the placeholder, not those without a credential; needs --env",
    ),
    GrantOption::text(
        FROM_ENV,
        "VARIABLE",
        "take the secret from this variable; MOAT_CUSTOM_NAME or a prompt without this",
    ),
    GrantOption::text(
        TEST_PATH,
        "PATH",
        "try the secret with a GET of this path at the first host, which has to succeed",
    ),
];
