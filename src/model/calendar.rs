//! Dates of the Gregorian calendar, days since 1970, and times of day.

use std::fmt;

/// Year, month and day of a day counted from 1970-01-01. 400 years of the Gregorian calendar have 146,097 days; a year that begins
/// in March has its leap day at the end.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468; // from 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The days from 1970-01-01 to a date; `None` for an earlier date, or one that does not exist.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // The year begins in March here, so that the leap day is its last day.
    let (year_from_march, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year_from_march * 365 + year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let days = (before_year + (153 * month_from_march + 2) / 5 + day - 1).checked_sub(719_468)?;
    (civil_date(days) == (year, month, day)).then_some(days)
}

/// A date and a time of day, in UTC. `Display` writes it in the form of RFC 3339, with milliseconds if there are any; `{:#}` always
/// writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Year, month and day.
    pub date: (u64, u64, u64),
    /// Hour, minute and second.
    pub time: (u64, u64, u64),
    /// Milliseconds.
    pub ms: u64,
}

impl DateTime {
    /// The date and time of an instant in milliseconds since 1970. A negative one counts as 0.
    pub fn of_ms(ms: i64) -> DateTime {
        let ms = ms.max(0).unsigned_abs();
        let seconds = ms / 1_000;
        let time = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        DateTime { date: civil_date(seconds / 86_400), time, ms: ms % 1_000 }
    }

    /// The instant of a text in the form of RFC 3339, in milliseconds since 1970. `None` if the text has another form, or the
    /// instant is before 1970.
    pub fn parse_ms(text: &str) -> Option<i64> {
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok()
        };
        let separated = |at: usize, allowed: &[u8]| text.as_bytes().get(at).is_some_and(|byte| allowed.contains(byte));
        let are_separated = separated(4, b"-") && separated(7, b"-") && separated(10, b"Tt ");
        let are_separated = are_separated && separated(13, b":") && separated(16, b":");
        let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?).filter(|_| are_separated)?;
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        // 60 is a leap second.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let rest = text.get(19..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
            None => ("0", rest),
        };
        let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok().filter(|_| !fraction.is_empty())?;
        let ms = (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000 + ms;
        let local = i64::try_from(ms).ok()?;
        Some(local - offset_ms(zone)?).filter(|&ms| ms >= 0)
    }
}

/// How far a zone such as `Z` or `+02:00` is ahead of UTC, in milliseconds.
fn offset_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |text: &str, most: i64| -> Option<i64> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number <= most)
    };
    Some(sign * (number(hours, 23)? * 60 + number(minutes, 59)?) * 60_000)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DateTime { date: (year, month, day), time: (hour, minute, second), ms } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if *ms == 0 && !f.alternate() { f.write_str("Z") } else { write!(f, ".{ms:03}Z") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc_3339_has_them() {
        // `date --utc --date=@SECONDS +%FT%TZ`
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_868_799_000, "2000-02-29T23:59:59Z"),
            (1_504_411_201_007, "2017-09-03T04:00:01.007Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(DateTime::of_ms(ms).to_string(), text);
            assert_eq!(DateTime::parse_ms(text), Some(ms), "{text}");
        }
        for (text, same) in [
            ("2017-09-03T06:00:01.007+02:00", "2017-09-03T04:00:01.007Z"),
            ("2017-09-03 04:00:01z", "2017-09-03T04:00:01Z"),
            ("2017-09-02t22:30:01.5-05:30", "2017-09-03T04:00:01.500Z"),
            ("2017-09-03T04:00:01.0079999Z", "2017-09-03T04:00:01.007Z"),
        ] {
            assert_eq!(DateTime::parse_ms(text), DateTime::parse_ms(same), "{text}");
            assert!(DateTime::parse_ms(text).is_some(), "{text}");
        }
        for bad in [
            "", "2017-09-03", "2017-09-03T04:00:01", "2017-09-31T04:00:01Z", "2017-09-03T24:00:01Z",
            "2017-09-03T04:60:01Z", "2017-09-03T04:00:01.Z", "2017-09-03T04:00:01+2:00", "2017-09-03T04:00:01+02",
            "2017-09-03T04:00:01Zx", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "+017-09-03T04:00:01Z",
            "2017x09-03T04:00:01Z", "é017-09-03T04:00:01Z",
        ] {
            assert_eq!(DateTime::parse_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_and_days_are_each_others_inverse() {
        // `date --utc --date=@$((86400 * days)) +%F`
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (20_783, (2026, 11, 26)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil_date(days), date);
            assert_eq!(days_since_1970(date.0, date.1, date.2), Some(days));
        }
        for days in 0..60_000 {
            let (year, month, day) = civil_date(days);
            assert_eq!(days_since_1970(year, month, day), Some(days));
        }
        for (year, month, day) in
            [(2026, 2, 29), (2100, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (2026, 4, 31), (1969, 12, 31)]
        {
            assert_eq!(days_since_1970(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
