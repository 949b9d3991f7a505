//! Names, capabilities, and what a provider says about itself.

use std::collections::BTreeSet;
use std::fmt;

use moat_provider_core::{
    CredentialProvider, ErrorKind, GrantOption, OptionValue, Provider, ProviderName, Registry,
};

use super::report::{Report, Search};
use super::{Capability, Expect, Rule};

pub(super) fn check(report: &mut Report, provider: &dyn Provider, expect: &Expect) {
    names(report, provider, expect);
    capabilities(report, provider, expect);
    description(report, provider);
    if let Some(credential) = provider.as_credential() {
        qualifiers(report, credential);
        options(report, credential);
        dependencies(report, credential);
    }
}

/// Registers a stand-in of the same name: a registry wants to own what it holds.
#[derive(Debug)]
struct Named(ProviderName);

impl Provider for Named {
    fn name(&self) -> &ProviderName {
        &self.0
    }
}

fn names(report: &mut Report, provider: &dyn Provider, expect: &Expect) {
    let mut registry = Registry::builder();
    let name = provider.name();
    let mut registered = registry.register(Named(name.clone())).map(drop);
    for alias in &expect.aliases {
        registered =
            registered.and_then(|()| registry.register_alias(alias, name.as_str()).map(drop));
    }
    report.require(Rule::Names, &Search::default(), "registering the names", registered);
}

fn capabilities(report: &mut Report, provider: &dyn Provider, expect: &Expect) {
    // Each accessor leads to the same provider again: to its name, and to its other capabilities.
    let views: [(Capability, Option<&ProviderName>); 9] = [
        (Capability::Credential, provider.as_credential().map(|p| p.name())),
        (Capability::Agent, provider.as_agent().map(|p| p.name())),
        (Capability::Endpoint, provider.as_endpoint().map(|p| p.name())),
        (Capability::Refreshable, provider.as_refreshable().map(|p| p.name())),
        (Capability::Revocable, provider.as_revocable().map(|p| p.name())),
        (Capability::Minting, provider.as_minting().map(|p| p.name())),
        (Capability::RunStoppedHook, provider.as_run_stopped_hook().map(|p| p.name())),
        (Capability::Diagnosable, provider.as_diagnosable().map(|p| p.name())),
        (Capability::Describable, provider.as_describable().map(|p| p.name())),
    ];
    for (capability, view) in views {
        match (expect.has(capability), view) {
            (true, None) => {
                report.add(Rule::Capabilities, format!("{capability:?} is declared and missing"));
            }
            (false, Some(_)) => {
                report.add(Rule::Capabilities, format!("{capability:?} is there, not declared"));
            }
            _ => {}
        }
        if let Some(name) = view.filter(|name| *name != provider.name()) {
            let detail = format!("as {capability:?} the provider is named {name}");
            report.add(Rule::Capabilities, detail);
        }
    }
}

fn description(report: &mut Report, provider: &dyn Provider) {
    let Some(describable) = provider.as_describable() else {
        return;
    };
    if let Some(text) = report.call("description", || describable.description().to_owned()) {
        let fine = is_line(&text) && text.chars().count() <= 80 && !text.ends_with('.');
        report.demand(fine, Rule::Description, || {
            format!(
                "{text:?} is not one line of at most 80 characters without a full stop at its end"
            )
        });
    }
}

fn qualifiers(report: &mut Report, provider: &dyn CredentialProvider) {
    let long = "q".repeat(100_000);
    let odd = [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "*",
        "?",
        "%2e%2e",
        "-",
        "--help",
        ":",
        "@",
        "a..b",
        "\u{202e}",
        "ä",
        "\u{1f600}",
        &long,
    ];
    for qualifier in odd {
        let what = format!("check_qualifier for {} bytes of odd text", qualifier.len());
        if let Some(Err(error)) = report.call(&what, || provider.check_qualifier(qualifier)) {
            report.demand(error.kind() == ErrorKind::InvalidInput, Rule::Qualifiers, || {
                format!("{what} fails with {:?}, not InvalidInput", error.kind())
            });
        }
    }
    // What the parser of names lets through is the provider's own to judge, but never these.
    for qualifier in ["", "../../etc/passwd", "a\nb"] {
        if let Some(Ok(())) = report.call("check_qualifier", || provider.check_qualifier(qualifier))
        {
            report.add(Rule::Qualifiers, format!("check_qualifier accepts {qualifier:?}"));
        }
    }
}

fn options(report: &mut Report, provider: &dyn CredentialProvider) {
    let mut names = BTreeSet::new();
    for option in provider.grant_options() {
        let name = option.name();
        let mut demand = |holds: bool, detail: &dyn fmt::Display| {
            report.demand(holds, Rule::GrantOptions, || format!("the option {name:?} {detail}"));
        };
        demand(is_option_name(name), &"is not made of lower-case words joined by hyphens");
        demand(names.insert(name), &"is declared twice");
        demand(is_line(option.help()), &"has no single line of help");
        demand(takes_something(option), &"takes a value without a name, or one of no words");
    }
}

fn is_option_name(name: &str) -> bool {
    name.split('-').all(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn takes_something(option: &GrantOption) -> bool {
    match option.value() {
        OptionValue::Text(value) => is_line(value),
        OptionValue::Choice(words) => {
            !words.is_empty() && words.iter().all(|word| is_option_name(word))
        }
        _ => true,
    }
}

fn dependencies(report: &mut Report, provider: &dyn CredentialProvider) {
    let mut names = BTreeSet::new();
    for name in provider.implied_dependencies() {
        report.demand(is_line(name), Rule::Dependencies, || format!("{name:?} is no name"));
        report.demand(names.insert(name), Rule::Dependencies, || format!("{name} is named twice"));
    }
}

/// Whether a text is one line that says something.
pub(super) fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}
