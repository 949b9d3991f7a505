//! Times for people.

use time::{Duration, OffsetDateTime};

/// Returns a time in UTC, to the minute: `2026-01-02 03:04`.
pub(crate) fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (date, hour, minute) = (at.date(), at.hour(), at.minute());
    format!("{date} {hour:02}:{minute:02}")
}

/// Returns a time as seen from another: `in 3 days`, `2 hours ago`.
pub(crate) fn relative(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let distance = at - now;
    let seconds = distance.abs().whole_seconds();
    let (count, unit) = match distance.abs() {
        short if short < Duration::minutes(1) => return "now".to_owned(),
        short if short < Duration::hours(2) => (seconds / 60, "minute"),
        medium if medium < Duration::days(2) => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    match distance.is_positive() {
        true => format!("in {count} {unit}{plural}"),
        false => format!("{count} {unit}{plural} ago"),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_short() {
        let now = datetime!(2026-01-02 03:04:05 UTC);
        assert_eq!(moment(datetime!(2026-01-02 05:04:59 +2)), "2026-01-02 03:04");
        for (distance, text) in [
            (Duration::seconds(30), "now"),
            (Duration::minutes(1), "in 1 minute"),
            (Duration::minutes(-119), "119 minutes ago"),
            (Duration::hours(47), "in 47 hours"),
            (Duration::days(-2), "2 days ago"),
        ] {
            assert_eq!(relative(now + distance, now), text);
        }
    }
}
