//! What a sandbox has of `/etc`: an allow-list, and files made for it.

use moat_provider_core::ContainerPath;

/// Files and directories that programs need and that hold nothing about the person, as far as
/// they are there.
///
/// Not among them: what may name credentials or hosts of the person (`gitconfig`, `npmrc`,
/// `pip.conf`, `wgetrc`, `profile`, `environment`, `hosts`), and private keys (`ssl/private`).
pub(super) const ALLOWED: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/inputrc",
    "/etc/java-11-openjdk",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/java-25-openjdk",
    "/etc/java/java.conf",
    "/etc/java/security",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/magic",
    "/etc/maven/logging",
    "/etc/maven/m2.conf",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/perl",
    "/etc/pki/ca-trust",
    "/etc/pki/java",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/python3",
    "/etc/python3.11",
    "/etc/python3.12",
    "/etc/python3.13",
    "/etc/python3.14",
    "/etc/redhat-release",
    "/etc/rpc",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/etc/xattr.conf",
];

/// Returns the files that are made for a sandbox: paths and contents.
pub(super) fn made(
    host: &str,
    user: u32,
    group: u32,
    home: &ContainerPath,
) -> Vec<(&'static str, String)> {
    let passwd = format!(
        "agent:x:{user}:{group}:agent:{home}:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    vec![
        ("/etc/passwd", passwd),
        ("/etc/group", format!("agent:x:{group}:\nnogroup:x:65534:\n")),
        ("/etc/hostname", format!("{host}\n")),
        ("/etc/hosts", format!("127.0.0.1 localhost {host}\n::1 localhost\n")),
        // There is no resolver: the proxy resolves.
        ("/etc/resolv.conf", String::new()),
        // Without this, libraries look for daemons of the host.
        ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".into()),
    ]
}
