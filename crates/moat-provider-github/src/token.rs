//! The kinds of tokens that GitHub issues, told apart by their prefixes.

use moat_provider_core::{Alphabet, CredentialInfo, PlaceholderShape, Secret};

/// The entry of the metadata that names the kind of the token.
pub(crate) const TOKEN_KIND: &str = "token_kind";
/// The entry of the metadata that names the kind which the placeholder looks like. Absent while
/// that is the token's own: a refresh may bring a token of another kind, and the placeholder has
/// to stay as it is.
const PLACEHOLDER_KIND: &str = "placeholder_kind";

/// A kind of token.
///
/// Source: GitHub docs, "About authentication to GitHub", section "GitHub's token formats".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A personal access token (classic).
    Classic,
    /// A fine-grained personal access token.
    FineGrained,
    /// A token of an OAuth app, gh's own among them.
    OAuth,
    /// A token that a GitHub App has for a person.
    AppUser,
    /// A token that a GitHub App has for an installation; also the `GITHUB_TOKEN` of Actions.
    Installation,
    /// One without a known prefix, such as the 40 hex digits of older servers.
    Other,
}

impl TokenKind {
    const ALL: [Self; 6] = [
        Self::Classic,
        Self::FineGrained,
        Self::OAuth,
        Self::AppUser,
        Self::Installation,
        Self::Other,
    ];

    /// Tells the kind of a token.
    pub(crate) fn of(token: &Secret) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.prefix().is_some_and(|p| token.starts_with(p)))
            .unwrap_or(Self::Other)
    }

    /// Returns the kind that the metadata of a credential names.
    pub(crate) fn recorded(info: &CredentialInfo) -> Self {
        Self::named(info.metadata(TOKEN_KIND))
    }

    fn named(name: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|kind| Some(kind.name()) == name).unwrap_or(Self::Other)
    }

    /// Returns the name that stands in the metadata.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::FineGrained => "fine-grained",
            Self::OAuth => "oauth",
            Self::AppUser => "app-user",
            Self::Installation => "installation",
            Self::Other => "other",
        }
    }

    /// Returns what people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Classic => "personal access token (classic)",
            Self::FineGrained => "fine-grained personal access token",
            Self::OAuth => "OAuth token",
            Self::AppUser => "user token of a GitHub App",
            Self::Installation => "installation token of a GitHub App",
            Self::Other => "token",
        }
    }

    /// Returns the prefix that GitHub publishes for it.
    pub(crate) const fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Classic => Some("ghp_"),
            Self::FineGrained => Some("github_pat_"),
            Self::OAuth => Some("gho_"),
            Self::AppUser => Some("ghu_"),
            Self::Installation => Some("ghs_"),
            Self::Other => None,
        }
    }

    fn shape(self) -> PlaceholderShape {
        match self.prefix() {
            Some(prefix) if self == Self::FineGrained => {
                PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, 22)
                    .literal("_")
                    .random(Alphabet::Alphanumeric, 59)
            }
            Some(prefix) => PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, 36),
            None => PlaceholderShape::new().random(Alphabet::LowerHex, 40),
        }
    }
}

/// Returns what a credential's placeholder looks like: the kind of token that was granted.
///
/// gh looks at the prefix: behind `ghp_` and `gho_` it expects the scopes of classic tokens in the
/// `X-OAuth-Scopes` header, and `gh auth status` calls a token without them incomplete (gh 2.x,
/// `pkg/cmd/auth/status`). So the placeholder is of the kind of the token that it stands for.
pub(crate) fn placeholder_shape(info: &CredentialInfo) -> PlaceholderShape {
    placeholder_kind(info).shape()
}

fn placeholder_kind(info: &CredentialInfo) -> TokenKind {
    match info.metadata(PLACEHOLDER_KIND) {
        Some(name) => TokenKind::named(Some(name)),
        None => TokenKind::recorded(info),
    }
}

/// Returns the metadata of a token that takes the place of another.
pub(crate) fn renewed_metadata(
    info: &CredentialInfo,
    new: TokenKind,
) -> Vec<(&'static str, &'static str)> {
    let placeholder = placeholder_kind(info);
    let mut entries = vec![(TOKEN_KIND, new.name())];
    if placeholder != new {
        entries.push((PLACEHOLDER_KIND, placeholder.name()));
    }
    entries
}
