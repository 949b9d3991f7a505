//! Whose keys assume the role: those of the environment, kept with the credential, or those that a
//! profile has at the moment.

use moat_provider_core::{
    CommandSpec, Credential, CredentialKey, Error, ErrorKind, GrantContext, GrantRequest,
    HostContext, HostFile, Result, Secret, SecretName,
};
use serde_json::Value;
use std::time::Duration;

use crate::arn::RoleArn;
use crate::keys::Keys;
use crate::profile::{self, FileKind};
use crate::settings::PROFILE;
use crate::sigv4::sha256;

/// The entry of the metadata with the id of the environment's key.
pub(crate) const KEY_ID: &str = "access_key_id";
/// The token of the environment's keys, if they are temporary.
pub(crate) const SOURCE_TOKEN: SecretName = SecretName::from_static("source_session_token");

/// What stands in the metadata as the source.
pub(crate) const FROM_ENVIRONMENT: &str = "env";
pub(crate) const FROM_PROFILE: &str = "profile";

/// How long a program may take that yields keys.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings with which a profile gets its keys from somewhere else.
const ELSEWHERE: [&str; 7] = [
    "role_arn",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "web_identity_token_file",
    "login_session",
    "credential_source",
];

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The variables, as they were when the person granted.
    Environment(Keys),
    /// A profile, whenever a session is made.
    Profile(String),
}

impl Source {
    /// Decides where the keys of a grant come from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`] when the environment was asked for and has none.
    pub(crate) fn choose(cx: &GrantContext, request: &GrantRequest) -> Result<Self> {
        let named = request.option("aws-profile");
        match (request.option("source"), named) {
            (Some("env"), Some(_)) => Err(Error::invalid(
                "--source env and --aws-profile exclude each other",
            )
            .with_hint("leave one of them out")),
            (Some("env"), None) => environment(cx)?.map(Self::Environment).ok_or_else(|| {
                Error::new(ErrorKind::CredentialNotFound, "the environment holds no keys of AWS")
                    .with_hint("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --aws-profile")
            }),
            (_, Some(profile)) => Self::profile(profile),
            (Some("profile"), None) => Self::profile(&default_profile(cx)?),
            (_, None) => match environment(cx) {
                Ok(Some(keys)) => Ok(Self::Environment(keys)),
                Ok(None) => Self::profile(&default_profile(cx)?),
                Err(error) if error.kind() == ErrorKind::PortMissing => Self::profile("default"),
                Err(error) => Err(error),
            },
        }
    }

    fn profile(name: &str) -> Result<Self> {
        profile::check_name(name)?;
        Ok(Self::Profile(name.to_owned()))
    }

    /// Returns the source of a credential.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CredentialNotFound`] when a part of it is missing.
    pub(crate) fn of(credential: &Credential) -> Result<Self> {
        let info = credential.info();
        if info.metadata(Credential::TOKEN_SOURCE) != Some(FROM_ENVIRONMENT) {
            return Self::profile(info.metadata(PROFILE).unwrap_or("default"));
        }
        let id = info.metadata(KEY_ID).ok_or_else(|| {
            Error::new(ErrorKind::CredentialNotFound, "the id of the key is not stored")
                .with_hint(format!("grant it again: moat grant {}", info.key()))
        })?;
        Ok(Self::Environment(Keys {
            id: Secret::new(id.to_owned()),
            secret: credential.token().clone(),
            token: credential.secrets().get(&SOURCE_TOKEN).cloned(),
        }))
    }

    /// Returns the keys as they are now.
    ///
    /// # Errors
    ///
    /// Those of the ports, and [`ErrorKind::CredentialNotFound`] for a profile without keys.
    pub(crate) async fn keys(&self, cx: &HostContext) -> Result<Keys> {
        match self {
            Self::Environment(keys) => Ok(keys.clone()),
            Self::Profile(name) => Profile::read(cx, name).await?.keys(cx).await,
        }
    }

    /// Returns the region of a profile, if it names one.
    pub(crate) async fn region(&self, cx: &HostContext) -> Option<String> {
        match self {
            Self::Environment(_) => None,
            Self::Profile(name) => {
                let profile = Profile::read(cx, name).await.ok()?;
                profile.value("region").map(|region| text(&region).to_owned())
            }
        }
    }
}

/// Stands for the token of a credential that holds no secret, because its keys are a profile's: a
/// text that means nothing and occurs nowhere else.
pub(crate) fn no_token(key: &CredentialKey, role: &RoleArn) -> Secret {
    let digest = sha256(format!("moat: {key} holds no secret for {role}").as_bytes());
    Secret::new(format!("none-{digest}"))
}

/// Reads the variables. Half of a pair is no pair.
fn environment(cx: &GrantContext) -> Result<Option<Keys>> {
    let variable = |name| Ok::<_, Error>(cx.first_var(&[name])?.map(|(_, value)| value));
    let (Some(id), Some(secret)) =
        (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?)
    else {
        return Ok(None);
    };
    let keys = Keys { id, secret, token: variable("AWS_SESSION_TOKEN")? };
    check_form(&keys, "in the environment")?;
    Ok(Some(keys))
}

fn default_profile(cx: &GrantContext) -> Result<String> {
    let named = cx.first_var(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])?;
    Ok(named.map_or_else(|| "default".to_owned(), |(_, name)| text(&name).to_owned()))
}

