//! Where a secret comes from: a variable, or the person.

use moat_provider_core::{
    Credential, CredentialKey, EnvVar, Error, ErrorKind, Fill, GrantContext, GrantRequest, Result,
    Secret,
};

use crate::name;
use crate::options::{FROM_ENV, TEST_PATH};
use crate::probe::Probe;
use crate::service::Service;
use crate::text::word;
use crate::way::Way;

/// The entry of the metadata that names the variable which held the secret.
const VARIABLE: &str = "token_variable";

const FROM_ENVIRONMENT: &str = "env";
const FROM_PERSON: &str = "prompt";

/// The length in bytes from which on answers are scrubbed of a secret. A shorter one could be
/// guessed, and would be found in ordinary text.
const SHORTEST: usize = 8;
/// The longest secret of which answers are scrubbed, in bytes.
const LONGEST: usize = 8 * 1024;

/// A secret, and the variable that it was in.
#[derive(Debug)]
struct Found {
    secret: Secret,
    variable: Option<String>,
}

/// One grant on its way.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    cx: &'a GrantContext,
    key: &'a CredentialKey,
    name: &'a str,
    service: &'a Service,
    request: &'a GrantRequest,
}

/// Acquires the secret of a service.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let key = request.key();
    let name = name::of(key)?;
    let service = Service::read(key, |option| request.option(option))?;
    let probe = request.option(TEST_PATH).map(|path| Probe::new(&service, path)).transpose()?;
    let attempt = Attempt { cx, key, name, service: &service, request };
    let found = match request.option(FROM_ENV) {
        Some(variable) => attempt.require_variable(variable)?,
        None => match attempt.look_into_environment()? {
            Some(found) => found,
            None => attempt.ask().await?,
        },
    };
    attempt.check_form(&found)?;
    if let Some(probe) = probe {
        probe.send(cx.host(), &service, &found.secret, &attempt.command()).await?;
    }
    attempt.tell(&attempt.result(&found)).await;
    Ok(attempt.credential(found))
}

