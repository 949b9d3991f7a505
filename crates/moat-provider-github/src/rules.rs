//! Where the token goes on the wire.

use http::Method;
use http::header::AUTHORIZATION;
use moat_provider_core::{
    CredentialInfo, CredentialRule, HeaderTemplate, Placeholder, ProxyConfigurer, Result,
    RunContext, SecretName, SecretRef, Target,
};

use crate::host::{Instance, InstanceKind};
use crate::token::placeholder_shape;

/// The user name that goes with a token in Basic credentials. GitHub looks at the password alone,
/// and this is the name that its own documentation and Actions use for every kind of token.
pub(crate) const GIT_USER: &str = "x-access-token";

/// Where github.com sends clients of API, git and LFS that needs no token: files of releases and
/// archives, LFS objects and their verification, logs of Actions. Its redirects are signed.
///
/// Source: `domains` of `GET /meta`, and Git LFS's batch answers.
const DOT_COM_REACH: [&str; 12] = [
    "github.com",
    "gist.github.com",
    "codeload.github.com",
    "lfs.github.com",
    "gist.githubusercontent.com",
    "github-cloud.githubusercontent.com",
    "github-cloud.s3.amazonaws.com",
    "media.githubusercontent.com",
    "objects.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "pipelines.actions.githubusercontent.com",
    "results-receiver.actions.githubusercontent.com",
];

/// Services that a server with subdomain isolation has under names of their own.
const SERVER_SERVICES: [&str; 3] = ["codeload", "media", "raw"];

/// Returns the placeholder of a grant.
pub(crate) fn placeholder(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    run.placeholder(info.key(), SecretName::TOKEN.as_str(), &placeholder_shape(info))
}

/// States the rules of one grant.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let instance = Instance::of(info.key())?;
    let mut rules =
        Rules { proxy, secret: SecretRef::token(info.key()), placeholder: placeholder(info, run)? };
    match instance.kind() {
        InstanceKind::DotCom => {
            rules.bearer(Target::host(&instance.api_host())?);
            rules.bearer(Target::host(&instance.service("uploads"))?);
            rules.bearer(Target::host("raw.githubusercontent.com")?);
            rules.repositories(instance.name())?;
            rules.gists(&instance.service("gist"))?;
            rules.reach(DOT_COM_REACH)
        }
        InstanceKind::Tenant => {
            rules.bearer(Target::host(&instance.api_host())?);
            rules.bearer(Target::host(&instance.service("uploads"))?);
            rules.repositories(instance.name())?;
            rules.gists(&instance.service("gist"))?;
            rules.reach([instance.name(), &instance.service("*")])
        }
        InstanceKind::Server => {
            // Stated before git, which reads `/api/v3/info/refs` as one of its own paths.
            rules.bearer(instance.rest_target("")?);
            rules.bearer(instance.graphql_target()?);
            rules.bearer(Target::host(instance.name())?.under("/api/uploads")?);
            rules.repositories(instance.name())?;
            rules.gists(&instance.service("gist"))?;
            let services = SERVER_SERVICES.map(|label| instance.service(label));
            rules.reach([instance.name(), &instance.service("gist")])?;
            rules.reach(services.iter().map(String::as_str))
        }
    }
}

struct Rules<'a> {
    proxy: &'a mut dyn ProxyConfigurer,
    secret: SecretRef,
    placeholder: Placeholder,
}

impl Rules<'_> {
    fn bearer(&mut self, target: Target) {
        self.credential(target, HeaderTemplate::Bearer);
    }

    /// Git and LFS of repositories: `/OWNER/NAME`.
    ///
    /// Source: Git LFS API, `docs/api/server-discovery.md`.
    fn repositories(&mut self, host: &str) -> Result<()> {
        self.git(host, "/*/*")?;
        self.basic(Target::host(host)?.under("/*/*/info/lfs")?);
        Ok(())
    }

    /// Git of gists: `/GIST` and `/OWNER/GIST`.
    fn gists(&mut self, host: &str) -> Result<()> {
        self.git(host, "/*")?;
        self.git(host, "/*/*")
    }

    /// Git over HTTPS. GitHub's git answers a Bearer token with 401, and the other pages of the
    /// host know no token at all.
    ///
    /// Source: gitprotocol-http(5), the smart protocol.
    fn git(&mut self, host: &str, repository: &str) -> Result<()> {
        let requests = [
            ("/info/refs", Method::GET),
            ("/git-upload-pack", Method::POST),
            ("/git-receive-pack", Method::POST),
        ];
        for (path, method) in requests {
            let target = Target::host(host)?.exact(&format!("{repository}{path}"))?;
            self.basic(target.methods([method])?);
        }
        Ok(())
    }

    fn basic(&mut self, target: Target) {
        let template = HeaderTemplate::Basic { user: GIT_USER.into() };
        self.credential(target, template);
    }

    /// Fills an empty header too: git sends none before it was refused, and then asks a helper.
    fn credential(&mut self, target: Target, template: HeaderTemplate) {
        let rule = CredentialRule::new(target, AUTHORIZATION, template, self.secret.clone())
            .placeholder(self.placeholder.clone());
        self.proxy.credential(rule);
    }

    fn reach<'h>(&mut self, hosts: impl IntoIterator<Item = &'h str>) -> Result<()> {
        for host in hosts {
            self.proxy.reach(Target::host(host)?);
        }
        Ok(())
    }
}
