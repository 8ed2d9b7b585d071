//! Durations in Prometheus's notation.

/// The milliseconds of a duration in Prometheus's notation ("Configuration", `<duration>`), such as `30s`, `1m30s` or `500ms`:
/// numbers with units, the largest unit first. `None` if the text has another form, or the duration does not fit into a `u64`.
pub fn parse_ms(text: &str) -> Option<u64> {
    const UNITS_MS: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut total_ms, mut units) = (text, 0_u64, UNITS_MS.as_slice());
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, next) = behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(digits.parse::<u64>().ok()?.checked_mul(units[at].1)?)?;
        (rest, units) = (next, &units[at + 1..]);
    }
    Some(total_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_ms(text), expected, "{text}");
        check("30s", Some(30_000));
        check("1m30s", Some(90_000));
        check("1d12h", Some(129_600_000));
        check("500ms", Some(500));
        check("1h0m5ms", Some(3_600_005));
        for bad in ["30", "s", "1s1m", "1s1s", "1.5s", "-1s", " 1s", "1 s", "99999999999y", "1x"] {
            check(bad, None);
        }
    }
}
