//! Secrets from standard input.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;

use moat_provider_core::{Error, ErrorKind, Result, Secret};

use crate::background;
use crate::bounded::{Bounded, MAX_TEXT, read_bounded};

/// Reads a secret from standard input to its end, for flags such as `--token-stdin`.
///
/// A terminal is refused: what is typed would be seen.
///
/// # Errors
///
/// Those of [`read_secret_from`], and [`ErrorKind::InvalidInput`] when standard input is a terminal.
pub async fn read_secret_from_stdin() -> Result<Secret> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Error::invalid("standard input is a terminal, where a secret would be seen")
            .with_hint("pipe it, as in: pass show NAME | moat grant PROVIDER --token-stdin"));
    }
    // Not through the standard library's buffer, which is not wiped.
    let stdin = stdin.as_fd().try_clone_to_owned().map_err(unreadable)?;
    background::run("moat-stdin", move || read_secret_from(File::from(stdin))).await
}

/// Reads a secret of at most 1 MiB to its end, without white space around it, in memory that is
/// wiped.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when there is nothing, too much, or no UTF-8; [`ErrorKind::Io`] when
/// it cannot be read. No text shows any of it.
pub fn read_secret_from(reader: impl Read) -> Result<Secret> {
    let odd = |what: &str| {
        Error::invalid(format!("the secret on standard input {what}"))
            .with_hint("pass the secret alone, as in: moat grant PROVIDER --token-stdin < FILE")
    };
    let secret = match read_bounded(reader, MAX_TEXT).map_err(unreadable)? {
        Bounded::Whole(bytes) => bytes.into_secret().map_err(|_| odd("is not UTF-8 text"))?,
        Bounded::TooLong => return Err(odd("is longer than 1 MiB")),
    };
    let secret = secret.trimmed();
    if secret.is_empty() { Err(odd("is empty")) } else { Ok(secret) }
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "standard input cannot be read")
        .with_hint("pass the secret as in: moat grant PROVIDER --token-stdin < FILE")
        .with_source(error)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at what was read")]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_whole_and_trimmed() {
        assert_eq!(read_secret_from(&b" a\nb \r\n"[..]).unwrap().expose(), "a\nb");
        let longest = vec![b'x'; MAX_TEXT];
        assert_eq!(read_secret_from(&longest[..]).unwrap().expose().len(), MAX_TEXT);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let too_long = vec![b'x'; MAX_TEXT + 1];
        for (input, what) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"\xff", "is not UTF-8 text"),
            (&too_long, "is longer than 1 MiB"),
        ] {
            let error = read_secret_from(input).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.message(), format!("the secret on standard input {what}"));
        }
    }
}
