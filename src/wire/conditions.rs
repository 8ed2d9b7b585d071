//! The conditions of a query, bounded while they are read. Items beyond a bound are counted but not kept, so that the error can say
//! how many there were.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess};

use crate::wire::scalar::{FromAnyJson, MAX_VALUES_BYTES, Name, Scalar, from_any_json};
use crate::wire::strict_json::MaybeObject;

/// The most conditions of a query.
pub const MAX_CONDITIONS: usize = 100;

/// The most values of a set, and of all sets of a query together.
pub const MAX_SET_VALUES: usize = 25_000;

/// The conditions of a query.
#[derive(Debug, Default)]
pub struct Conditions {
    /// The first conditions; all of them if no bound is exceeded.
    pub kept: Vec<Condition>,
    /// How many there are.
    pub count: usize,
    /// The number of values in the sets of `kept`.
    pub set_values: usize,
    /// The bytes of the values of `kept`.
    pub value_bytes: usize,
}

impl Conditions {
    /// Whether another condition may be kept.
    fn has_room(&self) -> bool {
        self.kept.len() < MAX_CONDITIONS && self.set_values <= MAX_SET_VALUES && self.value_bytes <= MAX_VALUES_BYTES
    }

    fn add(&mut self, condition: Condition) {
        match condition.value.as_ref().map(|value| &value.value) {
            Some(ScalarOrSet::One(value)) => self.value_bytes += value.text_bytes(),
            Some(ScalarOrSet::Set(set)) => {
                self.set_values += set.count;
                self.value_bytes += set.kept.iter().map(|item| item.value.text_bytes()).sum::<usize>();
            }
            None => {}
        }
        self.count += 1;
        self.kept.push(condition);
    }
}

/// `EqualityCondition`.
#[derive(Debug)]
pub struct Condition {
    /// A label's name, or one of the keys `__gauge__`, `__counter__` and `~`.
    pub key: Name,
    /// The value that the label must equal.
    pub value: Option<TypedValue<ScalarOrSet>>,
    /// The field `_type`, which must be a text or absent.
    pub type_name: Scalar,
}

/// A value, and its type.
#[derive(Debug)]
pub struct TypedValue<V> {
    /// The value itself; [`Scalar::Object`] for an object in a set without the field `value`.
    pub value: V,
    /// StackState's name for its type, unless labels can have this type.
    pub type_name: Option<Box<Name>>,
}

/// One value, or a set of them.
#[derive(Debug)]
pub enum ScalarOrSet {
    /// One value.
    One(Scalar),
    /// Any of these.
    Set(ValueSet),
}

impl Default for ScalarOrSet {
    fn default() -> ScalarOrSet {
        ScalarOrSet::One(Scalar::Null)
    }
}

/// The values of a set.
#[derive(Debug, Default)]
pub struct ValueSet {
    /// The first values, at most [`MAX_SET_VALUES`], which are sent bare or as objects with a type.
    pub kept: Vec<TypedValue<Scalar>>,
    /// How many there are.
    pub count: usize,
    /// The index of the first value in `kept` whose `_type` is not a name.
    bad_type: Option<usize>,
}

/// A condition as it is sent.
#[derive(Deserialize)]
struct SentCondition {
    #[serde(default)]
    key: Scalar,
    #[serde(default)]
    value: MaybeObject<SentValue>,
    #[serde(default, rename = "_type")]
    type_name: Scalar,
}

/// The value of a condition as it is sent.
#[derive(Deserialize)]
struct SentValue {
    #[serde(default, deserialize_with = "from_any_json")]
    value: ScalarOrSet,
    #[serde(default, rename = "_type")]
    type_name: Scalar,
}

