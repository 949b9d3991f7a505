//! `layers`: law L1, dependencies point in one direction.
//!
//! The law itself is data, in [`rules`]. Cargo is asked twice: its metadata has every dependency
//! between our own crates, for all targets and features; its tree has the crates that these bring
//! in. Judging is apart from asking, so that the tests can break the law.

mod rules;
mod tree;

use crate::process;
use crate::report::{Failure, Outcome};
use crate::workspace::{DependencyKind, Package, Workspace};
use rules::{CLI, CORE, CORE_TREE_LIMIT, Externals, FACADE, Layer, VENDOR};
use tree::Tree;

/// Checks the whole workspace against law L1.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let packages = workspace.packages()?;
    let mut findings = judge_internal(&packages);
    findings.extend(judge_facade(&packages));
    for package in &packages {
        let Some(layer) = rules::layer_of(&package.name) else {
            continue;
        };
        println!("== layers: the dependencies of {}", package.name);
        let complete = tree_of(workspace, package, "--all-features --target all")?;
        let default = tree_of(workspace, package, "")?;
        findings.extend(judge_external(package, layer, &complete, &default));
        if package.name == CORE {
            println!("== layers: {CORE} stands on {} crates", default.crates_below().len());
            findings.extend(judge_core_size(&default));
        }
    }
    let findings: Vec<_> = findings.iter().map(|finding| format!("L1: {finding}")).collect();
    Failure::of_findings(&findings)?;
    Ok(Outcome::Done)
}

/// Asks for the normal dependencies of a crate.
fn tree_of(workspace: &Workspace, package: &Package, options: &str) -> Result<Tree, Failure> {
    let command = format!(
        "tree --package {} {options} --edges normal --prefix depth --format {{p}}",
        package.name
    );
    let text = process::capture(workspace.cargo(&command))?;
    tree::parse(&text).map_err(|line| {
        Failure::new(format!("cargo's tree of {} is not understood: `{line}`", package.name))
    })
}

/// Judges the dependencies of our crates on each other.
fn judge_internal(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for Package { name, dependencies, .. } in packages {
        let Some(layer) = rules::layer_of(name) else {
            findings
                .push(format!("{name} is in no layer: add a row for it to the table of layers"));
            continue;
        };
        for dependency in dependencies.iter().filter(|dependency| rules::is_ours(&dependency.name))
        {
            let (kind, allowed) = match dependency.kind {
                DependencyKind::Normal => ("depends on", layer.normal),
                DependencyKind::Dev => ("dev-depends on", layer.dev),
            };
            let target = rules::layer_of(&dependency.name);
            if !target.is_some_and(|target| allowed.contains(&target.name)) {
                let allowed =
                    if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
                findings.push(format!(
                    "{name} {kind} {}, but of our crates it may use: {allowed}",
                    dependency.name
                ));
            }
        }
    }
    findings
}

/// Judges the crates of others that one of ours brings along.
fn judge_external(
    package: &Package,
    layer: &Layer,
    complete: &Tree,
    default: &Tree,
) -> Vec<String> {
    let name = &package.name;
    let (never, by_default) = match layer.externals {
        Externals::None => {
            let dependencies = package.dependencies.iter();
            let foreign = dependencies.filter(|dependency| !rules::is_ours(&dependency.name));
            return foreign
                .map(|dependency| format!("{name} depends on {}, but may on none", dependency.name))
                .collect();
        }
        Externals::Without { never, by_default } => (never, by_default),
    };
    let forbidden = never.iter().map(|family| (family, complete, "with any feature"));
    let forbidden =
        forbidden.chain(by_default.iter().map(|family| (family, default, "by default")));
    let mut findings = Vec::new();
    for (family, tree, when) in forbidden {
        if let Some(path) = tree.path_to(|krate| rules::is_in_family(krate, family)) {
            findings.push(format!("{name} must not use {family} {when}: {}", path.join(" → ")));
        }
    }
    findings
}

