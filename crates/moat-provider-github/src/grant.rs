//! Where a token comes from: the environment, gh, the person.

use moat_provider_core::{
    Answer, Credential, CredentialKey, Error, ErrorKind, GrantContext, GrantOption, GrantRequest,
    Result, Secret,
};
use time::Duration;

use crate::api::{self, Identity};
use crate::gh;
use crate::host::Instance;
use crate::token::TOKEN_KIND;

/// The entry of the metadata that names the account.
pub(crate) const LOGIN: &str = "login";
/// The entry of the metadata that names the GitHub.
pub(crate) const HOST: &str = "host";
/// The entry of the metadata that names the variable which held the token.
pub(crate) const VARIABLE: &str = "token_variable";

/// What stands in the metadata as the token's source.
pub(crate) const FROM_ENVIRONMENT: &str = "env";
pub(crate) const FROM_GH: &str = "cli";
pub(crate) const FROM_PERSON: &str = "prompt";

/// How long before its end an expiring token is worth a warning.
const SOON: Duration = Duration::days(7);

const SOURCE: &str = "source";

/// Returns the flags of a grant.
pub(crate) fn options() -> Vec<GrantOption> {
    vec![GrantOption::choice(
        SOURCE,
        ["auto", "env", "gh", "prompt"],
        "where the token comes from: the environment, gh's login or a prompt; auto tries them in this order",
    )]
}

/// A token, and where it was.
#[derive(Debug)]
struct Found {
    token: Secret,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Environment(&'static str),
    Gh,
    Person,
}

/// One grant on its way.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    cx: &'a GrantContext,
    key: &'a CredentialKey,
    instance: &'a Instance,
}

/// Acquires a token and asks GitHub whose it is.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let key = request.key();
    let instance = Instance::of(key)?;
    let attempt = Attempt { cx, key, instance: &instance };
    let (found, identity) = match request.option(SOURCE) {
        Some("env") => attempt.check(attempt.require_environment().await?).await?,
        Some("gh") => attempt.check(attempt.require_gh().await?).await?,
        Some("prompt") => attempt.check(attempt.ask().await?).await?,
        _ => attempt.search().await?,
    };
    attempt.tell_result(&identity).await;
    Ok(attempt.credential(found, identity))
}

