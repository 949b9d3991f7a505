//! How long sessions last.

use std::fmt;

use moat_provider_core::{Error, Result};

/// The shortest and longest session (STS API reference, "AssumeRole", DurationSeconds).
const SHORTEST: u32 = 900;
const LONGEST: u32 = 43_200;
/// The longest session of a role that another role assumes.
pub(crate) const LONGEST_CHAINED: u32 = 3600;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionDuration(u32);

impl SessionDuration {
    /// What a session lasts that nobody chose: SDKs renew keys with less than 15 minutes left.
    pub(crate) const USUAL: Self = Self(3600);

    /// Reads `900`, `15m`, `1h`, `1h30m`, `15m0s`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput).
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let seconds = seconds(text).ok_or_else(|| {
            Error::invalid(format!("{text:?} is not a duration"))
                .with_hint("write it like 1h, 45m or 1h30m")
        })?;
        if (SHORTEST..=LONGEST).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Error::invalid(format!("a session lasts from 15m to 12h, not {text}"))
            .with_hint("AWS sets these limits, and the role's own maximum is often 1h"))
    }

    pub(crate) const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SessionDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        for (amount, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s")] {
            if amount > 0 {
                write!(f, "{amount}{unit}")?;
            }
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut rest = text;
    let mut total: u32 = 0;
    let mut units = [('h', 3600), ('m', 60), ('s', 1)].into_iter();
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: u32 = rest[..at].parse().ok()?;
        let unit = rest[at..].chars().next()?;
        let (_, factor) = units.find(|(own, _)| *own == unit)?;
        total = total.checked_add(amount.checked_mul(factor)?)?;
        rest = &rest[at + 1..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in [
            ("900", 900),
            ("15m", 900),
            ("15m0s", 900),
            ("1h", 3600),
            ("2h30m", 9000),
            ("12h", 43_200),
            ("1h0m0s", 3600),
            ("900s", 900),
        ] {
            assert_eq!(SessionDuration::parse(text).unwrap().seconds(), seconds, "{text}");
        }
        for text in [
            "",
            "h",
            "15",
            "14m59s",
            "12h0m1s",
            "1x",
            "30m1h",
            "1.5h",
            "-1h",
            "15m 0s",
            "99999999999h",
            "1hh",
            "é",
        ] {
            assert!(SessionDuration::parse(text).is_err(), "{text}");
        }
        assert_eq!(SessionDuration(5400).to_string(), "1h30m");
    }
}
