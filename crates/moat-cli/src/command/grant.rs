//! `moat grant PROVIDER`.

use moat_provider_core::{
    CommandSpec, Credential, CredentialKey, Error, ErrorKind, GrantContext, GrantRequest, Secret,
};
use moat_store::Expect;
use serde_json::json;

use super::describe;
use super::given::{Given, Others};
use crate::app::App;
use crate::args::{GrantArgs, TokenFrom};
use crate::error::{CliError, Result};
use crate::output::line;

/// Variables that password managers need, beside those that every program gets.
///
/// Sources: 1Password CLI, "Environment variables"; Bitwarden CLI; `vault` and `pass`; gpg-agent
/// (`GPG_TTY`); the AWS CLI's `secretsmanager`; D-Bus for keyrings.
const INHERITED: &[&str] = &[
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "BW_SESSION",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "OP_ACCOUNT",
    "OP_CONNECT_HOST",
    "OP_CONNECT_TOKEN",
    "OP_SERVICE_ACCOUNT_TOKEN",
    "OP_SESSION",
    "PASSWORD_STORE_DIR",
    "SSH_AUTH_SOCK",
    "VAULT_ADDR",
    "VAULT_NAMESPACE",
    "VAULT_TOKEN",
    "WAYLAND_DISPLAY",
];

/// Acquires a credential, keeps it, and says so.
pub(super) async fn grant(app: &App<'_>, args: GrantArgs) -> Result<()> {
    let credential = acquire(app, args).await?;
    let (info, now) = (credential.info(), app.now());
    let text = format!("Granted {}{}.", info.key(), describe::until(info, now));
    app.output.result(&text, || json!({ "granted": describe::json(info, now) }))
}

/// Acquires a credential and keeps it.
pub(super) async fn acquire(app: &App<'_>, args: GrantArgs) -> Result<Credential> {
    let key = app.key(&args.grant)?;
    // Before the person types a token, not after: a store that cannot be had makes it pointless.
    if let Some(news) = app.system.unlock(&app.globals).await? {
        app.output.note(&format!("Note: {news}."));
    }
    let store = app.store()?;
    let provider = app.registry.require(args.grant.name())?;
    let Some(grants) = provider.as_credential() else {
        return Err(CliError::usage(format!("{key} has no grant of its own")));
    };
    let request = GrantRequest::with_options(key.clone(), grants.grant_options(), args.options)?;
    let credential = match token(app, args.token).await? {
        None => grants.grant(&context(app)?, &request).await?,
        Some(token) => {
            let given = Given::new(app, token, Others::Person)?;
            let granted = grants.grant(given.context(), &request).await;
            if !given.was_taken() {
                return Err(not_taken(&key, granted.err().map(|error| error.to_string())));
            }
            granted?
        }
    };
    keep(&key, &credential, &*store).await?;
    Ok(credential)
}

async fn keep(
    key: &CredentialKey,
    credential: &Credential,
    store: &dyn moat_store::CredentialStore,
) -> Result<()> {
    if credential.key() != key {
        let message = format!("the provider made the credential {} for {key}", credential.key());
        return Err(CliError::new(message).with_hint("report this to the provider's authors"));
    }
    store.save(credential, Expect::Anything).await?;
    Ok(())
}

/// Returns a token that the person gives, if so.
async fn token(app: &App<'_>, from: TokenFrom) -> Result<Option<Secret>> {
    match from {
        TokenFrom::Provider => Ok(None),
        TokenFrom::Stdin => app.system.secret_from_stdin().await.map(Some),
        TokenFrom::Command(words) => from_command(app, &words).await.map(Some),
    }
}

async fn from_command(app: &App<'_>, words: &[String]) -> Result<Secret> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CliError::usage("the command is empty"));
    };
    let command = CommandSpec::new(program).args(arguments).inherit(INHERITED.iter().copied());
    let output = app.system.commands().run(&command).await?;
    if !output.succeeded() {
        return Err(CliError::new(match output.code {
            Some(code) => format!("{} ended with code {code}", line(program)),
            None => format!("{} was ended by a signal", line(program)),
        })
        .with_hint(format!("try it alone: {}", shell_words::join(words))));
    }
    let token = output.stdout.trimmed();
    if token.is_empty() {
        return Err(CliError::new(format!("{} printed nothing", line(program)))
            .with_hint(format!("try it alone: {}", shell_words::join(words))));
    }
    Ok(token)
}

/// Makes the context in which the provider looks for itself.
fn context(app: &App<'_>) -> Result<GrantContext> {
    Ok(GrantContext::builder(app.host()?)
        .environment(app.system.environment())
        .terminal(app.system.terminal())
        .redirects(app.system.redirects())
        .build())
}

fn not_taken(key: &CredentialKey, cause: Option<String>) -> CliError {
    let message = format!("{} did not ask for a token, and cannot be given one", key.provider());
    let error = CliError::new(message).with_hint(format!("moat grant {key}"));
    match cause {
        Some(cause) => error.with_source(&Error::new(ErrorKind::Unsupported, cause)),
        None => error,
    }
}
