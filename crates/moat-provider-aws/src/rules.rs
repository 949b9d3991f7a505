//! What the proxy does with requests to AWS.

use std::sync::Arc;

use moat_provider_core::{
    CredentialInfo, ProxyConfigurer, Result, RunContext, SigningRule, Target,
};

use crate::keys::{DummyKeys, MINTED};
use crate::settings::{Mode, Settings};
use crate::sigv4::Signer;

/// States the rules of one grant: every host of the role's partition is signed for, or may be
/// reached.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let settings = Settings::of(info)?;
    let hosts = settings.role.partition().hosts();
    let targets: Vec<Target> = hosts.map(|host| Target::host(&host)).collect::<Result<_>>()?;
    match settings.mode {
        Mode::Endpoint => targets.into_iter().for_each(|target| proxy.reach(target)),
        Mode::Signing => {
            let dummy = DummyKeys::of(info.key(), run)?;
            let id = dummy.id.clone();
            let signer = Arc::new(Signer::new(dummy, settings.limits, settings.calls));
            for target in targets {
                let signer = Arc::clone(&signer) as _;
                proxy.sign(SigningRule::new(
                    target,
                    info.key(),
                    MINTED.clone(),
                    id.clone(),
                    signer,
                ));
            }
        }
    }
    Ok(())
}