impl Condition {
    /// Checks a condition. The error says which field is wrong, and what it must be.
    fn of(sent: SentCondition) -> Result<Condition, String> {
        let key = Name::try_from(sent.key).map_err(|()| format!("key must be {A_NAME}"))?;
        let value = match sent.value {
            MaybeObject::Null => None,
            MaybeObject::Other => return Err("value must be an object such as {\"value\": \"x\"}, or null".to_owned()),
            MaybeObject::Object(SentValue { value, type_name }) => {
                if let ScalarOrSet::Set(ValueSet { bad_type: Some(nth), .. }) = value {
                    return Err(format!("value.value[{nth}]._type must be {A_NAME}, or null"));
                }
                let type_name =
                    unsupported(type_name).map_err(|()| format!("value._type must be {A_NAME}, or null"))?;
                Some(TypedValue { value, type_name })
            }
        };
        Ok(Condition { key, value, type_name: sent.type_name })
    }
}

/// What a [`Name`] must be.
const A_NAME: &str = "a text of at most 1024 bytes";

/// StackState's names for the types that labels can have.
const LABEL_TYPES: [&str; 4] = ["StringValue", "DoubleValue", "BooleanValue", "InSetValue"];

/// The type of a value, unless it is absent or labels can have it.
fn unsupported(type_name: Scalar) -> Result<Option<Box<Name>>, ()> {
    match type_name {
        Scalar::Null => Ok(None),
        Scalar::Text(type_name) if LABEL_TYPES.contains(&type_name.as_str()) => Ok(None),
        type_name => Name::try_from(type_name).map(Box::new).map(Some),
    }
}

impl<'de> FromAnyJson<'de> for Conditions {
    fn from_scalar<E: Error>(scalar: Scalar) -> Result<Conditions, E> {
        match scalar {
            Scalar::Null => Ok(Conditions::default()),
            _ => Err(E::custom("query.conditions must be a list of conditions, or null")),
        }
    }

    fn from_list<A: SeqAccess<'de>>(mut items: A) -> Result<Conditions, A::Error> {
        let mut conditions = Conditions::default();
        while conditions.has_room() {
            let Some(item) = items.next_element::<MaybeObject<SentCondition>>()? else {
                return Ok(conditions);
            };
            let condition = match item {
                MaybeObject::Object(sent) => Condition::of(sent).map_err(|wrong| format!(".{wrong}")),
                MaybeObject::Null | MaybeObject::Other => Err(" must be an object".to_owned()),
            };
            let nth = conditions.count;
            conditions.add(condition.map_err(|wrong| A::Error::custom(format!("query.conditions[{nth}]{wrong}")))?);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            conditions.count += 1;
        }
        Ok(conditions)
    }
}

impl<'de> FromAnyJson<'de> for ScalarOrSet {
    fn from_scalar<E>(scalar: Scalar) -> Result<ScalarOrSet, E> {
        Ok(ScalarOrSet::One(scalar))
    }

    fn from_list<A: SeqAccess<'de>>(mut items: A) -> Result<ScalarOrSet, A::Error> {
        let mut set = ValueSet::default();
        while set.kept.len() < MAX_SET_VALUES {
            let Some(SentSetValue { value, type_name }) = items.next_element()? else {
                return Ok(ScalarOrSet::Set(set));
            };
            let type_name = unsupported(type_name).unwrap_or_else(|()| {
                set.bad_type.get_or_insert(set.count);
                None
            });
            set.count += 1;
            set.kept.push(TypedValue { value, type_name });
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            set.count += 1;
        }
        Ok(ScalarOrSet::Set(set))
    }
}

/// A value of a set as it is sent.
struct SentSetValue {
    value: Scalar,
    type_name: Scalar,
}

impl<'de> Deserialize<'de> for SentSetValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SentSetValue, D::Error> {
        from_any_json(deserializer)
    }
}

