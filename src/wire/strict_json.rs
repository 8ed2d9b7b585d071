//! JSON objects that must be objects. The code that serde derives also accepts a list of the field values in their order, and
//! would read `["a", "b"]`, meant as a set, as the value `a` of type `b`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// What stands there as an object, never as a list.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// For fields: `#[serde(deserialize_with = "object")]`.
///
/// # Errors
/// When it is no object, or none of a `T`.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let Object(object) = Object::deserialize(deserializer)?;
    Ok(object)
}

/// The same for one that may be `null`, or absent with `default`.
///
/// # Errors
/// When it is neither `null` nor an object of a `T`.
pub fn optional<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let optional: Option<Object<T>> = Option::deserialize(deserializer)?;
    Ok(optional.map(|Object(object)| object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "object")]
        one: Inner,
        #[serde(default, deserialize_with = "optional")]
        other: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        a: u8,
    }

    #[test]
    fn an_object_is_no_list_of_the_values_of_its_fields() {
        let check = |json: &str, expected: Option<&[u8]>| {
            let read: Result<Object<Outer>, _> = serde_json::from_str(json);
            let values = read.ok().map(|Object(Outer { one, other })| {
                [one].into_iter().chain(other).map(|inner| inner.a).collect::<Vec<_>>()
            });
            assert_eq!(values.as_deref(), expected, "{json}");
        };
        check(r#"{"one":{"a":1}}"#, Some(&[1]));
        check(r#"{"one":{"a":1},"other":null}"#, Some(&[1]));
        check(r#"{"one":{"a":1},"other":{"a":2}}"#, Some(&[1, 2]));
        check(r#"[{"a":1},null]"#, None);
        check(r#"{"one":[1]}"#, None);
        check(r#"{"one":{"a":1},"other":[2]}"#, None);
        check(r#"{"one":null}"#, None);
        check(r#"{"other":{"a":1}}"#, None);
    }
}
