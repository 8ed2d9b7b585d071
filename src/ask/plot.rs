//! Plots points in a terminal of 80 columns with Braille characters, each of which has two by four dots.

use std::fmt::Write;

use crate::model::calendar::DateTime;

/// The size of the plot in characters.
const COLUMNS: usize = 64;
const ROWS: usize = 8;

/// The width of the labels beside it, which are the highest and the lowest value.
const LABEL_COLUMNS: usize = 12;

/// Two points are not joined if they are farther apart than this multiple of the median interval.
const MAX_JOINED_INTERVALS: i64 = 3;

/// The number of dots in a character.
const DOTS_ACROSS: usize = 2;
const DOTS_DOWN: usize = 4;

/// The Braille character without dots, and the bits of its dots by row and column.
const BLANK: char = '\u{2800}';
const BITS: [[u32; DOTS_ACROSS]; DOTS_DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// The plot of values at times in milliseconds since 1970, in any order. Below it are the first and the last time. Empty if
/// there are fewer than two times.
pub(super) fn plot(points: &[(i64, f64)]) -> String {
    let mut points = points.to_vec();
    points.sort_unstable_by_key(|point| point.0);
    match Scale::of(&points) {
        Some(scale) => rows(&lines(&points, &scale), &scale),
        None => String::new(),
    }
}

/// The times and values at the edges of the plot.
struct Scale {
    first_ms: i64,
    last_ms: i64,
    low: f64,
    high: f64,
}

impl Scale {
    /// The scale of points in the order of their times, if there are several times.
    fn of(points: &[(i64, f64)]) -> Option<Scale> {
        let (first_ms, last_ms) = (points.first()?.0, points.last()?.0);
        let values = || points.iter().map(|point| point.1);
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        (first_ms < last_ms).then_some(Scale { first_ms, last_ms, low, high })
    }

    /// The column and the row of the dot of a point.
    fn dot(&self, &(time, value): &(i64, f64)) -> (usize, usize) {
        let Scale { first_ms, last_ms, low, high } = *self;
        let across = (time as f64 - first_ms as f64) / (last_ms as f64 - first_ms as f64);
        // Halved, because the difference of two large numbers may overflow.
        let up = if high > low { (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
        (nearest_dot(across, COLUMNS * DOTS_ACROSS), nearest_dot(1.0 - up, ROWS * DOTS_DOWN))
    }
}

/// The bits of the dots of each character.
type Cells = [[u32; COLUMNS]; ROWS];

/// Draws points in the order of their times, and lines between neighbours that are not far apart.
fn lines(points: &[(i64, f64)], scale: &Scale) -> Cells {
    let mut cells = [[0; COLUMNS]; ROWS];
    let mut draw = |x: usize, y: usize| cells[y / DOTS_DOWN][x / DOTS_ACROSS] |= BITS[y % DOTS_DOWN][x % DOTS_ACROSS];
    let max_ms = median_interval_ms(points).saturating_mul(MAX_JOINED_INTERVALS);
    for (nth, point) in points.iter().enumerate() {
        let (x, y) = scale.dot(point);
        let next = points.get(nth + 1).filter(|next| next.0 - point.0 <= max_ms);
        let (next_x, next_y) = next.map_or((x, y), |next| scale.dot(next));
        let steps = x.abs_diff(next_x).max(y.abs_diff(next_y)).max(1);
        let between = |from: usize, to: usize, step: usize| (from * (steps - step) + to * step + steps / 2) / steps;
        (0..=steps).for_each(|step| draw(between(x, next_x, step), between(y, next_y, step)));
    }
    cells
}

/// The rows of the plot with their labels, and a row with the times.
fn rows(cells: &Cells, &Scale { first_ms, last_ms, low, high }: &Scale) -> String {
    let mut text = String::new();
    for (nth, row) in cells.iter().enumerate() {
        let label = match nth {
            _ if high == low => short(low).repeat(usize::from(nth == ROWS / 2)),
            0 => short(high),
            _ if nth == ROWS - 1 => short(low),
            _ => String::new(),
        };
        let dots: String = row.iter().filter_map(|bits| char::from_u32(u32::from(BLANK) + bits)).collect();
        let dots = dots.trim_end_matches(BLANK).replace(BLANK, " ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label:>LABEL_COLUMNS$} ┤{dots}");
    }
    let (from, to) = (DateTime::of_ms(first_ms).to_string(), DateTime::of_ms(last_ms).to_string());
    let _ = writeln!(text, "{:LABEL_COLUMNS$}  {from}{to:>width$}", "", width = COLUMNS - from.chars().count());
    text
}

/// The median interval between neighbouring points.
fn median_interval_ms(points: &[(i64, f64)]) -> i64 {
    let mut intervals: Vec<i64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    intervals.sort_unstable();
    intervals.get(intervals.len() / 2).copied().unwrap_or_default()
}

/// The index of the dot at a fraction of an axis that has this number of dots.
fn nearest_dot(fraction: f64, dots: usize) -> usize {
    ((fraction * (dots - 1) as f64).round() as usize).min(dots - 1)
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
    fn neighbours_are_joined_unless_there_is_a_gap_between_them() {
        let dots =
            |points: &[(i64, f64)]| plot(points).lines().nth(4).unwrap().chars().skip(14).filter(|c| *c != ' ').count();
        let steady: Vec<(i64, f64)> = (0..10).map(|nth| (nth * 60_000, 3.0)).collect();
        assert_eq!(dots(&steady), COLUMNS);
        let with_gap: Vec<(i64, f64)> = steady.into_iter().filter(|(at, _)| !(180_000..480_000).contains(at)).collect();
        assert!((20..40).contains(&dots(&with_gap)), "{}", plot(&with_gap));
    }

    #[test]
    fn a_plot_needs_two_times_and_bears_any_value() {
        assert_eq!(plot(&[]), "");
        assert_eq!(plot(&[(5, 1.0)]), "");
        assert!(plot(&[(0, 3.0), (9, 3.0)]).contains('┤'));
        let text = plot(&[(0, f64::MAX), (9, f64::MIN), (5, 0.1 + 0.2)]);
        assert!(text.contains("1.7977e308") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
