//! The validated query: what is asked, in Prometheus's own terms, once everything StackState sent has been checked.
//!
//! Owns the types that the pure modules share and the rules that a value has to keep to become one of them. Must not know
//! how StackState spells a query (that is `wire`, turned into these types by `api`) nor how PromQL does (`compute::promql`).

use std::fmt;

use super::decimal::Decimal;
use super::texts::Texts;
use super::time::{BadRange, LATEST_MS, TimeRange};

/// The most points that go into one answer, whatever `limit` says (translation rules, "For every metric query").
pub const MAX_POINTS: usize = 1_000_000;

/// A query for metric values.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricQuery {
    /// What to fetch.
    pub source: Source,
    /// From when to when.
    pub range: TimeRange,
    /// How samples are gathered into buckets; `None` asks for them raw.
    pub aggregation: Option<Aggregation>,
    /// The most points to answer with, at most [`MAX_POINTS`].
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

/// What becomes of an answer that the upstream itself calls partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialResponse {
    /// It is an error.
    Deny,
    /// It is taken, logged and counted.
    Allow,
}

/// How samples are gathered into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregation {
    /// What is computed of a bucket's samples.
    pub method: AggregationMethod,
    /// Whether a whole bucket without data is a point of value 0.
    pub zero_fill: bool,
    /// The length of a bucket in milliseconds, 1 to [`LATEST_MS`].
    pub bucket_ms: i64,
}

/// What is computed of a bucket's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregationMethod {
    /// The arithmetic mean.
    Mean,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// A percentile, in percent.
    Percentile(u8),
    /// The sum; of a counter, its increase.
    Sum,
    /// How many there are.
    EventCount,
}

/// The methods by the names the Mirror API gives them, and whether a bucket without data counts as zero.
const METHODS: [(&str, AggregationMethod, bool); 14] = [
    ("MEAN", AggregationMethod::Mean, false),
    ("PERCENTILE_25", AggregationMethod::Percentile(25), false),
    ("PERCENTILE_50", AggregationMethod::Percentile(50), false),
    ("PERCENTILE_75", AggregationMethod::Percentile(75), false),
    ("PERCENTILE_90", AggregationMethod::Percentile(90), false),
    ("PERCENTILE_95", AggregationMethod::Percentile(95), false),
    ("PERCENTILE_98", AggregationMethod::Percentile(98), false),
    ("PERCENTILE_99", AggregationMethod::Percentile(99), false),
    ("MAX", AggregationMethod::Max, false),
    ("MIN", AggregationMethod::Min, false),
    ("SUM", AggregationMethod::Sum, true),
    ("EVENT_COUNT", AggregationMethod::EventCount, true),
    ("SUM_NO_ZEROS", AggregationMethod::Sum, false),
    ("EVENT_COUNT_NO_ZEROS", AggregationMethod::EventCount, false),
];

impl Aggregation {
    /// The names of all methods in the Mirror API.
    pub fn methods() -> impl Iterator<Item = &'static str> {
        METHODS.iter().map(|(name, ..)| *name)
    }

    /// An aggregation by its name in the Mirror API, compared without case, and the bucket's length in milliseconds.
    ///
    /// # Errors
    /// When no method has that name, or the length is not within 1 to [`LATEST_MS`].
    pub fn new(method: &str, bucket_ms: i64) -> Result<Aggregation, Invalid> {
        let known = METHODS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(method));
        let Some(&(_, method, zero_fill)) = known else {
            return Err(Invalid::Method(method.to_owned()));
        };
        if !(1..=LATEST_MS).contains(&bucket_ms) {
            return Err(Invalid::Bucket(bucket_ms));
        }
        Ok(Aggregation { method, zero_fill, bucket_ms })
    }
}