/// Refuses what cannot be keys, before a header or AWS does.
fn check_form(keys: &Keys, whose: &str) -> Result<()> {
    let graphic = |secret: &Secret| text(secret).bytes().all(|byte| byte.is_ascii_graphic());
    let id = text(&keys.id);
    let fine = (16..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !keys.secret.is_empty()
        && graphic(&keys.secret)
        && keys.token.as_ref().is_none_or(graphic);
    match fine {
        true => Ok(()),
        false => Err(Error::invalid(format!("what is {whose} are no keys of AWS")).with_hint(
            "a key id has at least 16 letters and digits, and no part has white space inside",
        )),
    }
}

/// Says where the keys of a profile come from, without fetching them.
///
/// # Errors
///
/// Those of the ports, and [`ErrorKind::CredentialNotFound`] for a profile without keys.
pub(crate) async fn origin(cx: &HostContext, name: &str) -> Result<&'static str> {
    let profile = Profile::read(cx, name).await?;
    if ELSEWHERE.iter().any(|setting| profile.value(setting).is_some()) {
        return Ok("come through the AWS command");
    }
    if profile.value("aws_access_key_id").is_some() {
        return Ok("are written there");
    }
    match profile.value("credential_process") {
        Some(_) => Ok("come from its credential_process"),
        None => Err(profile.no_keys()),
    }
}

/// What both files say about one profile.
struct Profile {
    name: String,
    entries: Vec<(String, Secret)>,
}

impl Profile {
    async fn read(cx: &HostContext, name: &str) -> Result<Self> {
        let files = [
            (profile::credentials_file(), FileKind::Credentials),
            (profile::config_file(), FileKind::Config),
        ];
        let mut entries = Vec::new();
        for (file, kind) in files {
            if let Some(contents) = read(cx, &file).await? {
                let found = profile::entries(text(&contents), kind, name);
                let secret = |(name, value): (String, &str)| (name, Secret::new(value.to_owned()));
                entries.extend(found.into_iter().map(secret));
            }
        }
        Ok(Self { name: name.to_owned(), entries })
    }

    fn value(&self, name: &str) -> Option<Secret> {
        self.entries.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    async fn keys(&self, cx: &HostContext) -> Result<Keys> {
        if ELSEWHERE.iter().any(|setting| self.value(setting).is_some()) {
            return self.exported(cx).await;
        }
        if let (Some(id), Some(secret)) =
            (self.value("aws_access_key_id"), self.value("aws_secret_access_key"))
        {
            let keys = Keys { id, secret, token: self.value("aws_session_token") };
            check_form(&keys, &format!("in the profile {}", self.name))?;
            return Ok(keys);
        }
        if let Some(line) = self.value("credential_process") {
            return self.process(cx, &line).await;
        }
        Err(self.no_keys())
    }

    fn no_keys(&self) -> Error {
        let name = &self.name;
        Error::new(ErrorKind::CredentialNotFound, format!("the profile {name} has no keys"))
            .with_hint(format!("aws configure --profile {name}, or choose another --aws-profile"))
    }

    /// Has the AWS command do what it takes: IAM Identity Center, roles on top of other profiles,
    /// logins of a browser. It caches what it gets.
    async fn exported(&self, cx: &HostContext) -> Result<Keys> {
        let name = &self.name;
        let command = CommandSpec::new("aws")
            .args(["configure", "export-credentials", "--profile", name, "--format", "process"])
            .inherit(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
            .timeout(PATIENCE);
        let login = format!("aws sso login --profile {name}");
        self.run(cx, &command, &login).await.map_err(|error| match error.kind() {
            ErrorKind::CommandNotFound => {
                error.with_hint("install the AWS command: this profile's keys come through it")
            }
            _ => error,
        })
    }

    async fn process(&self, cx: &HostContext, line: &Secret) -> Result<Keys> {
        let name = &self.name;
        let words = profile::words(text(line)).ok_or_else(|| {
            Error::invalid(format!("the credential_process of the profile {name} is no command"))
                .with_hint("look at it in ~/.aws/config")
        })?;
        let (program, args) = words.split_first().ok_or_else(|| {
            Error::invalid(format!("the credential_process of the profile {name} is empty"))
        })?;
        let command = CommandSpec::new(program).args(args).timeout(PATIENCE);
        self.run(cx, &command, "run the credential_process of ~/.aws/config by hand").await
    }

    /// Runs a program that prints keys (AWS SDKs and Tools reference guide, "Process credential
    /// provider").
    async fn run(&self, cx: &HostContext, command: &CommandSpec, help: &str) -> Result<Keys> {
        let output = cx.commands().run(command).await.map_err(|error| {
            let hint = error.hint().unwrap_or(help).to_owned();
            error.with_hint(hint)
        })?;
        let name = &self.name;
        if !output.succeeded() {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                format!("the keys of the profile {name} are not to be had at the moment"),
            )
            .with_hint(help.to_owned()));
        }
        let keys = printed(&output.stdout).ok_or_else(|| {
            Error::new(
                ErrorKind::UnexpectedAnswer,
                format!("what {} printed for the profile {name} are no keys", command.program()),
            )
            .with_hint(help.to_owned())
        })?;
        check_form(&keys, &format!("printed for the profile {name}"))?;
        Ok(keys)
    }
}

fn printed(output: &Secret) -> Option<Keys> {
    let printed: Value = serde_json::from_str(text(output)).ok()?;
    let secret = |name: &str| Some(Secret::new(printed.get(name)?.as_str()?.to_owned()));
    Some(Keys {
        id: secret("AccessKeyId")?,
        secret: secret("SecretAccessKey")?,
        token: secret("SessionToken"),
    })
}

async fn read(cx: &HostContext, file: &HostFile) -> Result<Option<Secret>> {
    cx.files().read(file).await.map_err(|error| {
        let hint = format!("look at the permissions of {}", file.name());
        let hint = error.hint().map_or(hint, ToOwned::to_owned);
        error.with_hint(hint)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "names, regions and the form of keys are read here; keys leave as secrets again"
)]
fn text(secret: &Secret) -> &str {
    secret.expose()
}
