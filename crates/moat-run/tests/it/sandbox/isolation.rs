//! What a container cannot see, have or do.

use moat_provider_core::{EnvVar, MountAccess};
use moat_run::sandbox::{Bubblewrap, Sandbox};
use moat_run::{Bind, RunErrorKind};
use tokio::net::{TcpListener, UnixListener};

use super::world::{World, program, text};

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn bubblewrap_works_here() {
    let missing = Bubblewrap::new(program("moat-bridge")).missing().await;
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn the_environment_is_that_of_the_description() {
    let world = World::new();
    let mut spec = world.spec(&["env", "-0"]);
    spec.env.push(EnvVar::new("LINES_OF", "two\nlines").unwrap());
    let output = world.start(&spec).await.output().await.unwrap();
    let mut found: Vec<_> = output.stdout.split(|byte| *byte == 0).map(text).collect();
    found.sort();
    let path = "PATH=/usr/local/bin:/usr/bin:/bin";
    assert_eq!(found, ["", "LINES_OF=two\nlines", path, "PWD=/home/agent"]);
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn nothing_of_the_host_is_there_but_the_system() {
    let world = World::new();
    let output = world.sh("ls -A / | tr '\\n' ' '; ls -A /home /tmp /root /run/user; true").await;
    let listed = text(&output.stdout);
    let expected = "bin dev etc home lib lib64 proc run sbin tmp usr var ";
    let root: Vec<_> = listed.split_whitespace().take_while(|word| !word.contains(':')).collect();
    for name in &root {
        let system = ["lib32", "libx32", "/home"].contains(name);
        assert!(system || expected.contains(name), "{name} is in the root: {listed}");
    }
    assert!(listed.contains("/home:\nagent\n"), "{listed}");
    assert!(listed.contains("/tmp:\n") && !listed.contains("moat-sandbox"), "{listed}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn there_are_no_processes_capabilities_or_descriptors_of_others() {
    let world = World::new();
    let script = "ls /proc | grep -c '^[0-9]'; grep -h -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' \
                  /proc/self/status; echo /proc/self/fd/*; cat /proc/keys";
    let output = world.sh(script).await;
    let found = text(&output.stdout);
    let processes: u32 = found.lines().next().unwrap().parse().unwrap();
    assert!(processes <= 4, "{found}");
    for line in
        ["CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(found.contains(line), "{found}");
    }
    assert!(found.contains("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"), "{found}");
    assert!(!found.contains("keyring"), "{found}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn system_calls_of_the_list_are_refused() {
    let world = World::new();
    // keyctl, add_key, clone3, a second ABI's keyctl; then what types into a terminal.
    let script = "
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(*a):
    r = libc.syscall(*a)
    return 'ok' if r != -1 else errno.errorcode[ctypes.get_errno()]
print(call(250, 0, -3, 0), call(248, 0, 0, 0, 0, 0), call(435, 0, 0), call(0x40000000 | 250, 0, -3, 0))
print(call(272, 0x10000000), call(165, 0, 0, 0, 0, 0))
print(call(16, 0, 0x5412, b'x'), call(16, 0, 0x5412 | 1 << 40, b'x'), call(16, 0, 0x541c, b'x'))
for family in (40, 38):
    try: socket.socket(family, socket.SOCK_STREAM); print('ok')
    except OSError as e: print(errno.errorcode[e.errno])
";
    let output = world.python(script).await;
    let expected = "EPERM EPERM ENOSYS ENOSYS\nEPERM EPERM\nEPERM EPERM EPERM\nEPERM\nEPERM\n";
    if cfg!(target_arch = "x86_64") {
        assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    }
}

/// Where the person is root, files of the kernel belong to the user in the sandbox.
#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn settings_of_the_kernel_are_read_and_not_written() {
    let world = World::new();
    let script = "
import os
def opens(path):
    try: os.close(os.open(path, os.O_WRONLY)); return True
    except OSError: return False
writable = []
for directory, names, files in os.walk('/proc'):
    names[:] = [n for n in names if not n.isdigit() and n not in ('self', 'thread-self', 'pressure')]
    paths = [os.path.join(directory, f) for f in files]
    writable += [path for path in paths if opens(path)]
print(writable)
print(open('/proc/sys/kernel/osrelease').read() == os.uname().release + '\\n')
for name in ('slabinfo', 'vmallocinfo', 'pagetypeinfo', 'kpageflags'):
    try: print(len(open('/proc/' + name, 'rb').read(64)))
    except OSError: print(0)
";
    let output = world.python(script).await;
    let found = text(&output.stdout);
    assert_eq!(found, "[]\nTrue\n0\n0\n0\n0\n", "{}", text(&output.stderr));
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn no_program_of_the_persons_is_made_that_others_run_as_the_person() {
    let world = World::new();
    let workspace = world.directory.join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    let script = "
import ctypes, os, shutil
libc = ctypes.CDLL(None, use_errno=True)
def refused(call, *arguments):
    try: call(*arguments)
    except PermissionError: return True
shutil.copy('/usr/bin/id', 'id')
descriptor = os.open('id', os.O_RDONLY)
print(refused(os.chmod, 'id', 0o4755), refused(os.fchmod, descriptor, 0o4755))
print(refused(os.chmod, 'id', 0o6777), libc.syscall(452, -100, b'id', 0o4755, 0) == -1)
made = os.open('made', os.O_CREAT | os.O_WRONLY, 0o4755)
os.write(made, b'x')
os.chmod('id', 0o755)
os.mkdir('shared'); os.chmod('shared', 0o2775)
";
    let mut spec = world.spec(&["/usr/bin/python3", "-c", script]);
    let target: moat_provider_core::ContainerPath = "/there".parse().unwrap();
    spec.workdir = target.clone();
    spec.binds.push(Bind { source: workspace.clone(), target, access: MountAccess::ReadWrite });
    let output = world.start(&spec).await.output().await.unwrap();
    assert_eq!(text(&output.stdout), "True True\nTrue True\n", "{}", text(&output.stderr));
    let mode = |name: &str| {
        let found = std::fs::metadata(workspace.join(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o7777
    };
    assert_eq!((mode("id"), mode("made") & 0o4000, mode("shared")), (0o755, 0, 0o2775));
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn the_hosts_ports_and_sockets_are_out_of_reach() {
    let world = World::new();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap().port();
    let path = world.directory.join("host.sock");
    let _host = UnixListener::bind(&path).unwrap();
    let script = format!(
        "
import socket
for target in (('127.0.0.1', {address}), ('192.0.2.1', 80), ('169.254.169.254', 80)):
    s = socket.socket(); s.settimeout(5)
    print(s.connect_ex(target) != 0)
try: socket.socket(socket.AF_UNIX).connect('{}'); print(False)
except OSError: print(True)
try: socket.socket(socket.AF_UNIX).connect('\\0moat-{address}'); print(False)
except OSError: print(True)
",
        path.display()
    );
    // Abstract sockets belong to a network namespace.
    let output = world.python(&script).await;
    assert_eq!(text(&output.stdout), "True\n".repeat(5), "{}", text(&output.stderr));
}

#[tokio::test]
async fn what_holds_sockets_or_everything_is_not_bound() {
    let world = World::new();
    let sandbox = Bubblewrap::new("/nonexistent").program("/proc/self/exe");
    for source in [world.directory.as_path(), "/".as_ref(), "/run".as_ref(), "/proc/1".as_ref()] {
        let mut spec = world.spec(&["true"]);
        let (source, target) = (source.to_owned(), "/there".parse().unwrap());
        spec.binds.push(Bind { source, target, access: MountAccess::ReadOnly });
        let error = sandbox.start(&spec).await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::InvalidInput, "{error:?}");
    }
}

/// Bubblewrap has the host's files at `/oldroot` while it makes the places for binds.
#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn nothing_is_made_outside_where_a_link_leads_from_the_place_of_a_bind() {
    let world = World::new();
    let (workspace, shown) = (world.directory.join("workspace"), world.directory.join("shown"));
    let victim = world.directory.join("victim");
    for directory in [&workspace, &shown, &victim] {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::write(shown.join("file"), "shown").unwrap();
    let out = format!("/oldroot{}", victim.display());
    std::os::unix::fs::symlink(&out, workspace.join("direct")).unwrap();
    std::os::unix::fs::symlink("direct", workspace.join("around")).unwrap();
    let bind = |source: &std::path::Path, target: &str, access| Bind {
        source: source.to_owned(),
        target: target.parse().unwrap(),
        access,
    };
    let outer = bind(&workspace, "/there", MountAccess::ReadWrite);
    for (source, target) in [
        (shown.clone(), "/there/direct/new"),
        (shown.clone(), "/there/around/new"),
        (shown.join("file"), "/there/direct/.hushlogin"),
    ] {
        let mut spec = world.spec(&["true"]);
        spec.binds = vec![outer.clone(), bind(&source, target, MountAccess::ReadOnly)];
        let started = Bubblewrap::new(program("moat-bridge")).start(&spec).await;
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0, "{target}");
        assert_eq!(started.unwrap_err().kind(), RunErrorKind::InvalidInput, "{target}");
    }
    let mut spec = world.spec(&["true"]);
    let read_only = bind(&workspace, "/there", MountAccess::ReadOnly);
    spec.binds = vec![read_only, bind(&shown, "/there/new", MountAccess::ReadOnly)];
    Bubblewrap::new(program("moat-bridge")).start(&spec).await.unwrap_err();
    assert!(!workspace.join("new").exists());
    let mut spec = world.spec(&["cat", "/there/a/b/file"]);
    spec.binds = vec![outer, bind(&shown, "/there/a/b", MountAccess::ReadOnly)];
    let output = world.start(&spec).await.output().await.unwrap();
    assert_eq!(text(&output.stdout), "shown", "{}", text(&output.stderr));
}
