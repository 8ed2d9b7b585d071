//! JSON values where a scalar is expected, and texts of bounded size. A list or an object is read to its end, but its content is
//! not kept.

use std::fmt;
use std::marker::PhantomData;
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
        from_any_json(deserializer)
    }
}

impl FromAnyJson<'_> for Scalar {
    fn from_scalar<E>(scalar: Scalar) -> Result<Scalar, E> {
        Ok(scalar)
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

/// A whole number; `5.0` is one, too, because some serialisers write it so.
impl TryFrom<Scalar> for i64 {
    type Error = ();

    fn try_from(scalar: Scalar) -> Result<i64, ()> {
        let Scalar::Number(number) = scalar else { return Err(()) };
        // Up to 2^53, every whole number is exact.
        let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        number.as_i64().or_else(|| number.as_f64().and_then(from_float)).ok_or(())
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

/// A type that can be made of any JSON value. Unless it says otherwise, a list and an object are read to their ends, and count as
/// scalars.
pub(super) trait FromAnyJson<'de>: Sized {
    fn from_scalar<E: Error>(scalar: Scalar) -> Result<Self, E>;

    fn from_list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Self::from_scalar(Scalar::List)
    }

    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Self::from_scalar(Scalar::Object)
    }
}

/// Reads a value of such a type.
///
/// # Errors
/// Those of the type, and malformed JSON.
pub(super) fn from_any_json<'de, T: FromAnyJson<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(AnyJson(PhantomData))
}

struct AnyJson<T>(PhantomData<T>);

impl<'de, T: FromAnyJson<'de>> Visitor<'de> for AnyJson<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::from_scalar(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        T::from_scalar(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        T::from_scalar(Scalar::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::from_scalar(Scalar::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is out of range"))?;
        T::from_scalar(Scalar::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_scalar(match text.len() {
            length if length > MAX_VALUE_BYTES => Scalar::LongText(length),
            _ => Scalar::Text(text.to_owned()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::from_list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::from_object(fields)
    }
}

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