/// Judges how many crates core stands on, on this machine.
fn judge_core_size(default: &Tree) -> Option<String> {
    let crates = default.crates_below();
    (crates.len() > CORE_TREE_LIMIT).then(|| {
        format!(
            "{CORE} stands on {} crates, at most {CORE_TREE_LIMIT} are allowed: {}",
            crates.len(),
            crates.into_iter().collect::<Vec<_>>().join(", ")
        )
    })
}

/// Judges whether the facade has every provider and forwards every `cli`.
fn judge_facade(packages: &[Package]) -> Vec<String> {
    let vendors: Vec<_> = packages.iter().filter(|package| is_vendor(package)).collect();
    let Some(facade) = packages.iter().find(|package| package.name == FACADE) else {
        let missing = format!("{FACADE} is missing, which has a feature for each provider");
        return if vendors.is_empty() { Vec::new() } else { vec![missing] };
    };
    let mut findings = Vec::new();
    if facade.features.get("default").is_some_and(|enabled| !enabled.is_empty()) {
        findings.push(format!("{FACADE}: the default features must be none"));
    }
    let full = enabled_by(facade, "full");
    let cli = enabled_by(facade, CLI);
    let core = packages.iter().find(|package| package.name == CORE);
    if core.is_some_and(has_cli) && !cli.contains(&format!("{CORE}/{CLI}").as_str()) {
        findings.push(format!("{FACADE}: feature `{CLI}` lacks `{CORE}/{CLI}`"));
    }
    for Package { name, .. } in &vendors {
        let feature = name.strip_prefix(rules::VENDOR_PREFIX).unwrap_or(name);
        let enables = format!("dep:{name}");
        if !facade.features.get(feature).is_some_and(|enabled| enabled.contains(&enables)) {
            findings.push(format!("{FACADE}: there is no feature `{feature}` with `{enables}`"));
        } else if !full.contains(&feature) {
            findings.push(format!("{FACADE}: feature `full` lacks `{feature}`"));
        }
    }
    for Package { name, .. } in vendors.iter().filter(|vendor| has_cli(vendor)) {
        let forwards = format!("{name}?/{CLI}");
        if !cli.contains(&forwards.as_str()) {
            findings.push(format!("{FACADE}: feature `{CLI}` lacks `{forwards}`"));
        }
    }
    findings
}

fn is_vendor(package: &Package) -> bool {
    rules::layer_of(&package.name).is_some_and(|layer| layer.name == VENDOR)
}

fn has_cli(package: &Package) -> bool {
    package.features.contains_key(CLI)
}

