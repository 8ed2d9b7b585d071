//! How the parameters of the API are written.

use crate::prometheus::http::Params;

/// Milliseconds as seconds with exactly three decimals, because some servers round finer times and others truncate them.
pub(super) fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

/// A step in seconds. Engines multiply the number by a power of ten and truncate the result, which turns 2.098 s into 2097 ms. A
/// digit after the milliseconds prevents that.
pub(super) fn step(ms: i64) -> String {
    let half = if ms % 1000 == 0 { "" } else { "5" };
    format!("{}{half}", seconds(ms))
}

/// The parameters of a list. It has no `limit`, because upstreams then return any items, not the first ones.
pub(super) fn narrowing(selector: Option<&str>, start_ms: Option<i64>, end_ms: i64) -> Params {
    // VictoriaMetrics 1.145 treats a start of 0 as missing, and then searches only the last day.
    let start = start_ms.map(|start_ms| ("start", seconds(start_ms.max(1))));
    let mut params: Params = start.into_iter().chain([("end", seconds(end_ms))]).collect();
    params.extend(selector.map(|selector| ("match[]", selector.to_owned())));
    params
}

/// The prefix of an escaped name.
const ESCAPED: &str = "U__";

/// Whether Prometheus 3 reads a label name in a path as the escaped form of another one. Older servers read it as it is.
pub(super) fn is_read_as_escaped(label: &str) -> bool {
    label.starts_with(ESCAPED) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A label name as one segment of a path.
///
/// Some names cannot be in a path, even percent-encoded (a slash, two dots). They are written in the escaped form that Prometheus 3
/// reads ("UTF-8 names": `U__`, and each odd character as its code point in hexadecimal), as are names that already look escaped.
/// Older servers do not have such labels and find nothing.
pub(super) fn path_segment(label: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if label.chars().all(is_plain) && !label.starts_with(['.', '-']) && !label.starts_with(ESCAPED) {
        return label.to_owned();
    }
    let escaped = label.chars().map(|c| match c {
        '_' => "__".to_owned(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:x}_", c as u32),
    });
    format!("{ESCAPED}{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_exactly_three_decimals() {
        for (ms, text) in [(0, "0.000"), (1_504_411_200_000, "1504411200.000"), (59_999, "59.999"), (-1, "-0.001")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_step_is_cut_to_the_right_millisecond() {
        for ms in 1..20_000 {
            let nanoseconds = (step(ms).parse::<f64>().unwrap() * 1e9) as i64;
            assert_eq!(nanoseconds / 1_000_000, ms);
        }
        assert_eq!((step(60_000).as_str(), step(2_098).as_str()), ("60.000", "2.0985"));
    }

    #[test]
    fn a_list_of_all_times_has_a_start() {
        let check = |start_ms: i64, start: &str| {
            let expected = vec![("start", start.to_owned()), ("end", "7.000".to_owned())];
            assert_eq!(narrowing(None, Some(start_ms), 7_000), expected);
        };
        assert_eq!(narrowing(None, None, 7_000), vec![("end", "7.000".to_owned())]);
        check(0, "0.001");
        check(2_000, "2.000");
    }

    #[test]
    fn any_label_is_one_segment_of_a_path() {
        assert_eq!(path_segment("job_1"), "job_1");
        assert_eq!(path_segment("my.label-2"), "my.label-2");
        assert_eq!(path_segment("../a_b?é"), "U___2e__2e__2f_a__b_3f__e9_");
        assert_eq!(path_segment("U__a.b"), "U__U____a_2e_b");
        assert_eq!(path_segment("U_x"), "U_x");
    }
}