impl Attempt<'_> {
    /// Returns the command that grants the same again.
    fn command(self) -> String {
        let mut command = self.service.command(self.key);
        for option in [FROM_ENV, TEST_PATH] {
            if let Some(value) = self.request.option(option) {
                command.push_str(&format!(" --{option} {}", word(value)));
            }
        }
        command
    }

    fn require_variable(self, variable: &str) -> Result<Found> {
        if EnvVar::new(variable, "").is_err() {
            // Whoever mistakes the option for one that takes the secret does not see it repeated.
            return Err(Error::invalid(format!("--{FROM_ENV} takes the name of a variable"))
                .with_hint(format!(
                    "{} --{FROM_ENV} {}",
                    self.service.command(self.key),
                    name::variable(self.name)
                )));
        }
        self.variable(variable)?.ok_or_else(|| {
            // Tokens in lower case can be names of variables.
            let is_token = variable.bytes().any(|byte| byte.is_ascii_lowercase());
            let shown = if is_token { "that variable" } else { variable };
            Error::new(ErrorKind::CredentialNotFound, format!("{shown} is not set")).with_hint(
                format!(
                    "export {shown}, or be asked for the secret: {}",
                    self.service.command(self.key)
                ),
            )
        })
    }

    fn look_into_environment(self) -> Result<Option<Found>> {
        match self.variable(&name::variable(self.name)) {
            // An embedder that gives no environment has no secret in it.
            Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
            found => found,
        }
    }

    fn variable(self, variable: &str) -> Result<Option<Found>> {
        let found = self.cx.first_var(&[variable])?;
        let variable = Some(variable.to_owned());
        Ok(found.map(|(_, secret)| Found { secret, variable }))
    }

    async fn ask(self) -> Result<Found> {
        let guidance = format!(
            "The secret of {} goes to {} as {}.",
            self.name,
            self.service.where_to(),
            self.service.way().title()
        );
        self.tell(&guidance).await;
        let secret = match self.cx.terminal().ask_secret(&format!("Secret of {}", self.name)).await
        {
            Ok(secret) => secret.trimmed(),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotInteractive | ErrorKind::PortMissing) =>
            {
                return Err(Error::new(error.kind(), "nobody is there to give the secret")
                    .with_hint(format!(
                        "export {}, then: {}",
                        name::variable(self.name),
                        self.command()
                    ))
                    .with_source(error));
            }
            Err(error) => return Err(error),
        };
        if secret.is_empty() {
            return Err(Error::new(ErrorKind::CredentialNotFound, "no secret was given")
                .with_hint(self.command()));
        }
        Ok(Found { secret, variable: None })
    }

    /// Refuses what cannot be sent or protected.
    #[expect(clippy::disallowed_methods, reason = "looks at each character and keeps none")]
    fn check_form(self, found: &Found) -> Result<()> {
        let what = match &found.variable {
            Some(variable) => format!("the value of {variable}"),
            None => "the secret".to_owned(),
        };
        let again = || match &found.variable {
            Some(variable) => format!("export {variable} anew, then: {}", self.command()),
            None => self.command(),
        };
        let text = found.secret.expose();
        if text.contains(char::is_control) {
            return Err(Error::invalid(format!(
                "{what} has a line break or another control character inside"
            ))
            .with_hint(format!("give one line: {}", again())));
        }
        if !self.service.way().is_encoded() && !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "{what} has white space or letters outside ASCII inside, which a header cannot carry"
            ))
            .with_hint(format!(
                "give the secret alone, without a word such as Bearer before it: {}",
                again()
            )));
        }
        let prefix = self.service.prefix();
        let own = text.strip_prefix(prefix).unwrap_or(text);
        if own.len() < SHORTEST {
            return Err(Error::invalid(format!(
                "{what} has less than {SHORTEST} characters of its own: so short a text is \
                 guessed, and not kept out of answers"
            ))
            .with_hint(format!("make a longer one at the service, then: {}", again())));
        }
        if self.service.mentions(text) {
            return Err(Error::invalid(format!("{what} stands in an option as well")).with_hint(
                "options are kept in shell histories and shown in listings: make another secret at \
                 the service, and give it only when it is asked for",
            ));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid(format!("{what} is longer than {LONGEST} bytes"))
                .with_hint(format!(
                    "give a token or key of the service, not a file: {}",
                    again()
                )));
        }
        Ok(())
    }

    /// Says what was granted, and what it means.
    fn result(self, found: &Found) -> String {
        let Self { key, service, .. } = self;
        let mut text = String::new();
        if let Some(variable) = &found.variable {
            text.push_str(&format!("Using the secret in {variable}.\n"));
        }
        let (places, title) = (service.where_to(), service.way().title());
        text.push_str(&format!("{key}: the secret goes to {places} as {title}."));
        for place in service.places().iter().filter(|place| place.host().is_wildcard()) {
            let host = place.host().host();
            let domain = host.trim_start_matches("*.");
            text.push_str(&format!("\nWhoever has a host below {domain} can receive the secret."));
        }
        match (service.variables(), service.fill()) {
            ([], _) => text.push_str(
                "\nRequests without a credential get it. A program that wants one of its own needs \
                 --env VARIABLE.",
            ),
            (variables, Fill::PlaceholderOnly) => text.push_str(&format!(
                "\nRequests that carry the placeholder in {} get it, no others.",
                variables.join(", ")
            )),
            (variables, Fill::EmptyOrPlaceholder) => text.push_str(&format!(
                "\nRequests get it that carry the placeholder in {}, or no credential.",
                variables.join(", ")
            )),
        }
        if let (Way::Header { name, before }, false) =
            (service.way(), service.way().affix().is_empty())
        {
            text.push_str(&format!(
                "\nA program that sends the header itself has to write it as {name}: \
                 {before}PLACEHOLDER."
            ));
        }
        text
    }

    /// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
    async fn tell(self, text: &str) {
        let _ = self.cx.terminal().tell(text).await;
    }

    fn credential(self, found: Found) -> Credential {
        let now = self.cx.host().clock().now();
        let source = if found.variable.is_some() { FROM_ENVIRONMENT } else { FROM_PERSON };
        let mut builder = Credential::builder(self.key.clone(), found.secret, now)
            .metadata(Credential::TOKEN_SOURCE, source);
        for (entry, value) in self.service.metadata() {
            builder = builder.metadata(entry, value);
        }
        if let Some(variable) = found.variable {
            builder = builder.metadata(VARIABLE, variable);
        }
        builder.build()
    }
}
