//! JSON values where a scalar is expected, and texts of bounded size. A list or an object is read to its end, but its content is
//! not kept.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// The most bytes of a label's value or of a PromQL expression, which may be long. Prometheus has no such bound; that of
/// VictoriaMetrics is 16 KiB by default.
pub const MAX_VALUE_BYTES: usize = 256 << 10;

/// The most bytes of a name: the key of a condition, a field's name, a `_type`, an aggregation method.
pub const MAX_NAME_BYTES: usize = 1 << 10;

/// The most bytes of all values of a query together.
pub const MAX_VALUES_BYTES: usize = 512 << 10;

/// A JSON value of a request, whose size is bounded whatever the request contains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scalar {
    /// `null`, or an absent field.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text of at most [`MAX_VALUE_BYTES`].
    Text(String),
    /// A longer text; only its number of bytes is kept.
    LongText(usize),
    /// A list.
    List,
    /// An object.
    Object,
}

impl Scalar {
    /// The bytes of its text, or 0.
    pub fn text_bytes(&self) -> usize {
        match self {
            Scalar::Text(text) => text.len(),
            _ => 0,
        }
    }

    /// The kind of JSON value.
    pub fn kind(&self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool(_) => "boolean",
            Scalar::Number(_) => "number",
            Scalar::Text(_) | Scalar::LongText(_) => "text",
            Scalar::List => "list",
            Scalar::Object => "object",
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl TryFrom<Scalar> for bool {
    type Error = ();

    fn try_from(scalar: Scalar) -> Result<bool, ()> {
        match scalar {
            Scalar::Bool(truth) => Ok(truth),
            _ => Err(()),
        }
    }
}

/// A text of at most [`MAX_NAME_BYTES`].
pub type Name = BoundedText<MAX_NAME_BYTES>;

/// A text of at most `MAX` bytes, which are at most [`MAX_VALUE_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundedText<const MAX: usize>(pub String);

impl<const MAX: usize> Deref for BoundedText<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<Scalar> for BoundedText<MAX> {
    type Error = ();

    fn try_from(scalar: Scalar) -> Result<Self, ()> {
        match scalar {
            Scalar::Text(text) if text.len() <= MAX => Ok(BoundedText(text)),
            _ => Err(()),
        }
    }
}

/// Reads a value of a type that can be made of a scalar.
///
/// # Errors
/// `must_be`, when it is of another type.
pub(super) fn scalar<'de, D: Deserializer<'de>, T: TryFrom<Scalar>>(
    deserializer: D,
    must_be: &str,
) -> Result<T, D::Error> {
    T::try_from(Scalar::deserialize(deserializer)?).map_err(|_| D::Error::custom(must_be))
}

/// Reads a value of a type that can be made of a scalar, or `null`.
///
/// # Errors
/// `must_be`, when it is of another type.
pub(super) fn optional_scalar<'de, D: Deserializer<'de>, T: TryFrom<Scalar>>(
    deserializer: D,
    must_be: &str,
) -> Result<Option<T>, D::Error> {
    match Scalar::deserialize(deserializer)? {
        Scalar::Null => Ok(None),
        scalar => T::try_from(scalar).map(Some).map_err(|_| D::Error::custom(must_be)),
    }
}

/// Reads any JSON value. Other visitors pass values to it that they do not need.
pub(super) struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Number::from_f64(value).map(Scalar::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(match text.len() {
            length if length > MAX_VALUE_BYTES => Scalar::LongText(length),
            _ => Scalar::Text(text.to_owned()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}

/// Defines the methods of a visitor for scalars: each reads a [`Scalar`] by [`ScalarVisitor`], and applies a function to it.
macro_rules! visit_scalars_as {
    ($make:expr) => {
        visit_scalars_as!($make; visit_unit(), visit_bool(value: bool), visit_u64(value: u64), visit_i64(value: i64),
            visit_f64(value: f64), visit_str(value: &str));
    };
    ($make:expr; $($visit:ident($($value:ident: $type:ty)?)),*) => {$(
        fn $visit<E: serde::de::Error>(self $(, $value: $type)?) -> Result<Self::Value, E> {
            ScalarVisitor.$visit($($value)?).and_then($make)
        }
    )*};
}
pub(super) use visit_scalars_as;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_if_it_is_a_scalar_and_only_named_otherwise() {
        let check = |json: &str, expected: Scalar| {
            let read: Scalar = serde_json::from_str(json).unwrap();
            assert_eq!(read, expected, "{json:.99}");
        };
        check("null", Scalar::Null);
        check("true", Scalar::Bool(true));
        check("-5", Scalar::Number((-5).into()));
        check("18446744073709551615", Scalar::Number(u64::MAX.into()));
        check("0.5", Scalar::Number(Number::from_f64(0.5).unwrap()));
        check(r#""a\u0062""#, Scalar::Text("ab".into()));
        check(&format!("{:?}", "x".repeat(MAX_VALUE_BYTES)), Scalar::Text("x".repeat(MAX_VALUE_BYTES)));
        check(&format!("{:?}", "x".repeat(MAX_VALUE_BYTES + 1)), Scalar::LongText(MAX_VALUE_BYTES + 1));
        check(r#"["a",{"b":[1e999]}]"#, Scalar::List);
        check(r#"{"a":{"b":[]}}"#, Scalar::Object);
        check(&format!("{}{}", "[".repeat(500_000), "]".repeat(500_000)), Scalar::List);
    }
}
