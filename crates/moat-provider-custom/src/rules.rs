//! Where the secret goes on the wire.

use moat_provider_core::{
    Alphabet, CredentialInfo, CredentialRule, Fill, Placeholder, PlaceholderShape, Position,
    ProxyConfigurer, Relation, Result, RunContext, SecretName, SecretRef, Substitution, Target,
};

use crate::service::Service;
use crate::way::Way;

/// How many random characters a placeholder has behind its prefix.
const RANDOM: usize = 40;

/// Returns the placeholder of a grant: what a proxy finds in a request.
///
/// What sticks to the secret in the header is part of it, so that it is found as a whole.
fn placeholder(info: &CredentialInfo, service: &Service, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::new()
        .literal(service.way().affix())
        .literal(service.prefix())
        .random(Alphabet::Alphanumeric, RANDOM);
    run.placeholder(info.key(), SecretName::TOKEN.as_str(), &shape)
}

/// Returns what a variable of the container holds: the placeholder without what a program puts
/// before a secret itself.
pub(crate) fn variable_value(
    info: &CredentialInfo,
    service: &Service,
    run: &RunContext,
) -> Result<String> {
    let placeholder = placeholder(info, service, run)?;
    let text = placeholder.as_str();
    Ok(text.strip_prefix(service.way().affix()).unwrap_or(text).to_owned())
}

/// States the rules of one grant.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let service = Service::recorded(info)?;
    let placeholder = placeholder(info, &service, run)?;
    let secret = SecretRef::token(info.key());
    for place in service.places() {
        let target = place.target()?;
        if let Some((header, template)) = service.way().header() {
            let fill = fill(info, &service, &target, run);
            let rule = CredentialRule::new(target, header, template, secret.clone())
                .placeholder(placeholder.clone())
                .fill(fill);
            proxy.credential(rule);
        } else if let Way::Query { key } = service.way() {
            let position = Position::QueryKey(key.clone().into());
            let rule = Substitution::new(target, position, placeholder.clone(), secret.clone());
            proxy.substitute(rule);
        }
    }
    Ok(())
}

/// Whether a request without a credential is filled (law L3).
///
/// Where several services of the person want the same header of the same requests, those whose
/// placeholder the container knows stand back, unless the person made one the default.
fn fill(info: &CredentialInfo, service: &Service, target: &Target, run: &RunContext) -> Fill {
    let stands_back = !service.variables().is_empty()
        && !run.is_default(info.key())
        && others(info, run).any(|other| claims(&other, service.way(), target));
    if stands_back { Fill::PlaceholderOnly } else { service.fill() }
}

fn others<'r>(info: &'r CredentialInfo, run: &'r RunContext) -> impl Iterator<Item = Service> + 'r {
    run.grants_of(info.key().provider())
        .filter(|other| other.key() != info.key())
        .filter_map(|other| Service::recorded(other).ok())
}

fn claims(service: &Service, way: &Way, target: &Target) -> bool {
    let header = |way: &Way| way.header().map(|(name, _)| name);
    header(service.way()) == header(way)
        && service.places().iter().any(|place| {
            place
                .target()
                .is_ok_and(|own| matches!(own.relation(target), Relation::Same | Relation::Partial))
        })
}
