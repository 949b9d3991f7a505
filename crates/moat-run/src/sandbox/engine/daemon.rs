//! What an engine says of itself: whether it works, and whose ids its containers have.

use super::EngineKind;
use crate::sandbox::Missing;

/// The most characters of what an engine says that an error repeats.
const REPEATED: usize = 300;

/// Whose user and group ids the processes of a container have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// Those of the host.
    Same,
    /// Others, but for the person's, which stay: Podman without root.
    Kept,
    /// Others, unless a container is told to have those of the host: a daemon with `userns-remap`.
    Remapped,
    /// The daemon is the person's own: root in there is the person outside (rootless Docker).
    OwnDaemon,
}

impl Ids {
    /// Reads the security options of a daemon of Docker, as `docker info` writes them in JSON.
    pub(super) fn of_docker(options: &str) -> Self {
        let options: Vec<String> = serde_json::from_str(options).unwrap_or_default();
        let has = |name: &str| options.iter().any(|option| option.split(',').any(|it| it == name));
        match (has("name=rootless"), has("name=userns")) {
            (true, _) => Self::OwnDaemon,
            (false, true) => Self::Remapped,
            (false, false) => Self::Same,
        }
    }

    /// Returns what they are with Podman, which has no daemon, for this user.
    pub(super) fn of_podman(user: u32) -> Self {
        if user == 0 { Self::Same } else { Self::Kept }
    }
}

/// Returns what is missing when an engine's program ends with an error, by what it said.
pub(super) fn missing(kind: EngineKind, said: &str) -> Missing {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    // Behind this stands the request that failed, with the address once more.
    let line = line.split(": Get ").next().unwrap_or(line);
    let line: String = line.chars().take(REPEATED).collect();
    let (name, line) = (kind.as_str(), line.escape_debug());
    // The same words from version 19 to 29.
    if kind == EngineKind::Docker && said.contains("permission denied") {
        return Missing::new(
            format!("the right to use its daemon ({line})"),
            "sudo usermod --append --groups docker \"$USER\", and log in anew: whoever is in this \
             group is as good as root",
        );
    }
    let silent = ["daemon running?", "daemon is running"];
    if kind == EngineKind::Docker && silent.iter().any(|words| said.contains(words)) {
        let fix = if said.contains("unix:///var/run/docker.sock") {
            "sudo systemctl start docker"
        } else {
            "start it, or say where it is: docker context ls; echo $DOCKER_HOST"
        };
        return Missing::new(format!("its daemon ({line})"), fix);
    }
    Missing::new(
        format!("a {name} that answers ({line})"),
        format!("look what it says: {name} version"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_daemon() {
        let plain = r#"["name=seccomp,profile=default","name=cgroupns"]"#;
        assert_eq!(Ids::of_docker(plain), Ids::Same);
        let remapped = r#"["name=seccomp,profile=builtin","name=userns"]"#;
        assert_eq!(Ids::of_docker(remapped), Ids::Remapped);
        assert_eq!(Ids::of_docker(r#"["name=rootless","name=cgroupns"]"#), Ids::OwnDaemon);
        assert_eq!(Ids::of_docker("null"), Ids::Same);
        assert_eq!((Ids::of_podman(0), Ids::of_podman(7)), (Ids::Same, Ids::Kept));
    }

    #[test]
    fn what_a_daemon_says_is_told_with_what_fixes_it() {
        let docker = |said| missing(EngineKind::Docker, said).to_string();
        let refused = "permission denied while trying to connect to the Docker daemon socket at \
                       unix:///var/run/docker.sock: Get \"http://x\": connect: permission denied";
        let told = docker(refused);
        assert!(told.contains("docker.sock): sudo usermod --append --groups docker"), "{told}");
        let absent = "\nCannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the \
                      docker daemon running?\n";
        let told = docker(absent);
        assert!(told.starts_with("its daemon (Cannot connect") && told.ends_with("start docker"));
        let other = "failed to connect to the docker API at unix:///x; check if the path is \
                     correct and if the daemon is running: dial unix /x: no such file";
        assert!(docker(other).contains("DOCKER_HOST"));
        let odd = docker("client version 1.50 is too new\u{1b}[2J");
        assert!(odd.contains("too new\\u{1b}") && odd.contains("docker version"), "{odd}");
        assert!(missing(EngineKind::Podman, "permission denied").fix().contains("podman version"));
    }
}
