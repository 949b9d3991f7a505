//! What bubblewrap is told: the container's file system, from nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use moat_provider_core::MountAccess;

use super::{Limits, in_memory};
use crate::sandbox::{BRIDGE, PROXY_SOCKET, PUBLISH_SOCKET, etc, lookup};
use crate::{Bind, ContainerSpec};

/// The id that the person has inside when they are root outside.
const UNPRIVILEGED: u32 = 1000;

/// Files of `/proc` that tell about the host, or about keys of the person's session.
const MASKED: [&str; 13] = [
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/pagetypeinfo",
    "/proc/sched_debug",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];

/// What of `/proc` steers the kernel of the whole machine. Who may write there is decided by the
/// user on the host: when the person is root, the user in the container may, without a capability
/// (proc_sys_permission in the kernel's fs/proc/proc_sysctl.c).
///
/// Bubblewrap means to protect some of it, and looks at the modes of directories, which no sysctl
/// needs.
const STEERING: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/driver",
    "/proc/dynamic_debug",
    "/proc/fs",
    "/proc/irq",
    "/proc/mtrr",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// How many bytes `/run` takes.
const RUN_SIZE: &str = "67108864";

/// What is true of the machine.
#[derive(Debug)]
pub(super) struct Facts {
    user: u32,
    group: u32,
    limits: Limits,
    /// Trees of the system: what they are links to, or nothing for a directory.
    system: Vec<(&'static str, Option<PathBuf>)>,
    /// What there is of the allow-list of `/etc`, with targets of links.
    etc: Vec<(&'static str, Option<PathBuf>)>,
    /// What there is of [`MASKED`]: bubblewrap cannot make files in `/proc`.
    masked: Vec<&'static str>,
    /// What there is of [`STEERING`].
    steering: Vec<&'static str>,
}

/// Files of the run that every container has.
#[derive(Debug)]
pub(super) struct RunFiles<'a> {
    pub(super) bridge: &'a Path,
    pub(super) socket: &'a Path,
    pub(super) publish: Option<&'a Path>,
}

impl Facts {
    pub(super) fn of_this_machine(limits: Limits) -> Self {
        let unprivileged = |id: u32| if id == 0 { UNPRIVILEGED } else { id };
        Self {
            user: unprivileged(rustix::process::getuid().as_raw()),
            group: unprivileged(rustix::process::getgid().as_raw()),
            limits,
            system: existing(&lookup::SYSTEM),
            etc: existing(etc::ALLOWED),
            masked: MASKED.into_iter().filter(|path| Path::new(path).exists()).collect(),
            steering: STEERING.into_iter().filter(|path| Path::new(path).exists()).collect(),
        }
    }
}

fn existing(paths: &[&'static str]) -> Vec<(&'static str, Option<PathBuf>)> {
    let there = paths.iter().filter(|path| Path::new(path).exists());
    there.map(|path| (*path, fs::read_link(path).ok())).collect()
}

/// Arguments, and the descriptors that they name.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) list: Vec<OsString>,
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Arguments {
    /// Returns what makes a container but for [`Self::descriptor`] and [`Self::data`].
    pub(super) fn new(
        spec: &ContainerSpec,
        facts: &Facts,
        binds: &[Bind],
        run: &RunFiles<'_>,
    ) -> io::Result<Self> {
        let mut this = Self::default();
        this.isolation(spec, facts);
        this.system(facts);
        for (path, contents) in etc::made(spec.run.as_str(), facts.user, facts.group, &spec.home) {
            this.data("--ro-bind-data", contents.as_bytes())?;
            this.add([path]);
        }
        this.scratch(spec, &facts.limits);
        for bind in binds {
            let option = match bind.access {
                MountAccess::ReadOnly => "--ro-bind",
                MountAccess::ReadWrite => "--bind",
            };
            this.bind(option, &bind.source, bind.target.as_str());
        }
        this.bind("--ro-bind", run.bridge, BRIDGE);
        this.bind("--ro-bind", run.socket, PROXY_SOCKET);
        if let Some(publish) = run.publish {
            this.bind("--ro-bind", publish, PUBLISH_SOCKET);
        }
        // The root and the directory of devices are file systems in memory without a bound.
        this.add(["--remount-ro", "/dev", "--remount-ro", "/"]);
        this.add(["--chdir", spec.workdir.as_str()]);
        Ok(this)
    }

    fn isolation(&mut self, spec: &ContainerSpec, facts: &Facts) {
        self.add(["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"]);
        self.add(["--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"]);
        self.add(["--uid", &facts.user.to_string(), "--gid", &facts.group.to_string()]);
        self.add(["--hostname", spec.run.as_str()]);
        self.add(["--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]);
        for var in &spec.env {
            self.add(["--setenv", var.name(), var.value()]);
        }
        // The bridge is the first process, and takes one socket over.
        self.add(["--setenv", "LISTEN_FDS", "1", "--setenv", "LISTEN_PID", "1"]);
    }

    fn system(&mut self, facts: &Facts) {
        for (path, link) in facts.system.iter().chain(&facts.etc) {
            match link {
                Some(target) => {
                    self.list.extend(["--symlink".into(), target.into(), path.into()]);
                }
                None => self.add(["--ro-bind", path, path]),
            }
        }
        self.add(["--proc", "/proc"]);
        for path in &facts.steering {
            self.add(["--ro-bind", path, path]);
        }
        for path in &facts.masked {
            // It is bound without devices, and so cannot even be opened.
            self.add(["--ro-bind", "/dev/null", path]);
        }
    }

    fn scratch(&mut self, spec: &ContainerSpec, limits: &Limits) {
        let (scratch, shared) = (limits.scratch.to_string(), limits.shared_memory.to_string());
        self.add(["--dev", "/dev"]);
        self.add(["--perms", "1777", "--size", &shared, "--tmpfs", "/dev/shm"]);
        self.add(["--perms", "1777", "--size", &scratch, "--tmpfs", "/tmp"]);
        self.add(["--size", &scratch, "--tmpfs", "/var"]);
        self.add(["--perms", "1777", "--dir", "/var/tmp", "--symlink", "/run", "/var/run"]);
        self.add(["--size", RUN_SIZE, "--tmpfs", "/run"]);
        let home = &spec.home;
        self.add(["--perms", "0700", "--size", &scratch, "--tmpfs", home.as_str()]);
    }

    fn add<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) {
        self.list.extend(arguments.into_iter().map(OsString::from));
    }

    fn bind(&mut self, option: &str, source: &Path, target: &str) {
        self.list.extend([option.into(), source.into(), target.into()]);
    }

    /// Adds an option whose value is a descriptor.
    pub(super) fn descriptor(&mut self, option: &str, descriptor: OwnedFd) {
        let number = super::FIRST as usize + self.descriptors.len();
        self.descriptors.push(descriptor);
        self.add([option, &number.to_string()]);
    }

    /// Adds an option whose value is a descriptor from which this is read.
    pub(super) fn data(&mut self, option: &str, contents: &[u8]) -> io::Result<()> {
        self.descriptor(option, in_memory(contents)?);
        Ok(())
    }
}
