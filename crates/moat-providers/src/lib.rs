#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "aws")]
pub use moat_provider_aws as aws;
#[cfg(feature = "claude")]
pub use moat_provider_claude as claude;
#[cfg(feature = "codex")]
pub use moat_provider_codex as codex;
#[cfg(feature = "copilot")]
pub use moat_provider_copilot as copilot;
pub use moat_provider_core as core;
#[cfg(feature = "custom")]
pub use moat_provider_custom as custom;
#[cfg(feature = "gemini")]
pub use moat_provider_gemini as gemini;
#[cfg(feature = "github")]
pub use moat_provider_github as github;
#[cfg(feature = "opencode")]
pub use moat_provider_opencode as opencode;
#[cfg(feature = "pi")]
pub use moat_provider_pi as pi;

use moat_provider_core::{RegistryBuilder, Result};

/// Returns a registry builder with every provider whose feature is enabled, and their aliases.
///
/// Add your own providers and [`build`](RegistryBuilder::build) it.
///
/// # Errors
///
/// None in practice: the names are distinct, which a test of every feature checks.
pub fn builtin() -> Result<RegistryBuilder> {
    #[allow(unused_mut, reason = "without a feature nothing is registered")]
    let mut registry = RegistryBuilder::default();
    #[cfg(feature = "aws")]
    registry.register(aws::Aws::new())?;
    #[cfg(feature = "claude")]
    {
        registry.register(claude::Claude::default())?;
        registry.register(claude::Anthropic::default())?;
    }
    #[cfg(feature = "codex")]
    {
        registry.register(codex::Codex::default())?;
        registry.register(codex::OpenAi::default())?;
    }
    #[cfg(feature = "copilot")]
    registry.register(copilot::Copilot::default())?;
    #[cfg(feature = "custom")]
    registry.register(custom::Custom::new())?;
    #[cfg(feature = "gemini")]
    {
        registry.register(gemini::Gemini::default())?;
        registry.register_alias("google", "gemini")?;
    }
    #[cfg(feature = "github")]
    registry.register(github::GitHub::default())?;
    #[cfg(feature = "opencode")]
    registry.register(opencode::OpenCode::default())?;
    #[cfg(feature = "pi")]
    registry.register(pi::Pi::default())?;
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MANIFEST: &str = include_str!("../Cargo.toml");
    const README: &str = include_str!("../README.md");
    const SETS_AND_EXTRAS: [&str; 4] = ["default", "full", "agents", "cli"];

    /// The features of the manifest that stand for one provider each.
    fn provider_features() -> BTreeSet<&'static str> {
        let table = MANIFEST.split("[features]\n").nth(1).unwrap();
        let table = table.split("\n[").next().unwrap();
        let names = table.lines().filter(|line| !line.starts_with('#'));
        let names = names.filter_map(|line| Some(line.split_once(" =")?.0));
        names.filter(|name| !SETS_AND_EXTRAS.contains(name)).collect()
    }

    #[test]
    fn every_provider_whose_feature_is_on_is_registered() {
        let registry = builtin().unwrap().build();
        let names: BTreeSet<_> = registry.names().map(|name| name.as_str()).collect();
        assert_eq!(names.contains("aws"), cfg!(feature = "aws"));
        assert_eq!(names.contains("custom"), cfg!(feature = "custom"));
        assert_eq!(names.contains("github"), cfg!(feature = "github"));
        assert_eq!(names.contains("codex"), cfg!(feature = "codex"));
        assert_eq!(names.contains("openai"), cfg!(feature = "codex"));
        assert_eq!(names.contains("copilot"), cfg!(feature = "copilot"));
        assert_eq!(names.contains("gemini"), cfg!(feature = "gemini"));
        assert_eq!(names.contains("opencode"), cfg!(feature = "opencode"));
        assert_eq!(names.contains("pi"), cfg!(feature = "pi"));
        assert_eq!(names.contains("claude"), cfg!(feature = "claude"));
        assert_eq!(names.contains("anthropic"), cfg!(feature = "claude"));
        #[cfg(feature = "full")]
        assert!(provider_features().is_subset(&names), "{names:?}");
    }

    #[test]
    fn every_feature_has_its_row_in_the_readme() {
        for feature in provider_features() {
            assert!(README.contains(&format!("| `{feature}` |")), "{feature} has no row");
        }
        assert!(provider_features().is_superset(&BTreeSet::from(["aws", "custom", "github"])));
    }
}