impl Attempt<'_> {
    /// Looks where gh looks, in its order, and asks the person at last.
    async fn search(self) -> Result<(Found, Identity)> {
        if let Some(found) = self.look_into_environment().await? {
            return self.check(found).await;
        }
        if let Some(found) = self.look_into_gh().await? {
            let checked = self.check(found).await?;
            if self.agrees_to_gh(&checked.1).await? {
                return Ok(checked);
            }
        }
        self.check(self.ask().await?).await
    }

    async fn look_into_environment(self) -> Result<Option<Found>> {
        match self.environment().await {
            // An embedder that gives no environment has no token in it.
            Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
            found => found,
        }
    }

    async fn require_environment(self) -> Result<Found> {
        self.environment().await?.ok_or_else(|| {
            let [first, second] = self.instance.token_variables();
            Error::new(
                ErrorKind::CredentialNotFound,
                format!("neither {first} nor {second} is set"),
            )
            .with_hint(format!("export {first}, or choose another --{SOURCE}"))
        })
    }

    /// Takes the first variable that gh would take.
    async fn environment(self) -> Result<Option<Found>> {
        let variables = self.instance.token_variables();
        let Some((variable, token)) = self.cx.first_var(&variables)? else {
            return Ok(None);
        };
        check_form(&token, &format!("the value of {variable}"))?;
        self.tell(&format!("Using the token in {variable}.")).await;
        let source = Source::Environment(variable);
        Ok(Some(Found { token, source }))
    }

    async fn look_into_gh(self) -> Result<Option<Found>> {
        match gh::token(self.cx.host(), self.instance).await {
            Ok(Some(token)) => {
                check_form(&token, "what gh printed")?;
                let source = Source::Gh;
                Ok(Some(Found { token, source }))
            }
            Ok(None) => Ok(None),
            Err(error) if gh::is_absent(error.kind()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                self.tell("gh did not answer: is its keyring locked?").await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn require_gh(self) -> Result<Found> {
        let host = self.instance.name();
        match gh::token(self.cx.host(), self.instance).await {
            Ok(Some(token)) => {
                check_form(&token, "what gh printed")?;
                self.tell(&format!("Using gh's login at {host}.")).await;
                let source = Source::Gh;
                Ok(Found { token, source })
            }
            Ok(None) => {
                Err(Error::new(ErrorKind::CredentialNotFound, format!("gh has no login at {host}"))
                    .with_hint(format!("gh auth login --hostname {host}")))
            }
            Err(error) if error.kind() == ErrorKind::CommandNotFound => {
                Err(error.with_hint(format!("install gh, or choose another --{SOURCE}")))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks before a login that was made for gh is lent to a container.
    async fn agrees_to_gh(self, identity: &Identity) -> Result<bool> {
        let question = format!(
            "Use gh's login at {} ({})? The container will be able to do all that gh can.",
            self.instance.name(),
            describe(identity),
        );
        let terminal = self.cx.terminal();
        match terminal.confirm(&question, Answer::Yes).await {
            Ok(answer) => Ok(answer == Answer::Yes),
            Err(error) if is_unattended(error.kind()) => {
                let key = self.key;
                Err(Error::new(error.kind(), "nobody is there to agree to gh's login")
                    .with_hint(format!("moat grant {key} --{SOURCE} gh"))
                    .with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(self) -> Result<Found> {
        self.tell(&guidance(self.instance)).await;
        let token = match self.cx.terminal().ask_secret("Token").await {
            Ok(token) => token.trimmed(),
            Err(error) if is_unattended(error.kind()) => {
                let [variable, _] = self.instance.token_variables();
                let host = self.instance.name();
                return Err(Error::new(error.kind(), "nobody is there to give a token")
                    .with_hint(format!(
                        "export {variable}, or log in with gh auth login --hostname {host}"
                    ))
                    .with_source(error));
            }
            Err(error) => return Err(error),
        };
        if token.is_empty() {
            let key = self.key;
            return Err(Error::new(ErrorKind::CredentialNotFound, "no token was given")
                .with_hint(format!("moat grant {key}")));
        }
        check_form(&token, "the token")?;
        let source = Source::Person;
        Ok(Found { token, source })
    }

    async fn check(self, found: Found) -> Result<(Found, Identity)> {
        let identified = api::identify(self.cx.host(), self.instance, &found.token).await;
        let identity = identified.map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated => error.with_hint(self.way_out(found.source)),
            _ => error,
        })?;
        Ok((found, identity))
    }

    /// Says what to do about a token that GitHub does not accept.
    fn way_out(self, source: Source) -> String {
        let (key, host) = (self.key, self.instance.name());
        match source {
            Source::Environment(variable) => {
                format!("put a valid token into {variable}, or unset it")
            }
            Source::Gh => format!(
                "gh auth login --hostname {host}, or give another token: moat grant {key} --{SOURCE} prompt"
            ),
            Source::Person => format!(
                "make a new one: {}",
                self.instance.settings_url("personal-access-tokens/new")
            ),
        }
    }

    async fn tell_result(self, identity: &Identity) {
        let host = self.instance.name();
        let mut text = format!("{host}: {}.", describe(identity));
        if let Some(expiry) = identity.expires_at {
            let now = self.cx.host().clock().now();
            if expiry - now <= SOON {
                text.push_str(&format!(
                    "\nThe token expires on {}: grant a new one before that day.",
                    expiry.date()
                ));
            }
        }
        self.tell(&text).await;
    }

    /// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
    async fn tell(self, text: &str) {
        let _ = self.cx.terminal().tell(text).await;
    }

    fn credential(self, found: Found, identity: Identity) -> Credential {
        let (source, variable) = match found.source {
            Source::Environment(variable) => (FROM_ENVIRONMENT, Some(variable)),
            Source::Gh => (FROM_GH, None),
            Source::Person => (FROM_PERSON, None),
        };
        let now = self.cx.host().clock().now();
        let mut builder = Credential::builder(self.key.clone(), found.token, now)
            .scopes(identity.scopes)
            .expires_at(identity.expires_at)
            .metadata(Credential::TOKEN_SOURCE, source)
            .metadata(TOKEN_KIND, identity.kind.name())
            .metadata(HOST, self.instance.name());
        if let Some(variable) = variable {
            builder = builder.metadata(VARIABLE, variable);
        }
        if let Some(login) = identity.login {
            builder = builder.metadata(LOGIN, login);
        }
        builder.build()
    }
}

/// Refuses what cannot be a token, before a header or a vendor does.
#[expect(clippy::disallowed_methods, reason = "looks at each character and keeps none")]
pub(crate) fn check_form(token: &Secret, what: &str) -> Result<()> {
    if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "{what} is no token: it has white space, control characters or letters outside ASCII inside"
        ))
        .with_hint("copy the token alone, in one piece"))
    }
}

fn is_unattended(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotInteractive | ErrorKind::PortMissing)
}

fn describe(identity: &Identity) -> String {
    let mut text = match &identity.login {
        Some(login) => format!("{login}, {}", identity.kind.title()),
        None => identity.kind.title().to_owned(),
    };
    if !identity.scopes.is_empty() {
        text.push_str(&format!(", scopes {}", identity.scopes.join(" ")));
    }
    text
}

fn guidance(instance: &Instance) -> String {
    format!(
        "Make a fine-grained token for {}:\n  {}\nChoose an early expiry and only the repositories \
         that the agent needs. Contents and Pull requests, read and write, are enough for most work.",
        instance.name(),
        instance.settings_url("personal-access-tokens/new"),
    )
}