impl<'de> FromAnyJson<'de> for SentSetValue {
    fn from_scalar<E>(value: Scalar) -> Result<SentSetValue, E> {
        Ok(SentSetValue { value, type_name: Scalar::Null })
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<SentSetValue, A::Error> {
        /// The fields of a value with a type.
        #[derive(Deserialize)]
        struct Typed {
            #[serde(default = "no_value")]
            value: Scalar,
            #[serde(default, rename = "_type")]
            type_name: Scalar,
        }

        fn no_value() -> Scalar {
            Scalar::Object
        }

        let Typed { value, type_name } = Typed::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(SentSetValue { value, type_name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> serde_json::Result<Conditions> {
        from_any_json(&mut serde_json::Deserializer::from_str(json))
    }

    fn read(json: &str) -> Conditions {
        parsed(json).unwrap_or_else(|error| panic!("{error}: {json:.200}"))
    }

    /// A condition on a set of `values` zeros.
    fn set(values: usize) -> String {
        let zeros = vec!["0"; values].join(",");
        format!(r#"{{"key":"k","value":{{"value":[{zeros}]}}}}"#)
    }

    #[test]
    fn what_is_beyond_a_bound_is_counted_and_not_kept() {
        let check = |conditions: Vec<String>, kept: usize, count: usize, values: usize| {
            let read = read(&format!("[{}]", conditions.join(",")));
            let of_sets = read.kept.iter().map(|condition| match condition.value.as_ref().map(|value| &value.value) {
                Some(ScalarOrSet::Set(set)) => set.kept.len(),
                _ => 0,
            });
            assert!(of_sets.sum::<usize>() <= 2 * MAX_SET_VALUES);
            assert_eq!((read.kept.len(), read.count, read.set_values), (kept, count, values));
        };
        let label = || r#"{"key":"k","value":{"value":"v"}}"#.to_owned();
        check(vec![], 0, 0, 0);
        check(vec![label(); 100], 100, 100, 0);
        check(vec![label(); 101], 100, 101, 0);
        // Conditions that are not kept may have any form.
        check([vec![label(); 100], vec!["5".to_owned(); 3]].concat(), 100, 103, 0);
        check(vec![set(25_000)], 1, 1, 25_000);
        check(vec![set(25_001)], 1, 1, 25_001);
        check(vec![set(500_000)], 1, 1, 500_000);
        check(vec![set(12_500); 2], 2, 2, 25_000);
        check(vec![set(20_000); 20], 2, 20, 40_000);
        let long = || format!(r#"{{"key":"k","value":{{"value":"{}"}}}}"#, "x".repeat(200_000));
        check(vec![long(); 2], 2, 2, 0);
        check(vec![long(); 5], 3, 5, 0);
    }

    #[test]
    fn what_is_of_another_type_is_named_with_its_place() {
        assert_eq!(read("null").count, 0);
        let check = |json: &str, says: &str| {
            let error = parsed(json).unwrap_err().to_string();
            assert!(error.starts_with(says) && !error.contains("hush"), "{json:.99}: {error}");
        };
        let one = |condition: &str| format!(r#"[{{"key":"k"}},{condition}]"#);
        let in_set = |value: &str| one(&format!(r#"{{"key":"k","value":{{"value":["a",{value}]}}}}"#));
        for json in ["5", "true", "-1", "0.5", "\"hush\"", "{}"] {
            check(json, "query.conditions must be a list of conditions, or null");
        }
        for json in ["\"hush\"", "null", "5", r#"["k","hush"]"#] {
            check(&one(json), "query.conditions[1] must be an object");
        }
        let long = format!(r#"{{"key":{:?}}}"#, "k".repeat(1_025));
        for json in [r#"{"key":5}"#, r#"{"key":["hush"]}"#, r#"{"key":null}"#, r#"{"value":null}"#, &long] {
            check(&one(json), "query.conditions[1].key must be a text of at most 1024 bytes");
        }
        for value in ["\"hush\"", "5", r#"["hush"]"#] {
            let json = format!(r#"{{"key":"k","value":{value}}}"#);
            check(&one(&json), "query.conditions[1].value must be an object such as");
        }
        check(&one(r#"{"key":"k","value":{"_type":5}}"#), "query.conditions[1].value._type must be a text");
        check(
            &in_set(r#"{"value":"hush","_type":["hush"]}"#),
            "query.conditions[1].value.value[1]._type must be a text",
        );
        check(r#"[{"key":"k""#, "EOF");
    }
}
