//! The known names that are nearest to a misspelt one.

/// Longer names are not compared, because the work grows with the length; in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The names of `known` that are nearest to `name`, the nearest first, at most `most`. Names that differ by more than a typing
/// mistake are left out.
///
/// The comparison ignores case and underscores. A name that continues `name`, such as `http_requests_total` for `http_requests`, is
/// near as well.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>, most: usize) -> Vec<&'n str> {
    let mut near: Vec<(usize, &str)> = Vec::with_capacity(most + 1);
    if most == 0 || name.len() > MAX_NAME_BYTES {
        return Vec::new();
    }
    let (mut folded, mut other, mut rows) = (Vec::new(), Vec::new(), Rows::default());
    fold_into(&mut folded, name);
    let allowed = (folded.len() / 4).clamp(1, 5);
    for candidate in known {
        fold_into(&mut other, candidate);
        let goes_on = candidate.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
        let distance = if goes_on { Some(1) } else { rows.distance(&folded, &other, allowed) };
        let Some(distance) = distance else { continue };
        let at = near.partition_point(|&(nearer, earlier)| (nearer, earlier) <= (distance, candidate));
        near.insert(at, (distance, candidate));
        near.truncate(most);
    }
    near.into_iter().map(|(_, name)| name).collect()
}

/// The question whether the nearest of the known names was meant; empty if none is near.
pub(crate) fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, known, 1).first().map(|near| format!("did you mean {near}? ")).unwrap_or_default()
}

fn fold_into(folded: &mut Vec<u8>, name: &str) {
    folded.clear();
    folded.extend(name.bytes().filter(|&byte| byte != b'_').map(|byte| byte.to_ascii_lowercase()));
}

/// Two rows of the table of distances, whose memory is reused for the next comparison.
#[derive(Default)]
struct Rows {
    above: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// The Levenshtein distance: how many bytes must be inserted, removed or replaced to turn one name into the other. `None` if it
    /// is more than `allowed`.
    fn distance(&mut self, one: &[u8], other: &[u8], allowed: usize) -> Option<usize> {
        if one.len().abs_diff(other.len()) > allowed {
            return None;
        }
        let Rows { above, row } = self;
        above.clear();
        above.extend(0..=other.len());
        for (index, a) in one.iter().enumerate() {
            row.clear();
            row.push(index + 1);
            for (column, b) in other.iter().enumerate() {
                let replaced = above[column] + usize::from(a != b);
                row.push(replaced.min(above[column + 1] + 1).min(row[column] + 1));
            }
            if row.iter().all(|&distance| distance > allowed) {
                return None;
            }
            std::mem::swap(above, row);
        }
        Some(above[other.len()]).filter(|&distance| distance <= allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_a_slip_are_near_and_the_nearest_comes_first() {
        let known = ["go_goroutines", "go_threads", "up", "http_requests_total", "http_request_total", "node_load1"];
        let check = |name: &str, expected: &[&str]| assert_eq!(nearest(name, known, 2), expected, "{name}");
        check("go_gorutines", &["go_goroutines"]);
        check("GO_Goroutines", &["go_goroutines"]);
        check("gogoroutines", &["go_goroutines"]);
        check("go_thread", &["go_threads"]);
        check("http_requests", &["http_requests_total"]);
        check("http_requests_totl", &["http_requests_total", "http_request_total"]);
        check("node_load", &["node_load1"]);
        check("pu", &[]);
        check("ip", &["up"]);
        check("memory", &[]);
        check("", &[]);
        check(&"x".repeat(201), &[]);
        assert!(nearest("up", known, 0).is_empty());
    }

    #[test]
    fn a_distance_counts_insertions_removals_and_replacements() {
        // The textbook's examples.
        let check = |one: &str, other: &str, expected: Option<usize>| {
            assert_eq!(Rows::default().distance(one.as_bytes(), other.as_bytes(), 3), expected, "{one} {other}");
        };
        check("kitten", "sitting", Some(3));
        check("saturday", "sunday", Some(3));
        check("flaw", "lawn", Some(2));
        check("same", "same", Some(0));
        check("", "abc", Some(3));
        check("intention", "execution", None);
    }
}
