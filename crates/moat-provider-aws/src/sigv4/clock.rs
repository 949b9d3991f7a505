//! The times in signatures.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// A time as signatures have it: `20261128T103527Z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(String);

impl Stamp {
    /// Writes a time.
    pub(crate) fn of(at: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        Self(format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ))
    }

    /// Reads a time.
    pub(crate) fn parse(text: &str) -> Option<(Self, OffsetDateTime)> {
        let number = |from: usize, len: usize| -> Option<u16> {
            let digits = text.get(from..from + len)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let small = |from: usize| number(from, 2).and_then(|value| u8::try_from(value).ok());
        if text.len() != 16 || text.get(8..9) != Some("T") || !text.ends_with('Z') {
            return None;
        }
        let month = Month::try_from(small(4)?).ok()?;
        let day = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
        let time = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
        Some((Self(text.to_owned()), day.with_time(time).assume_utc()))
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the day: the first eight digits.
    pub(crate) fn day(&self) -> &str {
        self.0.get(..8).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let at = OffsetDateTime::from_unix_timestamp(1_440_938_160).unwrap();
        let stamp = Stamp::of(at);
        assert_eq!(stamp.as_str(), "20150830T123600Z");
        assert_eq!(stamp.day(), "20150830");
        assert_eq!(Stamp::parse("20150830T123600Z"), Some((stamp, at)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "20150830",
            "20151330T123600Z",
            "20150830T246000Z",
            "2015083aT123600Z",
            "20150830T123600",
            "20150830 123600Z",
            "+0150830T123600Z",
            "20150830T1236é0Z",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }
}