/// Why something StackState sent is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// None, or more than one, of `__gauge__`, `__counter__` and `~` names what to fetch.
    Sources {
        /// How many there were.
        count: usize,
    },
    /// One of the three keys has a value that names no single metric or expression.
    SourceValue {
        /// The key.
        key: String,
    },
    /// Labels beside an expression, which has no room for them.
    LabelsBesideExpression(Vec<String>),
    /// A field without a name.
    NoField,
    /// A set of no values, which no series can match.
    EmptySet {
        /// The condition's key.
        key: String,
    },
    /// A condition that is not an equality.
    ConditionType {
        /// The condition's key.
        key: String,
        /// Its type as StackState calls it, if that is a name.
        kind: Option<String>,
    },
    /// More conditions than are taken.
    TooManyConditions {
        /// How many there are.
        count: usize,
        /// How many are taken.
        most: usize,
    },
    /// Sets of more values than are taken.
    TooManyValues {
        /// How many are taken, of all sets together.
        most: usize,
    },
    /// Values that together are longer than is taken.
    ValuesTooLong {
        /// The length that is taken, in bytes.
        most: usize,
    },
    /// A text that is longer than those that are taken.
    ValueTooLong {
        /// The condition's key.
        key: String,
        /// Its length in bytes.
        bytes: usize,
        /// The length that is taken, in bytes.
        most: usize,
    },
    /// Values that make a longer pattern than is sent.
    PatternTooLong {
        /// The most characters of all patterns together.
        most: usize,
    },
    /// An expression whose patterns are longer than those that are sent.
    ExpressionPatternTooLong {
        /// The most characters of all its patterns together.
        most: usize,
    },
    /// A value of a type that labels cannot hold.
    ValueType {
        /// The type as StackState calls it.
        mirror_type: String,
    },
    /// No range of time.
    Range(BadRange),
    /// An aggregation method that the Mirror API does not have.
    Method(String),
    /// A bucket length that is not positive, or beyond all bounds; in milliseconds.
    Bucket(i64),
    /// A limit or offset below zero.
    Negative {
        /// The field that holds it.
        field: &'static str,
        /// The number.
        value: i64,
    },
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEYS: &str = "__gauge__ (a metric's values), __counter__ (a metric's rate per second) or ~ (PromQL)";
        match self {
            Invalid::Sources { count: 0 } => {
                write!(f, "no condition names what to fetch: add exactly one of {KEYS}")
            }
            Invalid::Sources { count } => {
                write!(f, "{count} conditions name what to fetch: keep exactly one of {KEYS}")
            }
            Invalid::SourceValue { key } => {
                write!(
                    f,
                    "the condition {key} must have one non-empty text as its value; what to fetch is named by {KEYS}"
                )
            }
            Invalid::LabelsBesideExpression(labels) => write!(
                f,
                "conditions on {} stand beside a ~ expression, which they cannot narrow: \
                 write them into the expression as label matchers and remove the conditions",
                labels.join(", ")
            ),
            Invalid::NoField => f.write_str("field.fieldName is empty: name the field whose values are asked for"),
            Invalid::EmptySet { key } => {
                write!(f, "the condition on {key} has an empty set of values, which no series can match: add a value")
            }
            Invalid::ConditionType { key, kind } => {
                let kind =
                    kind.as_ref().map(|kind| format!("of type {kind}")).unwrap_or("of an unknown type".to_owned());
                write!(
                    f,
                    "the condition on {key} is {kind}, which is not supported: use an EqualityCondition (with a set for several \
                     values), or write a ~ expression, where {{label!=\"value\"}} and {{label=~\"pattern\"}} are possible"
                )
            }
            Invalid::TooManyConditions { count, most } => {
                write!(f, "the query has {count} conditions, and at most {most} are accepted: remove some")
            }
            Invalid::TooManyValues { most } => write!(
                f,
                "the sets of the conditions have more than {most} values together, the most that are accepted: remove some, or \
                 write a ~ expression with a pattern"
            ),
            Invalid::ValuesTooLong { most } => write!(
                f,
                "the values of the conditions have more than {most} bytes together, the most that are accepted: remove some, or \
                 write a ~ expression with a pattern"
            ),
            Invalid::ValueTooLong { key, bytes, most } => write!(
                f,
                "the value of the condition {key} has {bytes} bytes, and at most {most} are accepted: shorten it, for example by \
                 a recording rule in Prometheus"
            ),
            Invalid::PatternTooLong { most } => write!(
                f,
                "the sets and numbers of the conditions, or the prefix, make patterns of more than {most} characters together, the most that are \
                 sent, since Prometheus needs much memory for longer ones: remove values, or write a ~ expression with a short \
                 pattern, such as {{label=~\"web-.*\"}}"
            ),
            Invalid::ExpressionPatternTooLong { most } => write!(
                f,
                "the patterns of the ~ expression (=~ and !~) have more than {most} characters together, the most that are sent, since \
                 Prometheus needs much memory for longer ones: shorten them, or use a label with fewer values"
            ),
            Invalid::ValueType { mirror_type } => {
                write!(f, "Prometheus labels cannot hold a value of type {mirror_type}")
            }
            Invalid::Range(range) => range.fmt(f),
            Invalid::Method(method) => {
                let names: Vec<&str> = METHODS.iter().map(|(name, ..)| *name).collect();
                write!(f, "aggregation method {method:?} is unknown: use one of {}", names.join(", "))
            }
            Invalid::Bucket(bucket) => {
                write!(f, "bucketSizeMillis must be a number of milliseconds from 1 to {LATEST_MS}, not {bucket}")
            }
            Invalid::Negative { field, value } => write!(f, "{field} must not be negative, but is {value}"),
        }
    }
}

impl std::error::Error for Invalid {}

impl From<BadRange> for Invalid {
    fn from(range: BadRange) -> Invalid {
        Invalid::Range(range)
    }
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

    #[test]
    fn a_method_is_found_without_regard_to_case() {
        let found = Aggregation::new("sum_No_zeros", 60_000).unwrap();
        assert_eq!(found, Aggregation { method: AggregationMethod::Sum, zero_fill: false, bucket_ms: 60_000 });
        assert!(Aggregation::new("SUM", 1).unwrap().zero_fill);
    }

    #[test]
    fn an_unknown_method_is_told_the_known_ones() {
        let error = Aggregation::new("AVERAGE", 60_000).unwrap_err().to_string();
        assert!(error.contains("\"AVERAGE\"") && error.contains("PERCENTILE_98"), "{error}");
    }

    #[test]
    fn a_bucket_has_at_least_one_millisecond() {
        assert_eq!(Aggregation::new("MEAN", 0), Err(Invalid::Bucket(0)));
        assert_eq!(Aggregation::new("MEAN", i64::MIN), Err(Invalid::Bucket(i64::MIN)));
        assert_eq!(Aggregation::new("MEAN", i64::MAX), Err(Invalid::Bucket(i64::MAX)));
    }
}
