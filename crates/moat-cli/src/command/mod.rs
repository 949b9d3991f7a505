//! What the commands do.

mod claim;
mod completions;
mod demo;
mod describe;
mod doctor;
mod given;
mod grant;
mod import;
mod list;
mod man;
mod providers;
mod proxy;
mod refresh;
mod resume;
mod revoke;
mod run;
mod runs;
mod shell;
mod show;
mod stop;
mod test;
mod trace;
mod trust;
mod why;

use crate::app::App;
use crate::args::Invocation;
use crate::error::{Code, Result};

/// Does what was asked for.
///
/// # Errors
///
/// What went wrong, and how to mend it.
pub(crate) async fn dispatch(app: &App<'_>, invocation: Invocation) -> Result<Code> {
    match invocation {
        Invocation::Grant(args) => grant::grant(app, args).await?,
        Invocation::GrantList => list::list(app).await?,
        Invocation::GrantShow(grant) => show::show(app, &grant).await?,
        Invocation::GrantProviders => providers::providers(app)?,
        Invocation::GrantTest(grant) => return test::test(app, &grant).await,
        Invocation::GrantRefresh(grant) => refresh::refresh(app, &grant).await?,
        Invocation::GrantClaim(grant) => claim::claim(app, &grant).await?,
        Invocation::Revoke(args) => return revoke::revoke(app, &args).await,
        Invocation::Import(args) => return import::import(app, &args).await,
        Invocation::Trust(args) => trust::trust(app, &args).await?,
        Invocation::Why(args) => return why::why(app, &args).await,
        Invocation::Trace(args) => trace::trace(app, &args)?,
        Invocation::Run(args) => return run::run(app, *args).await,
        Invocation::Agent(args) => return run::agent(app, *args).await,
        Invocation::Resume(args) => return resume::resume(app, args).await,
        Invocation::Proxy(args) => return proxy::proxy(app, *args).await,
        Invocation::Doctor(named) => return doctor::doctor(app, &named).await,
        Invocation::Runs => runs::runs(app)?,
        Invocation::Shell(args) => return shell::shell(app, &args).await,
        Invocation::Stop(args) => stop::stop(app, &args).await?,
        Invocation::Demo => return demo::demo(app).await,
        Invocation::DemoClient => demo::client(app).await?,
        Invocation::Completions(shell) => completions::completions(app, shell)?,
        Invocation::Man(args) => man::man(app, &args)?,
    }
    Ok(Code::Success)
}
