//! The environment of this process.

use moat_provider_core::{Environment, Error, Result, Secret};

/// The environment that this process was started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the environment port")]
    fn var(&self, name: &str) -> Result<Option<Secret>> {
        let Some(value) = std::env::var_os(name) else { return Ok(None) };
        // The bytes of a value that is no text are wiped there; they are not shown.
        Secret::from_utf8(value.into_encoded_bytes()).map(Some).map_err(|_| {
            Error::invalid(format!("the value of the variable {name} is not UTF-8 text"))
                .with_hint(format!("unset {name}, or set it to text in UTF-8"))
        })
    }
}

/// Reads a variable that is no secret; `None` when it is not set, or empty.
#[expect(clippy::disallowed_methods, reason = "the name of a directory, a locale or a display")]
pub(crate) fn plain(environment: &dyn Environment, name: &str) -> Result<Option<String>> {
    let value = environment.var(name)?.map(|value| value.expose().to_owned());
    Ok(value.filter(|value| !value.is_empty()))
}
