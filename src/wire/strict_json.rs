//! Reads JSON objects, and only these. The code that serde derives accepts a list in place of an object, as the values of its
//! fields in their order: it would read the set `["a", "b"]` as the value `a` of type `b`.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess};

use crate::wire::scalar::{FromAnyJson, Scalar, from_any_json};

/// The value of a field that should be an object.
#[derive(Debug, Default)]
pub(super) enum MaybeObject<T> {
    /// An object.
    Object(T),
    /// `null`, or an absent field.
    #[default]
    Null,
    /// Anything else.
    Other,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MaybeObject<T>, D::Error> {
        from_any_json(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> FromAnyJson<'de> for MaybeObject<T> {
    fn from_scalar<E>(scalar: Scalar) -> Result<MaybeObject<T>, E> {
        Ok(if scalar == Scalar::Null { MaybeObject::Null } else { MaybeObject::Other })
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<MaybeObject<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(MaybeObject::Object)
    }
}

/// Reads an object.
///
/// # Errors
/// `must_be`, when it is something else.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    must_be: &str,
) -> Result<T, D::Error> {
    optional_object(deserializer, must_be)?.ok_or_else(|| D::Error::custom(must_be))
}

/// Reads an object, or `null`.
///
/// # Errors
/// `must_be`, when it is something else.
pub(super) fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    must_be: &str,
) -> Result<Option<T>, D::Error> {
    match MaybeObject::deserialize(deserializer)? {
        MaybeObject::Object(object) => Ok(Some(object)),
        MaybeObject::Null => Ok(None),
        MaybeObject::Other => Err(D::Error::custom(must_be)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "one")]
        one: Inner,
        #[serde(default, deserialize_with = "other")]
        other: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        a: u8,
    }

    fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Inner, D::Error> {
        object(deserializer, "one must be an object")
    }

    fn other<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Inner>, D::Error> {
        optional_object(deserializer, "other must be an object, or null")
    }

    #[test]
    fn a_list_is_not_read_as_the_values_of_fields() {
        let check = |json: &str, expected: Result<&[u8], &str>| {
            let outer = object::<_, Outer>(&mut serde_json::Deserializer::from_str(json), "it must be an object");
            let values =
                outer.map(|Outer { one, other }| [one].into_iter().chain(other).map(|inner| inner.a).collect());
            match (values, expected) {
                (Ok::<Vec<u8>, _>(values), expected) => assert_eq!(Ok(&values[..]), expected, "{json}"),
                (Err(error), expected) => {
                    assert!(error.to_string().starts_with(expected.unwrap_err()), "{json}: {error}");
                }
            }
        };
        let (it, one) = (Err("it must be an object"), Err("one must be an object"));
        check(r#"{"one":{"a":1}}"#, Ok(&[1]));
        check(r#"{"one":{"a":1},"other":null}"#, Ok(&[1]));
        check(r#"{"one":{"a":1},"other":{"a":2}}"#, Ok(&[1, 2]));
        check(r#"[{"a":1},null]"#, it);
        check("null", it);
        check(r#"{"one":[1]}"#, one);
        check(r#"{"one":null}"#, one);
        check(r#"{"one":"a"}"#, one);
        check(r#"{"one":{"a":1},"other":[2]}"#, Err("other must be an object, or null"));
        check(r#"{"one":{"a":1},"other":2}"#, Err("other must be an object, or null"));
        check(r#"{"other":{"a":1}}"#, Err("missing field `one`"));
        check(r#"{"one":{"a":1}"#, Err("EOF"));
    }
}
