//! The law as data: what each of our crates may depend on.

/// The crate that everything stands on.
pub(super) const CORE: &str = "moat-provider-core";
/// The crate with one feature for each provider.
pub(super) const FACADE: &str = "moat-providers";
/// The layer of all crates that know one vendor.
pub(super) const VENDOR: &str = "moat-provider-*";
/// What the name of a vendor's crate begins with.
pub(super) const VENDOR_PREFIX: &str = "moat-provider-";
/// The feature that adds flags to the command line.
pub(super) const CLI: &str = "cli";
/// The most crates that core's default features may bring along.
pub(super) const CORE_TREE_LIMIT: usize = 25;

const TESTKIT: &str = "moat-provider-testkit";
const AGENT: &str = "moat-agent";
const OAUTH: &str = "moat-oauth";
const HOST: &str = "moat-host";
const STORE: &str = "moat-store";
const REFRESH: &str = "moat-refresh";
const PROXY: &str = "moat-proxy";
const BRIDGE: &str = "moat-bridge";
const RUN: &str = "moat-run";
const COMMAND: &str = "moat-cli";

/// What the crates of one layer may depend on.
#[derive(Debug)]
pub(super) struct Layer {
    /// The name of the crate, or a prefix followed by `*`.
    pub(super) name: &'static str,
    /// The layers of our crates that it may use.
    pub(super) normal: &'static [&'static str],
    /// The layers of our crates that only its tests may use.
    pub(super) dev: &'static [&'static str],
    /// What it may bring along of others' crates.
    pub(super) externals: Externals,
}

/// What a crate may bring along of others' crates, itself or through a dependency.
#[derive(Debug)]
pub(super) enum Externals {
    /// Nothing, for tests neither.
    None,
    /// Everything but these families.
    Without {
        /// Families that no feature may bring in.
        never: &'static [&'static str],
        /// Families that only a feature may bring in.
        by_default: &'static [&'static str],
    },
}

/// Runtimes, HTTP clients and servers, TLS: what a crate without I/O has no use for.
const IO: &[&str] = &[
    "actix",
    "async-io",
    "async-std",
    "axum",
    "curl",
    "h2",
    "hyper",
    "isahc",
    "mio",
    "native-tls",
    "openssl",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "surf",
    "tokio",
    "tonic",
    "ureq",
    "warp",
];

/// No I/O, and the command line only behind a feature.
const PURE: Externals = Externals::Without { never: IO, by_default: &["clap"] };

/// Every layer, from below to above. The first row that matches a crate is its layer.
const LAYERS: &[Layer] = &[
    layer(CORE, &[], &[], PURE),
    layer(TESTKIT, &[CORE], &[], without(&[])),
    layer(AGENT, &[CORE], &[TESTKIT], PURE),
    layer(OAUTH, &[CORE], &[TESTKIT], PURE),
    layer(VENDOR, &[CORE, AGENT, OAUTH], &[TESTKIT], PURE),
    layer(FACADE, &[CORE, VENDOR], &[TESTKIT], PURE),
    layer(HOST, &[CORE], &[TESTKIT], without(&["clap"])),
    layer(STORE, &[CORE], &[TESTKIT], without(&["clap", "hyper", "reqwest"])),
    layer(REFRESH, &[CORE, STORE], &[TESTKIT], without(&["clap", "hyper", "reqwest"])),
    layer(PROXY, &[CORE], &[TESTKIT], without(&["clap", "reqwest"])),
    layer(BRIDGE, &[], &[], without(&["clap", "tokio"])),
    layer(RUN, &[CORE, STORE, REFRESH, PROXY], &[TESTKIT], without(&["clap", "reqwest"])),
    layer(
        COMMAND,
        // The test kit has the vendor of `moat demo`.
        &[CORE, TESTKIT, FACADE, HOST, STORE, REFRESH, PROXY, BRIDGE, RUN],
        &[VENDOR],
        without(&[]),
    ),
    layer("xtask", &[], &[], Externals::None),
];

const fn layer(
    name: &'static str,
    normal: &'static [&'static str],
    dev: &'static [&'static str],
    externals: Externals,
) -> Layer {
    Layer { name, normal, dev, externals }
}

const fn without(never: &'static [&'static str]) -> Externals {
    Externals::Without { never, by_default: &[] }
}

/// Returns the layer of one of our crates.
pub(super) fn layer_of(krate: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| match layer.name.strip_suffix('*') {
        Some(prefix) => krate.starts_with(prefix),
        None => krate == layer.name,
    })
}

/// Returns whether a crate is one of ours, in a layer or not yet.
pub(super) fn is_ours(krate: &str) -> bool {
    krate.starts_with("moat-") || layer_of(krate).is_some()
}

/// Returns whether a crate is the one that names the family, or one named after it: `tokio-util`
/// is in the family `tokio`.
pub(super) fn is_in_family(krate: &str, family: &str) -> bool {
    match krate.strip_prefix(family) {
        Some(rest) => rest.is_empty() || rest.starts_with('-'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_comes_before_the_pattern() {
        let layer = |krate| layer_of(krate).map(|layer| layer.name);
        assert_eq!(layer("moat-provider-core"), Some(CORE));
        assert_eq!(layer("moat-provider-testkit"), Some(TESTKIT));
        assert_eq!(layer("moat-provider-aws"), Some(VENDOR));
        assert_eq!(layer("moat-providers"), Some(FACADE));
        assert_eq!(layer("moat-provider"), None);
        assert_eq!(layer("serde"), None);
    }

    #[test]
    fn layers_only_use_layers_below() {
        for (position, layer) in LAYERS.iter().enumerate() {
            let below: Vec<_> = LAYERS[..position].iter().map(|layer| layer.name).collect();
            for used in layer.normal.iter().chain(layer.dev) {
                assert!(below.contains(used), "{} uses {used}", layer.name);
            }
        }
    }

    #[test]
    fn families_end_at_a_separator() {
        assert!(is_in_family("tokio", "tokio"));
        assert!(is_in_family("tokio-util", "tokio"));
        assert!(!is_in_family("smol_str", "smol"));
        assert!(!is_in_family("miow", "mio"));
        assert!(!is_in_family("http", "hyper"));
    }
}
