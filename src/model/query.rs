//! The validated query, in Prometheus's terms, after everything that StackState sent has been checked.
//!
//! Owns the types that the pure modules share. Does not know StackState's form of a query (`wire`, which `api` turns into these
//! types) nor PromQL (`compute::promql`).

use super::aggregation::Aggregation;
use super::decimal::Decimal;
use super::texts::Texts;
use super::time::TimeRange;

/// The most points of one response, whatever `limit` says.
pub const MAX_POINTS: usize = 1_000_000;

/// A query for metric values.
///
/// ```
/// use prometheusmirror::model::aggregation::Aggregation;
/// use prometheusmirror::model::query::{MAX_POINTS, Matcher, MetricQuery, Order, Selector, Source};
/// use prometheusmirror::model::time::TimeRange;
///
/// // The largest rate in each minute of three hours, of all series of a job together.
/// let query = MetricQuery {
///     source: Source::Counter(Selector {
///         metric: "http_requests_total".to_owned(),
///         matchers: vec![Matcher::equal("job", "payment-service")],
///     }),
///     range: TimeRange::new(1_504_400_400_000, 1_504_411_200_000)?,
///     aggregation: Some(Aggregation::new("MAX", 60_000)?),
///     limit: MAX_POINTS,
///     order: Order::OldestFirst,
/// };
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuery {
    /// The metric or expression to fetch.
    pub source: Source,
    /// The time range, both ends included.
    pub range: TimeRange,
    /// How samples are aggregated in buckets; `None` for a raw query.
    pub aggregation: Option<Aggregation>,
    /// The most points of the response, at most [`MAX_POINTS`].
    pub limit: usize,
    /// Which end of the range comes first. If the limit cuts points off, those at this end stay.
    pub order: Order,
}

/// What a query fetches: the condition `__gauge__`, `__counter__` or `~`, with the label conditions beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The samples of a metric as they are.
    Gauge(Selector),
    /// The samples of a metric as a rate per second.
    Counter(Selector),
    /// Any PromQL expression.
    Expression(String),
}

/// A metric and the matchers that narrow its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric's name; never empty.
    pub metric: String,
    /// A selected series matches all of these.
    pub matchers: Vec<Matcher>,
}

/// A label and the values that it may have. As in PromQL, a label that a series lacks counts as empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// The values, one of which the label must have; never empty.
    pub any_of: LabelValues,
}

/// The values that a label may have. There may be thousands of them, so they take little more memory than their bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LabelValues {
    texts: Texts,
    numbers: Vec<Decimal>,
}

/// One value that a label may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelValue<'v> {
    /// This text.
    Text(&'v str),
    /// Any spelling of this number.
    Number(Decimal),
}

impl LabelValues {
    /// Adds a value.
    pub fn push(&mut self, value: LabelValue<'_>) {
        match value {
            LabelValue::Text(text) => self.texts.push(text),
            LabelValue::Number(number) => self.numbers.push(number),
        }
    }

    /// The values: first the texts, then the numbers.
    pub fn iter(&self) -> impl Iterator<Item = LabelValue<'_>> {
        let numbers = self.numbers.iter().copied().map(LabelValue::Number);
        self.texts.iter().map(LabelValue::Text).chain(numbers)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }

    /// The only value, if there is exactly one and it is a text.
    pub fn only_text(&self) -> Option<&str> {
        self.texts.iter().next().filter(|_| self.texts.len() == 1 && self.numbers.is_empty())
    }

    /// Whether a series without the label matches.
    pub fn admit_absence(&self) -> bool {
        self.texts.iter().any(str::is_empty)
    }
}

impl<'v> FromIterator<LabelValue<'v>> for LabelValues {
    fn from_iter<I: IntoIterator<Item = LabelValue<'v>>>(values: I) -> LabelValues {
        let mut all = LabelValues::default();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

impl Matcher {
    /// A matcher of exactly this value.
    pub fn equal(label: impl Into<String>, value: &str) -> Matcher {
        Matcher { label: label.into(), any_of: LabelValues::from_iter([LabelValue::Text(value)]) }
    }
}

/// Which end of the range comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Points come oldest first and the limit keeps the oldest.
    OldestFirst,
    /// Points come newest first and the limit keeps the newest.
    NewestFirst,
}

impl Order {
    /// The indices of `count` instants or buckets in this order. Index 0 is the oldest.
    pub fn indices(self, count: i64) -> impl Iterator<Item = i64> {
        (0..count).map(move |nth| match self {
            Order::OldestFirst => nth,
            Order::NewestFirst => count - 1 - nth,
        })
    }
}

/// What a sample becomes whose value is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanInterpretation {
    /// The number 0.
    Zero,
    /// No point.
    None,
}

/// How the mirror treats a response that the upstream calls partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialResponse {
    /// The query fails.
    Deny,
    /// The mirror uses it like a whole one, but logs and counts it.
    Allow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_label_are_texts_and_then_numbers() {
        let number = |digits| LabelValue::Number(Decimal { is_negative: false, digits, exponent: 0 });
        let check = |values: &[LabelValue<'_>], only_text: Option<&str>, admit_absence: bool| {
            let all: LabelValues = values.iter().rev().copied().collect();
            let listed: Vec<LabelValue<'_>> = all.iter().collect();
            assert_eq!((listed.len(), all.is_empty()), (values.len(), values.is_empty()), "{values:?}");
            assert!(values.iter().all(|value| listed.contains(value)), "{values:?}");
            assert!(listed.is_sorted_by_key(|value| matches!(value, LabelValue::Number(_))), "{listed:?}");
            assert_eq!((all.only_text(), all.admit_absence()), (only_text, admit_absence), "{values:?}");
        };
        let text = LabelValue::Text;
        check(&[], None, false);
        check(&[text("a")], Some("a"), false);
        check(&[text("")], Some(""), true);
        check(&[number(0)], None, false);
        check(&[text("a"), text("")], None, true);
        check(&[text("a"), number(5), text("b")], None, false);
    }
}
