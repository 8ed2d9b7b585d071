//! Why what StackState sent is no valid query, in words for the admin who reads them.

use std::fmt;

use super::aggregation::BadAggregation;
use super::time::BadRange;

/// Why something StackState sent is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidQuery {
    /// None, or more than one, of `__gauge__`, `__counter__` and `~` names what to fetch.
    Sources {
        /// How many conditions do.
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
    /// More than a query may have.
    TooLarge(TooLarge),
    /// A value of a type that labels cannot hold.
    ValueType {
        /// The type as StackState calls it.
        mirror_type: String,
    },
    /// Start and end that are not a range of time.
    Range(BadRange),
    /// An unknown method, or a bucket length out of bounds.
    Aggregation(BadAggregation),
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
            InvalidQuery::NoField => f.write_str("field.fieldName is empty: name the field whose values are asked for"),
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
            InvalidQuery::Range(range) => range.fmt(f),
            InvalidQuery::Aggregation(bad) => bad.fmt(f),
            InvalidQuery::Negative { field, value } => write!(f, "{field} must not be negative, but is {value}"),
        }
    }
}

impl std::error::Error for InvalidQuery {}

impl From<BadRange> for InvalidQuery {
    fn from(range: BadRange) -> InvalidQuery {
        InvalidQuery::Range(range)
    }
}

impl From<BadAggregation> for InvalidQuery {
    fn from(bad: BadAggregation) -> InvalidQuery {
        InvalidQuery::Aggregation(bad)
    }
}

impl From<TooLarge> for InvalidQuery {
    fn from(too_large: TooLarge) -> InvalidQuery {
        InvalidQuery::TooLarge(too_large)
    }
}

/// What a query has more of than it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TooLarge {
    /// More conditions than are taken.
    Conditions {
        /// How many there are.
        count: usize,
        /// How many are taken.
        most: usize,
    },
    /// Sets of more values than are taken.
    SetValues {
        /// How many are taken, of all sets together.
        most: usize,
    },
    /// Values that together are longer than is taken.
    ValueBytes {
        /// The length that is taken, in bytes.
        most: usize,
    },
    /// A text that is longer than those that are taken.
    Value {
        /// The condition's key.
        key: String,
        /// Its length in bytes.
        bytes: usize,
        /// The length that is taken, in bytes.
        most: usize,
    },
    /// Values that make a longer pattern than is sent.
    Patterns {
        /// The most characters of all patterns together.
        most: usize,
    },
    /// An expression whose patterns are longer than those that are sent.
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
