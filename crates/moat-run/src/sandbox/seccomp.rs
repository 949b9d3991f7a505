//! System calls that no command in a sandbox needs, as filters for the kernel.
//!
//! The list follows Docker's default profile for containers without capabilities, which the tools
//! of developers are used to; on top of it are `TIOCSTI` and `TIOCLINUX`, which type into a
//! terminal, and sockets that no network namespace holds back.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::{Result, RunError, RunErrorKind};

/// Refused as not permitted.
const REFUSED: &[libc::c_long] = &[
    // Keys of the person's session are reachable from every namespace.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // What looks into or steers the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_lookup_dcookie,
    libc::SYS_syslog,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_setns,
    // Opens files past every mount.
    libc::SYS_open_by_handle_at,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Answered as if the kernel did not know them, so that callers use what they used before.
const UNKNOWN: &[libc::c_long] = &[
    // Its flags are behind a pointer, where no filter sees them.
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// New namespaces but that of time, which shares its bit with a signal in `clone`.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Pushes a character into a terminal's input.
const TIOCSTI: u64 = 0x5412;

/// Does the same, and more, on a virtual console.
const TIOCLINUX: u64 = 0x541c;

/// What changes the mode of a file, and which argument that mode is.
///
/// A file with the set-user-ID bit in the workspace would let any other user of the machine, who is in
/// league with the container, act as the person. Only the mode of a file that is opened anew passes by
/// these, and writing to it takes the bit away again (`file_remove_privs` in the kernel's fs/inode.c).
const MODES: &[(libc::c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_fchmodat2, 2),
];

/// Families of sockets that are not bound to a network namespace, or that only widen what of the
/// kernel can be attacked.
const FAMILIES: [libc::c_int; 2] = [libc::AF_VSOCK, libc::AF_ALG];

/// Returns the filters as the kernel reads them; each is to be loaded.
///
/// # Errors
///
/// [`RunErrorKind::SandboxMissing`] on an architecture for which there are none.
pub(super) fn filters() -> Result<Vec<Vec<u8>>> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        let namespaces = NAMESPACES.into_iter().map(|flag| flag.unsigned_abs().into());
        let rules = namespaces.map(|flag| rule(0, SeccompCmpOp::MaskedEq(flag), flag));
        refused.insert(call, rules.collect::<Result<_>>()?);
    }
    let requests = [TIOCSTI, TIOCLINUX].map(|request| rule(1, SeccompCmpOp::Eq, request));
    refused.insert(libc::SYS_ioctl, requests.into_iter().collect::<Result<_>>()?);
    let families = FAMILIES.map(|family| rule(0, SeccompCmpOp::Eq, family.unsigned_abs().into()));
    refused.insert(libc::SYS_socket, families.into_iter().collect::<Result<_>>()?);
    let set_user_id = u64::from(libc::S_ISUID);
    for (call, argument) in MODES {
        let rule = rule(*argument, SeccompCmpOp::MaskedEq(set_user_id), set_user_id)?;
        refused.insert(*call, vec![rule]);
    }
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let mut filters = vec![compile(refused, libc::EPERM)?, compile(unknown, libc::ENOSYS)?];
    for filter in &mut filters {
        filter.splice(0..0, no_second_abi());
    }
    Ok(filters.iter().map(|filter| bytes(filter)).collect())
}

/// A rule about the lower half of one argument: the kernel ignores the upper one of these.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| failed("a rule", error))
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|error| failed("this architecture", error))?;
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| failed("the filter", error))
}

/// Refuses the numbers of x32, by which a call gets past its rule: they have bit 30 set, under the
/// same architecture. No other ABI has numbers as high.
fn no_second_abi() -> [sock_filter; 3] {
    const LOAD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    [
        instruction(LOAD, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, 0x4000_0000),
        instruction(RETURN, 0, 0, ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
}

/// Returns a program as `struct sock_filter` lies in memory.
fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let instruction = |filter: &sock_filter| {
        let [a, b] = filter.code.to_ne_bytes();
        let [c, d, e, f] = filter.k.to_ne_bytes();
        [a, b, filter.jt, filter.jf, c, d, e, f]
    };
    program.iter().flat_map(instruction).collect()
}

fn failed(what: &str, error: seccompiler::BackendError) -> RunError {
    RunError::new(RunErrorKind::SandboxMissing, format!("no filter of system calls for {what}"))
        .with_source(error)
}
