//! Which sandbox works on this machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::{Bubblewrap, Engine, Missing, Sandbox};
use crate::{Result, RunError, RunErrorKind};

/// Returns the first sandbox that works here: bubblewrap, then the engines, in this order.
///
/// # Errors
///
/// [`RunErrorKind::SandboxMissing`] when none does; the hint names what each of them lacks.
pub async fn detect(bubblewrap: Bubblewrap, engines: Vec<Engine>) -> Result<Arc<dyn Sandbox>> {
    let mut candidates: Vec<Arc<dyn Sandbox>> = vec![Arc::new(bubblewrap)];
    for engine in engines {
        candidates.push(Arc::new(engine));
    }
    let mut lacks = Vec::new();
    for candidate in candidates {
        let missing = candidate.missing().await;
        if missing.is_empty() {
            return Ok(candidate);
        }
        lacks.extend(missing.iter().map(|missing| line(candidate.name(), missing)));
    }
    Err(RunError::new(RunErrorKind::SandboxMissing, "there is no sandbox on this machine")
        .with_hint(lacks.join("\n")))
}

/// Says what a sandbox lacks, which may be itself.
fn line(name: &str, missing: &Missing) -> String {
    if missing.what() == name { missing.to_string() } else { format!("{name} lacks {missing}") }
}

/// Tries whether bubblewrap may make namespaces; blocks.
pub(super) fn namespaces(program: &Path) -> Option<Missing> {
    #[expect(clippy::disallowed_methods, reason = "to start this program is what this is for")]
    let mut command = Command::new(program);
    command.env_clear().current_dir("/");
    command.args(["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"]);
    command.args(["--unshare-uts", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]);
    command.args(["--as-pid-1", "--cap-drop", "ALL", "--", "/proc/self/exe", "--version"]);
    let what = match command.output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
            format!("the right to make namespaces ({})", line.escape_debug())
        }
        Err(error) => format!("a bubblewrap that can be executed ({error})"),
    };
    Some(Missing::new(what, namespace_fix(&|path| fs::read_to_string(path).ok())))
}

/// Returns what allows namespaces, as the settings of the kernel tell.
fn namespace_fix(read: &dyn Fn(&str) -> Option<String>) -> &'static str {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts user namespaces (Ubuntu 24.04 and later): give bubblewrap a profile \
         that allows `userns`, or: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sudo sysctl kernel.unprivileged_userns_clone=1"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "sudo sysctl user.max_user_namespaces=15000"
    } else {
        "in a container, let it make user namespaces and mount /proc; or use another sandbox"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_names_its_sandbox() {
        let image = Missing::new("the image x", "docker pull x");
        assert_eq!(line("docker", &image), "docker lacks the image x: docker pull x");
        let all = Missing::new("docker", "install it");
        assert_eq!(line("docker", &all), "docker: install it");
    }

    #[test]
    fn the_fix_is_that_of_the_setting() {
        let fix = |path: &'static str, value: &'static str| {
            namespace_fix(&|asked| (asked == path).then(|| value.to_owned()))
        };
        let restricted = fix("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        assert!(restricted.contains("apparmor_restrict_unprivileged_userns=0"));
        let forbidden = fix("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
        assert!(forbidden.contains("unprivileged_userns_clone=1"));
        assert!(fix("/proc/sys/user/max_user_namespaces", "0\n").contains("max_user_namespaces"));
        assert!(fix("/proc/sys/user/max_user_namespaces", "100\n").contains("another sandbox"));
    }
}
