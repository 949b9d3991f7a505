//! The machine: where state is kept, what is trusted, how much may be open.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use moat_provider_core::CommandSpec;
use moat_run::trust::host_roots;
use rustix::fs::{Access, access};
use rustix::process::{Resource, geteuid, getrlimit};
use time::Duration;

use super::Check;
use crate::app::{App, plain_variable};
use crate::output::moment;

/// Fewer descriptors are too few for an agent that opens many connections at once.
const DESCRIPTORS: u64 = 4096;

/// Looks at the directory of all state.
pub(super) fn home(app: &App<'_>) -> Check {
    let what = "moat home";
    let home = match app.system.home() {
        Ok(home) => home,
        Err(error) => return Check::failed(what, &error),
    };
    let path = home.display().to_string();
    let quoted = shell_words::quote(&path).into_owned();
    let found = match fs::metadata(&home) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return future_home(&home),
        Err(error) => {
            return Check::bad(what, format!("{path}: {error}"), format!("ls -ld {quoted}"));
        }
    };
    if !found.is_dir() {
        let fix = "export MOAT_HOME=/path/of/a/private/directory";
        return Check::bad(what, format!("{path} is no directory"), fix);
    }
    let own = geteuid();
    if found.uid() != own.as_raw() {
        let detail = format!("{path} belongs to another user");
        return Check::bad(what, detail, format!("sudo chown -R {} {quoted}", own.as_raw()));
    }
    if found.mode() & 0o022 != 0 {
        let detail = format!("others may write to {path}");
        return Check::bad(what, detail, format!("chmod 700 {quoted}"));
    }
    match access(&home, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::good(what, path),
        Err(error) => Check::bad(what, format!("{path}: {error}"), format!("chmod 700 {quoted}")),
    }
}

/// Looks at whether a directory can be made that is not there yet.
fn future_home(home: &Path) -> Check {
    let what = "moat home";
    let above = home.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    match access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::good(what, format!("{} is made with the first grant", home.display())),
        Err(error) => {
            let detail = format!("{} cannot be made: {error}", home.display());
            Check::bad(what, detail, "export MOAT_HOME=/path/of/a/private/directory")
        }
    }
}

/// Looks at what vendors are verified with.
pub(super) fn roots(app: &App<'_>) -> Check {
    let what = "authorities";
    let roots = match host_roots() {
        Ok(roots) => roots.matches("BEGIN CERTIFICATE").count(),
        Err(error) => return Check::failed(what, &error.into()),
    };
    let globals = &app.globals;
    let ports = app.system.http(globals).and_then(|_| app.system.upstream(globals));
    match (ports, &globals.upstream_ca) {
        // That stands at the outer proxy.
        (Err(error), _) if !error.message().contains("HTTPS_PROXY") => Check::failed(what, &error),
        (_, None) => Check::good(what, format!("{roots} of this system")),
        (_, Some(file)) => {
            Check::good(what, format!("{roots} of this system, and those in {}", file.display()))
        }
    }
}

/// Looks at whether another proxy stands in front of vendors.
pub(super) fn proxy(app: &App<'_>) -> Check {
    let what = "outer proxy";
    let environment = app.system.environment();
    let is_set = |name: &str| Ok(plain_variable(&*environment, name)?.is_some());
    let inside = match plain_variable(&*environment, "MOAT_RUN") {
        Ok(run) => run,
        Err(error) => return Check::failed(what, &error.into()),
    };
    if let Some(run) = inside {
        let detail = format!("this shell has the variables of {run}, as a sandbox has");
        return Check::warning(what, detail, "use moat in a shell without them");
    }
    let set: Result<Vec<_>, moat_provider_core::Error> = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .filter_map(|name| match is_set(name) {
            Ok(false) => None,
            Ok(true) => Some(Ok(name)),
            Err(error) => Some(Err(error)),
        })
        .collect();
    match set {
        Err(error) => Check::failed(what, &error.into()),
        Ok(set) => match (set.first(), app.system.upstream(&app.globals)) {
            (None, _) => Check::good(what, "none"),
            // What else is wrong stands at the authorities.
            (Some(name), Err(error)) if error.message().starts_with("HTTPS_PROXY") => {
                let mut check = Check::failed(what, &error);
                check.fix = Some(format!("export {name}=http://HOST:PORT, or unset it"));
                check
            }
            (Some(name), _) => Check::good(what, format!("the one that {name} names")),
        },
    }
}

/// Looks for the program that knows who commits.
pub(super) async fn git(app: &App<'_>) -> Check {
    let command = CommandSpec::new("git").args(["--version"]);
    match app.system.commands().run(&command).await {
        Ok(output) if output.succeeded() => Check::good("git", "installed"),
        _ => Check::warning(
            "git",
            "not installed here: sandboxes do not learn your name and e-mail for commits",
            "install the package git",
        ),
    }
}

/// Looks at how many descriptors a proxy may have open. It raises the limit as far as it may.
pub(super) fn descriptors() -> Check {
    let what = "descriptors";
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < DESCRIPTORS => Check::warning(
            what,
            format!("at most {most}: connections may be refused when an agent opens many"),
            "raise the hard limit, in /etc/security/limits.conf or for the service: nofile 65536",
        ),
        Some(most) => Check::good(what, format!("at most {most}")),
        None => Check::good(what, "no limit"),
    }
}

/// Looks at the clock, as far as that can be without asking anybody.
pub(super) fn clock(app: &App<'_>) -> Check {
    let (what, now) = ("clock", app.now());
    let day = Duration::days(1);
    match app.system.installed_at() {
        Some(installed) if now < installed - day => Check::bad(
            what,
            format!("{} UTC is before this program was installed", moment(now)),
            "set the clock: timedatectl set-ntp true",
        ),
        _ => Check::good(what, format!("{} UTC", moment(now))),
    }
}
