//! Ending a secret: by hand, because nobody here knows the service.

use moat_provider_core::{CredentialInfo, Error, ErrorKind, Revocation};

use crate::service::Service;

/// Says what the person can do.
pub(crate) fn revocation(info: &CredentialInfo) -> Revocation {
    Revocation::Manual { instructions: by_hand(info) }
}

/// Says that it has to be done by hand.
pub(crate) fn unsupported(info: &CredentialInfo) -> Error {
    let key = info.key();
    Error::new(ErrorKind::Unsupported, format!("moat does not know how the secret of {key} ends"))
        .with_hint(by_hand(info))
}

fn by_hand(info: &CredentialInfo) -> String {
    let at = Service::recorded(info)
        .ok()
        .and_then(|service| Some(service.places().first()?.host().host()))
        .map(|host| format!(", in the settings of whoever runs {host}"))
        .unwrap_or_default();
    format!("end the secret where it was made{at}: what moat keeps is a copy")
}
