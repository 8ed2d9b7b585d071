//! The reasons why a query of StackState's is invalid, in words for the admin who reads them.

use std::fmt;

/// Why a query of StackState's is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidQuery {
    /// Not exactly one condition has the key `__gauge__`, `__counter__` or `~`.
    Sources {
        /// How many conditions have one of these keys.
        count: usize,
    },
    /// The value for one of these keys is not a single metric or expression.
    SourceValue {
        /// The key.
        key: String,
    },
    /// Conditions on labels beside an expression, which they cannot narrow.
    LabelsBesideExpression(Vec<String>),
    /// A query for the values of a field without a name.
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
        /// StackState's name for its type, if it has the form of a name.
        kind: Option<String>,
    },
    /// A query that exceeds a bound.
    TooLarge(TooLarge),
    /// A value of a type that labels cannot have.
    ValueType {
        /// StackState's name for the type.
        mirror_type: String,
    },
    /// A start or an end that is negative or too late.
    TimeOutside {
        /// The field that holds it.
        field: &'static str,
        /// The instant, in milliseconds since the epoch.
        value: i64,
        /// The latest instant that is accepted, in milliseconds since the epoch.
        latest: i64,
    },
    /// A time range that ends before it starts.
    TimesReversed {
        /// Milliseconds since the epoch.
        start: i64,
        /// Milliseconds since the epoch.
        end: i64,
    },
    /// An aggregation method that the Mirror API does not have.
    UnknownMethod {
        /// The method.
        method: String,
        /// The methods of the Mirror API.
        known: Vec<&'static str>,
    },
    /// A bucket length that is not positive or too long.
    BucketLength {
        /// The length in milliseconds.
        bucket_ms: i64,
        /// The longest that is accepted, in milliseconds.
        longest_ms: i64,
    },
    /// A limit or offset below zero.
    Negative {
        /// The field that holds it.
        field: &'static str,
        /// The number.
        value: i64,
    },
}

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEYS: &str = "__gauge__ (a metric's values), __counter__ (a metric's rate per second) or ~ (PromQL)";
        match self {
            InvalidQuery::Sources { count: 0 } => {
                write!(f, "no condition selects a metric or an expression: add exactly one of {KEYS}")
            }
            InvalidQuery::Sources { count } => {
                write!(f, "{count} conditions select a metric or an expression: keep exactly one of {KEYS}")
            }
            InvalidQuery::SourceValue { key } => {
                write!(
                    f,
                    "the condition {key} must have one non-empty text as its value; select a metric or an expression with \
                     {KEYS}"
                )
            }
            InvalidQuery::LabelsBesideExpression(labels) => write!(
                f,
                "conditions on {} stand beside a ~ expression, which they cannot narrow: \
                 write them into the expression as label matchers and remove the conditions",
                labels.join(", ")
            ),
            InvalidQuery::NoField => f.write_str("field.fieldName is empty: name the field whose values you query"),
            InvalidQuery::EmptySet { key } => {
                write!(f, "the condition on {key} has an empty set of values, which no series can match: add a value")
            }
            InvalidQuery::ConditionType { key, kind } => {
                let kind =
                    kind.as_ref().map_or_else(|| "of an unknown type".to_owned(), |kind| format!("of type {kind}"));
                write!(
                    f,
                    "the condition on {key} is {kind}, which is not supported: use an EqualityCondition (with a set for several \
                     values), or write a ~ expression, where {{label!=\"value\"}} and {{label=~\"pattern\"}} are possible"
                )
            }
            InvalidQuery::TooLarge(too_large) => too_large.fmt(f),
            InvalidQuery::ValueType { mirror_type } => {
                write!(f, "Prometheus labels cannot hold a value of type {mirror_type}")
            }
            InvalidQuery::TimeOutside { field, value, latest } => {
                write!(f, "{field} must be milliseconds since 1970, from 0 to {latest}, not {value}")
            }
            InvalidQuery::TimesReversed { start, end } => {
                write!(f, "startTime {start} comes after endTime {end}: swap them")
            }
            InvalidQuery::UnknownMethod { method, known } => {
                write!(f, "aggregation method {method:?} is unknown: use one of {}", known.join(", "))
            }
            InvalidQuery::BucketLength { bucket_ms, longest_ms } => {
                write!(f, "bucketSizeMillis must be a number of milliseconds from 1 to {longest_ms}, not {bucket_ms}")
            }
            InvalidQuery::Negative { field, value } => write!(f, "{field} must not be negative, but is {value}"),
        }
    }
}

impl std::error::Error for InvalidQuery {}

impl From<TooLarge> for InvalidQuery {
    fn from(too_large: TooLarge) -> InvalidQuery {
        InvalidQuery::TooLarge(too_large)
    }
}

/// The bound that a query exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TooLarge {
    /// Too many conditions.
    Conditions {
        /// How many there are.
        count: usize,
        /// The most that are accepted.
        most: usize,
    },
    /// Too many values in sets.
    SetValues {
        /// The most that are accepted, of all sets together.
        most: usize,
    },
    /// Values that are too long together.
    ValueBytes {
        /// The most that is accepted, in bytes.
        most: usize,
    },
    /// A value that is too long.
    Value {
        /// The condition's key.
        key: String,
        /// Its length in bytes.
        bytes: usize,
        /// The most that is accepted, in bytes.
        most: usize,
    },
    /// Values or a prefix whose patterns are too long to be sent.
    Patterns {
        /// The most characters of all patterns together.
        most: usize,
    },
    /// An expression whose patterns are too long to be sent.
    ExpressionPatterns {
        /// The most characters of all its patterns together.
        most: usize,
    },
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooLarge::Conditions { count, most } => {
                write!(f, "the query has {count} conditions, and at most {most} are accepted: remove some")
            }
            TooLarge::SetValues { most } => write!(
                f,
                "the sets of the conditions have more than {most} values together, the most that are accepted: remove some, or \
                 write a ~ expression with a pattern"
            ),
            TooLarge::ValueBytes { most } => write!(
                f,
                "the values of the conditions have more than {most} bytes together, the most that are accepted: remove some, or \
                 write a ~ expression with a pattern"
            ),
            TooLarge::Value { key, bytes, most } => write!(
                f,
                "the value of the condition {key} has {bytes} bytes, and at most {most} are accepted: shorten it, for example by \
                 a recording rule in Prometheus"
            ),
            TooLarge::Patterns { most } => write!(
                f,
                "the sets and numbers of the conditions, or the prefix, make patterns of more than {most} characters together, the most that are \
                 sent, since Prometheus needs much memory for longer ones: remove values, or write a ~ expression with a short \
                 pattern, such as {{label=~\"web-.*\"}}"
            ),
            TooLarge::ExpressionPatterns { most } => write!(
                f,
                "the patterns of the ~ expression (=~ and !~) have more than {most} characters together, the most that are sent, since \
                 Prometheus needs much memory for longer ones: shorten them, or use a label with fewer values"
            ),
        }
    }
}
