//! The store in files.

mod child;
mod damage;
mod keys;
mod profiles;

#[cfg(feature = "import")]
mod import;
#[cfg(feature = "keyring")]
mod keyring;
mod passphrase;

#[cfg(unix)]
mod access;
#[cfg(target_os = "linux")]
mod crash;
#[cfg(target_os = "linux")]
mod harden;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod refusals;
mod sharing;
