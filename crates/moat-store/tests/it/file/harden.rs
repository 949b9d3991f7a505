//! Core dumps and swap.

use std::fs;

use moat_store::{Measure, harden_process};

use super::child::{Worker, say};
use super::refusals::shell;
use crate::support::Home;

#[test]
fn a_hardened_process_dumps_no_core() {
    let home = Home::new();
    // Where the test may, it lifts the limit, so that swap can be switched off.
    let mut unlimited = shell(&[], "{ ulimit -l unlimited 2>&- || true; }", home.path());
    let said = Worker::start_with(&mut unlimited, "harden", home.path()).finish();
    println!("{}", said.join("\n"));
    assert_eq!(said[0], "core dumps: InForce");
    assert_eq!(said[1], "limit of a core file: 0");
    // Without a limit to locked memory, swap is off as well; else it says why not.
    let is_locked = said[2] == "swap: InForce";
    assert_eq!(said[3] != "locked: 0 kB", is_locked, "{said:?}");
}

pub(super) fn in_child() {
    // Read before the process may not look at itself any more.
    let status = || fs::read_to_string("/proc/self/status").unwrap();
    let hardening = harden_process();
    say(format_args!("core dumps: {:?}", hardening.core_dumps));
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    say(format_args!("limit of a core file: {}", core.split_ascii_whitespace().nth(4).unwrap()));
    say(format_args!("swap: {:?}", hardening.swap));
    let touched = vec![1_u8; 1 << 20];
    let status = status();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
    say(format_args!("locked: {locked}"));
    drop(touched);
    assert!(!matches!(hardening.core_dumps, Measure::NotInForce(_)));
}
