//! The validated query: what is asked, in Prometheus's own terms, once everything StackState sent has been checked.
//!
//! Owns the types that the pure modules share and the rules that a value has to keep to become one of them. Must not know
//! how StackState spells a query (that is `wire`, turned into these types by `api`) nor how PromQL does (`compute::promql`).

use super::aggregation::Aggregation;
use super::decimal::Decimal;
use super::texts::Texts;
use super::time::TimeRange;

/// The most points that go into one response, whatever `limit` says (translation rules, "For every metric query").
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
/// # Ok::<(), prometheusmirror::model::invalid_query::InvalidQuery>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuery {
    /// The metric or expression to fetch.
    pub source: Source,
    /// The time range, both ends included.
    pub range: TimeRange,
    /// How samples are gathered into buckets; `None` asks for them raw.
    pub aggregation: Option<Aggregation>,
    /// The most points of the response, at most [`MAX_POINTS`].
    pub limit: usize,
    /// Which end of the range comes first, and is kept when the limit cuts.
    pub order: Order,
}

/// What to fetch: the condition `__gauge__`, `__counter__` or `~` with the label conditions beside it.
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
    /// All of these hold for a selected series.
    pub matchers: Vec<Matcher>,
}

/// A label and the values it may have. A label a series does not have counts as empty, as everywhere in PromQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// The values, of which one has to be the label's; never none.
    pub any_of: LabelValues,
}

/// Values of which a label has one. A query may have thousands of them, so they take little more memory than their bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LabelValues {
    texts: Texts,
    numbers: Vec<Decimal>,
}

/// What a label's value has to be.
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

    /// The values, the numbers behind the texts.
    pub fn iter(&self) -> impl Iterator<Item = LabelValue<'_>> {
        let numbers = self.numbers.iter().copied().map(LabelValue::Number);
        self.texts.iter().map(LabelValue::Text).chain(numbers)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }

    /// The text, if that is all there is.
    pub fn only_text(&self) -> Option<&str> {
        self.texts.iter().next().filter(|_| self.texts.len() == 1 && self.numbers.is_empty())
    }

    /// Whether a series without the label has one of them.
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
    /// The label has exactly this value.
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

/// What a sample that is not a number becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanInterpretation {
    /// The number 0.
    Zero,
    /// No point.
    None,
}

/// What becomes of a response that the upstream itself calls partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialResponse {
    /// The query fails.
    Deny,
    /// It is used like a whole one, but logged and counted.
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
