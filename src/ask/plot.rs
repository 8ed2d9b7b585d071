//! Plots points in a terminal of 80 columns with Braille characters, each of which has two by four dots.

use std::fmt::Write;

use crate::model::calendar::DateTime;

/// The size of the plot in characters, and the width of the labels beside it, which are the highest and the lowest value.
const COLUMNS: usize = 64;
const ROWS: usize = 8;
const LABEL_COLUMNS: usize = 12;

/// Two points are not joined if they are farther apart than this multiple of the median distance.
const GAP_DISTANCES: i64 = 3;

/// The number of dots in a character.
const DOTS_ACROSS: usize = 2;
const DOTS_DOWN: usize = 4;

/// The Braille character without dots, and the bits of its dots by row and column.
const BLANK: u32 = 0x2800;
const BITS: [[u32; DOTS_ACROSS]; DOTS_DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// The plot of values at times in milliseconds since the epoch, in any order. Below it are the first and the last time. Empty if
/// there are fewer than two times.
pub(super) fn plot(points: &[(i64, f64)]) -> String {
    let bounds = |of: fn(f64, f64) -> f64, pick: fn(&(i64, f64)) -> f64| points.iter().map(pick).reduce(of);
    let times = (bounds(f64::min, |point| point.0 as f64), bounds(f64::max, |point| point.0 as f64));
    let values = (bounds(f64::min, |point| point.1), bounds(f64::max, |point| point.1));
    let ((Some(first), Some(last)), (Some(low), Some(high))) = (times, values) else { return String::new() };
    if first >= last {
        return String::new();
    }
    let mut cells = [[0_u32; COLUMNS]; ROWS];
    let dot = |&(time, value): &(i64, f64)| {
        // Halved, because the difference of two large numbers may overflow.
        let part = if high > low { (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
        let x = place((time as f64 - first) / (last - first), COLUMNS * DOTS_ACROSS);
        (x, place(1.0 - part, ROWS * DOTS_DOWN))
    };
    let mut draw =
        |(x, y): (usize, usize)| cells[y / DOTS_DOWN][x / DOTS_ACROSS] |= BITS[y % DOTS_DOWN][x % DOTS_ACROSS];
    let mut points = points.to_vec();
    points.sort_unstable_by_key(|point| point.0);
    let longest_ms = usual_distance_ms(&points).saturating_mul(GAP_DISTANCES);
    for point in &points {
        draw(dot(point));
    }
    for pair in points.windows(2).filter(|pair| pair[1].0 - pair[0].0 <= longest_ms) {
        let ((x0, y0), (x1, y1)) = (dot(&pair[0]), dot(&pair[1]));
        let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
        let between = |from: usize, to: usize, step: usize| (from * (steps - step) + to * step + steps / 2) / steps;
        (0..=steps).for_each(|step| draw((between(x0, x1, step), between(y0, y1, step))));
    }
    let mut text = String::new();
    for (nth, row) in cells.iter().enumerate() {
        let label = match nth {
            _ if high == low => short(low).repeat(usize::from(nth == ROWS / 2)),
            0 => short(high),
            _ if nth == ROWS - 1 => short(low),
            _ => String::new(),
        };
        let dots: String = row.iter().filter_map(|bits| char::from_u32(BLANK + bits)).collect();
        let dots = dots.trim_end_matches('\u{2800}').replace('\u{2800}', " ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label:>LABEL_COLUMNS$} ┤{dots}");
    }
    let (from, to) = (DateTime::of_ms(first as i64).to_string(), DateTime::of_ms(last as i64).to_string());
    let _ = writeln!(text, "{:LABEL_COLUMNS$}  {from}{to:>width$}", "", width = COLUMNS - from.chars().count());
    text
}

/// The median distance between neighbouring points.
fn usual_distance_ms(points: &[(i64, f64)]) -> i64 {
    let mut distances: Vec<i64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().unwrap_or_default()
}

/// The index of the dot, of this number of dots, at a fraction of an axis.
fn place(part: f64, dots: usize) -> usize {
    ((part * (dots - 1) as f64).round() as usize).min(dots - 1)
}

/// A number that fits into a label.
fn short(value: f64) -> String {
    let plain = format!("{value}");
    if plain.len() <= LABEL_COLUMNS { plain } else { format!("{value:.4e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_from_the_lower_left_to_the_upper_right() {
        let points: Vec<(i64, f64)> = (0..200).map(|nth| (nth * 1_000, nth as f64)).collect();
        let text = plot(&points);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), ROWS + 1, "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(lines[0].trim_start().starts_with("199 ┤") && lines[7].trim_start().starts_with("0 ┤"), "{text}");
        let first_dot = |line: &str| line.chars().skip(14).position(|c| c != ' ').unwrap();
        assert!(first_dot(lines[0]) > 50 && first_dot(lines[7]) == 0, "{text}");
        assert!(lines[8].contains("1970-01-01T00:00:00Z") && lines[8].ends_with("1970-01-01T00:03:19Z"), "{text}");
    }

    #[test]
    fn points_are_joined_but_across_gaps() {
        let dots =
            |points: &[(i64, f64)]| plot(points).lines().nth(4).unwrap().chars().skip(14).filter(|c| *c != ' ').count();
        let steady: Vec<(i64, f64)> = (0..10).map(|nth| (nth * 60_000, 3.0)).collect();
        assert_eq!(dots(&steady), COLUMNS);
        let with_gap: Vec<(i64, f64)> = steady.into_iter().filter(|(at, _)| !(180_000..480_000).contains(at)).collect();
        assert!((20..40).contains(&dots(&with_gap)), "{}", plot(&with_gap));
    }

    #[test]
    fn odd_points_are_drawn_or_left_out() {
        assert_eq!(plot(&[]), "");
        assert_eq!(plot(&[(5, 1.0)]), "");
        assert!(plot(&[(0, 3.0), (9, 3.0)]).contains('┤'));
        let text = plot(&[(0, f64::MAX), (9, f64::MIN), (5, 0.1 + 0.2)]);
        assert!(text.contains("1.7977e308") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
