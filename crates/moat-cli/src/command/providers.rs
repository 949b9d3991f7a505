//! `moat grant providers`.

use moat_provider_core::{GrantOption, OptionValue, Provider, ProviderSource};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Result;
use crate::output::Table;

/// Lists what can be granted. Providers without a grant of their own are not among it.
pub(super) fn providers(app: &App<'_>) -> Result<()> {
    let providers: Vec<_> =
        app.registry.iter().filter(|provider| provider.as_credential().is_some()).collect();
    let mut table = Table::new(["PROVIDER", "ALSO", "DESCRIPTION", "SOURCE"]);
    for provider in &providers {
        let (description, source) = describe(&***provider);
        let also = aliases(app, &***provider).join(", ");
        table.row([provider.name().as_str(), &also, &description, &source.to_string()]);
    }
    app.output.result(&table.render(), || {
        let object = |provider: &dyn Provider| {
            let (description, source) = describe(provider);
            json!({
                "name": provider.name().as_str(),
                "aliases": aliases(app, provider),
                "description": description,
                "source": source.to_string(),
                "options": options(provider),
                "is_agent": provider.as_agent().is_some(),
            })
        };
        json!({ "providers": providers.iter().map(|it| object(&***it)).collect::<Vec<_>>() })
    })
}

fn describe(provider: &dyn Provider) -> (String, ProviderSource) {
    match provider.as_describable() {
        Some(text) => (text.description().to_owned(), text.source()),
        None => (String::new(), ProviderSource::Custom),
    }
}

fn aliases(app: &App<'_>, provider: &dyn Provider) -> Vec<String> {
    let aliases = app.registry.aliases().filter(|(_, canonical)| *canonical == provider.name());
    aliases.map(|(alias, _)| alias.to_string()).collect()
}

fn options(provider: &dyn Provider) -> Vec<Value> {
    let object = |option: &GrantOption| {
        let words = match option.value() {
            OptionValue::Choice(words) => Some(words),
            _ => None,
        };
        json!({
            "name": option.name(),
            "help": option.help(),
            "required": option.is_required(),
            "takes_value": !matches!(option.value(), OptionValue::Switch),
            "words": words,
        })
    };
    let grants = provider.as_credential();
    grants.map(|it| it.grant_options().iter().map(object).collect()).unwrap_or_default()
}
