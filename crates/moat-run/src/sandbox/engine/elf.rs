//! Programs of Linux.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Whether a program of 64 bit needs no interpreter, by its program headers (System V ABI).
pub(super) fn is_static(program: &Path) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    let mut head = Vec::new();
    fs::File::open(program)?.take(4096).read_to_end(&mut head)?;
    let short = || io::Error::other("it is no program of Linux");
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at + length).ok_or_else(short)?;
        // All that we run on is little-endian.
        Ok::<_, io::Error>(
            bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    if !head.starts_with(b"\x7fELF\x02") {
        return Err(short());
    }
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        if number(start + index * size, 4)? == INTERPRETER as usize {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_an_interpreter_are_told_apart() {
        assert!(!is_static(Path::new("/proc/self/exe")).unwrap());
        assert!(is_static(Path::new("/etc/passwd")).is_err());
        let mut program = b"\x7fELF\x02".to_vec();
        program.resize(64, 0);
        let name = std::env::temp_dir().join(format!("moat-elf-{}", std::process::id()));
        fs::write(&name, program).unwrap();
        assert!(is_static(&name).unwrap());
        fs::remove_file(name).unwrap();
    }
}