/// Returns what a feature of `package` enables, by way of other features too.
fn enabled_by<'a>(package: &'a Package, feature: &str) -> Vec<&'a str> {
    let mut enabled: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = vec![feature];
    while let Some(next) = open.pop() {
        for enables in package.features.get(next).into_iter().flatten() {
            if !enabled.contains(&enables.as_str()) {
                enabled.push(enables);
                open.push(enables);
            }
        }
    }
    enabled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str) -> Package {
        Package { name: name.to_owned(), ..Package::default() }
    }

    fn using(name: &str, kind: DependencyKind, dependency: &str) -> Package {
        let dependencies = vec![Dependency { name: dependency.to_owned(), kind }];
        Package { dependencies, ..package(name) }
    }

    fn with_features(name: &str, features: &[(&str, &[&str])]) -> Package {
        let owned = |(name, enables): &(&str, &[&str])| {
            ((*name).to_owned(), enables.iter().map(|&feature| feature.to_owned()).collect())
        };
        Package { features: features.iter().map(owned).collect(), ..package(name) }
    }

    fn internal(name: &str, kind: DependencyKind, dependency: &str) -> Vec<String> {
        judge_internal(&[using(name, kind, dependency)])
    }

    fn external(name: &str, complete: &str, default: &str) -> Vec<String> {
        let layer = rules::layer_of(name).unwrap();
        let [complete, default] = [complete, default].map(|text| tree::parse(text).unwrap());
        judge_external(&package(name), layer, &complete, &default)
    }

    #[test]
    fn the_drawn_directions_are_allowed() {
        use DependencyKind::{Dev, Normal};
        for (name, kind, dependency) in [
            ("moat-provider-github", Normal, "moat-provider-core"),
            ("moat-provider-claude", Normal, "moat-agent"),
            ("moat-provider-claude", Dev, "moat-provider-testkit"),
            ("moat-provider-testkit", Normal, "moat-provider-core"),
            ("moat-providers", Normal, "moat-provider-github"),
            ("moat-cli", Normal, "moat-host"),
            ("moat-run", Normal, "moat-proxy"),
            ("moat-refresh", Normal, "moat-store"),
            ("moat-proxy", Normal, "hyper"),
            ("xtask", Normal, "serde"),
        ] {
            assert_eq!(internal(name, kind, dependency), [""; 0]);
        }
    }

    #[test]
    fn other_directions_are_not() {
        use DependencyKind::{Dev, Normal};
        for (name, kind, dependency) in [
            ("moat-provider-core", Normal, "moat-provider-testkit"),
            ("moat-provider-core", Dev, "moat-provider-testkit"),
            ("moat-provider-github", Normal, "moat-provider-npm"),
            ("moat-provider-github", Normal, "moat-provider-testkit"),
            ("moat-provider-github", Normal, "moat-providers"),
            ("moat-provider-github", Dev, "moat-host"),
            ("moat-providers", Normal, "moat-provider-testkit"),
            ("moat-proxy", Normal, "moat-store"),
            ("moat-store", Normal, "moat-proxy"),
            ("moat-run", Normal, "moat-host"),
            ("moat-agent", Normal, "moat-oauth"),
            ("moat-host", Normal, "moat-unheard-of"),
            ("xtask", Normal, "moat-provider-core"),
            ("xtask", Dev, "moat-provider-core"),
        ] {
            let findings = internal(name, kind, dependency);
            assert_eq!(findings.len(), 1, "{name} to {dependency}");
            assert!(findings[0].starts_with(name) && findings[0].contains(dependency));
        }
    }

    #[test]
    fn a_finding_names_what_is_allowed() {
        let normal = internal("moat-provider-npm", DependencyKind::Normal, "moat-provider-github");
        let expected = "moat-provider-npm depends on moat-provider-github, but of our crates it may \
                        use: moat-provider-core, moat-agent, moat-oauth";
        assert_eq!(normal, [expected]);
        let dev = internal("xtask", DependencyKind::Dev, "moat-store");
        let expected = "xtask dev-depends on moat-store, but of our crates it may use: nothing";
        assert_eq!(dev, [expected]);
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        let expected = "moat-new is in no layer: add a row for it to the table of layers";
        assert_eq!(judge_internal(&[package("moat-new")]), [expected]);
    }

    #[test]
    fn a_runtime_is_found_anywhere_below() {
        let tree =
            "0moat-provider-x v0.1.0 (/ws)\n1a v1.0.0\n2b v1.0.0\n1c v1.0.0\n2tokio v1.0.0\n";
        let expected = "moat-provider-x must not use tokio with any feature: \
                        moat-provider-x → c → tokio";
        assert_eq!(external("moat-provider-x", tree, "0moat-provider-x v0.1.0\n"), [expected]);
    }

    #[test]
    fn the_command_line_is_optional() {
        let without = "0moat-provider-core v0.1.0\n1http v1.4.0\n";
        let with = "0moat-provider-core v0.1.0\n1clap v4.6.0\n2clap_builder v4.6.0\n";
        assert_eq!(external("moat-provider-core", with, without), [""; 0]);
        let expected = "moat-provider-core must not use clap by default: moat-provider-core → clap";
        assert_eq!(external("moat-provider-core", with, with), [expected]);
    }

    #[test]
    fn each_crate_of_the_host_has_limits_of_its_own() {
        let tree = "0moat-run v0.1.0\n1tokio v1.0.0\n1reqwest v0.13.0\n";
        let expected = "moat-run must not use reqwest with any feature: moat-run → reqwest";
        assert_eq!(external("moat-run", tree, tree), [expected]);
        assert_eq!(external("moat-cli", tree, tree), [""; 0]);
    }

    #[test]
    fn xtask_stands_on_nothing() {
        let layer = rules::layer_of("xtask").unwrap();
        let empty = tree::parse("0xtask v0.1.0\n").unwrap();
        let package = using("xtask", DependencyKind::Dev, "tempfile");
        let findings = judge_external(&package, layer, &empty, &empty);
        assert_eq!(findings, ["xtask depends on tempfile, but may on none"]);
    }

    #[test]
    fn core_stays_small() {
        let tree = |size: usize| {
            let crates = (0..size).map(|number| format!("1crate-{number} v1.0.0\n"));
            let text: String = std::iter::once(format!("0{CORE} v0.1.0\n")).chain(crates).collect();
            tree::parse(&text).unwrap()
        };
        assert_eq!(judge_core_size(&tree(CORE_TREE_LIMIT)), None);
        let finding = judge_core_size(&tree(CORE_TREE_LIMIT + 1)).unwrap();
        assert!(finding.contains("stands on 26 crates, at most 25"), "{finding}");
        assert!(finding.contains("crate-25 v1.0.0"), "{finding}");
    }

    fn facade_workspace(facade: &[(&str, &[&str])]) -> Vec<String> {
        judge_facade(&[
            with_features(CORE, &[("cli", &["dep:clap"])]),
            with_features("moat-provider-claude", &[("cli", &["moat-provider-core/cli"])]),
            package("moat-provider-github"),
            package("moat-provider-testkit"),
            with_features(FACADE, facade),
        ])
    }

    const CLAUDE: (&str, &[&str]) = ("claude", &["dep:moat-provider-claude"]);
    const GITHUB: (&str, &[&str]) = ("github", &["dep:moat-provider-github"]);
    const AGENTS: (&str, &[&str]) = ("agents", &["claude"]);
    const FULL: (&str, &[&str]) = ("full", &["agents", "github"]);
    const FORWARDS: (&str, &[&str]) =
        ("cli", &["moat-provider-core/cli", "moat-provider-claude?/cli"]);

    #[test]
    fn a_complete_facade_passes() {
        let facade = [CLAUDE, GITHUB, AGENTS, FULL, FORWARDS, ("default", &[])];
        assert_eq!(facade_workspace(&facade), [""; 0]);
    }

    #[test]
    fn every_provider_has_a_feature() {
        let full: (&str, &[&str]) = ("full", &["claude"]);
        let missing =
            "moat-providers: there is no feature `github` with `dep:moat-provider-github`";
        assert_eq!(facade_workspace(&[CLAUDE, full, FORWARDS]), [missing]);
        let empty: (&str, &[&str]) = ("github", &[]);
        assert_eq!(facade_workspace(&[CLAUDE, empty, full, FORWARDS]), [missing]);
        let forgotten = "moat-providers: feature `full` lacks `github`";
        assert_eq!(facade_workspace(&[CLAUDE, GITHUB, full, FORWARDS]), [forgotten]);
    }

    #[test]
    fn every_cli_is_forwarded() {
        let features = [CLAUDE, GITHUB, AGENTS, FULL];
        let [core, claude] = [
            "moat-providers: feature `cli` lacks `moat-provider-core/cli`",
            "moat-providers: feature `cli` lacks `moat-provider-claude?/cli`",
        ];
        assert_eq!(facade_workspace(&features), [core, claude]);
        let partly: &[(&str, &[&str])] = &[("cli", &["moat-provider-core/cli"])];
        assert_eq!(facade_workspace(&[&features, partly].concat()), [claude]);
    }

    #[test]
    fn nothing_is_on_by_default() {
        let facade = [CLAUDE, GITHUB, AGENTS, FULL, FORWARDS, ("default", &["github"])];
        let expected = "moat-providers: the default features must be none";
        assert_eq!(facade_workspace(&facade), [expected]);
    }

    #[test]
    fn providers_need_a_facade() {
        let expected = "moat-providers is missing, which has a feature for each provider";
        assert_eq!(judge_facade(&[package("moat-provider-github")]), [expected]);
        assert_eq!(judge_facade(&[package(CORE)]), [""; 0]);
    }
}
