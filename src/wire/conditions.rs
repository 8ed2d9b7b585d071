//! The conditions of a query, bounded while they are read: what is beyond a bound is counted, not kept, so that its refusal can
//! say how much there was.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::wire::scalar::{Scalar, ScalarVisitor, visit_scalars_as};
use crate::wire::strict_json::{Object, optional};
use crate::wire::text::{MAX_VALUES_BYTES, Name};

/// The most conditions of a query.
pub const MAX_CONDITIONS: usize = 100;

/// The most values of a set, and of all sets of a query together.
pub const MAX_SET_VALUES: usize = 25_000;

/// The conditions of a query.
#[derive(Debug, Default)]
pub struct Conditions {
    /// The first of them: all, if no bound is exceeded.
    pub kept: Vec<Condition>,
    /// How many there are.
    pub count: usize,
    /// How many values the sets of those kept have together.
    pub set_values: usize,
    /// How many bytes the values of those kept have together.
    pub value_bytes: usize,
}

impl Conditions {
    /// Whether there may be another.
    fn has_room(&self) -> bool {
        self.kept.len() < MAX_CONDITIONS && self.set_values <= MAX_SET_VALUES && self.value_bytes <= MAX_VALUES_BYTES
    }

    fn add(&mut self, condition: Condition) {
        match condition.value.as_ref().map(|value| &value.value) {
            Some(Given::One(value)) => self.value_bytes += value.text_bytes(),
            Some(Given::Set(set)) => {
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
#[derive(Debug, Deserialize)]
pub struct Condition {
    /// A label's name, or one of the keys that name what to fetch.
    pub key: Name,
    /// What the label equals.
    #[serde(default, deserialize_with = "optional")]
    pub value: Option<ConditionValue>,
    /// Its type as StackState calls it: a text, if it is there.
    #[serde(default, rename = "_type")]
    pub kind: Scalar,
}

/// The value of a condition.
#[derive(Debug, Deserialize)]
pub struct ConditionValue {
    /// The value itself.
    #[serde(default)]
    pub value: Given,
    /// Its type as StackState calls it.
    #[serde(rename = "_type")]
    pub kind: Option<Name>,
}

/// One value, or a set of them.
#[derive(Debug)]
pub enum Given {
    /// One value.
    One(Scalar),
    /// Any of these.
    Set(ValueSet),
}

impl Default for Given {
    fn default() -> Given {
        Given::One(Scalar::Null)
    }
}

/// The values of a set.
#[derive(Debug, Default)]
pub struct ValueSet {
    /// The first of them, at most [`MAX_SET_VALUES`].
    pub kept: Vec<SetValue>,
    /// How many there are.
    pub count: usize,
}

/// A value of a set, bare or as an object with a type.
#[derive(Debug)]
pub struct SetValue {
    /// The value itself; [`Scalar::Object`] when it is an object without one.
    pub value: Scalar,
    /// Its type as StackState calls it.
    pub kind: Option<Name>,
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Conditions, D::Error> {
        struct ConditionsVisitor;

        impl<'de> Visitor<'de> for ConditionsVisitor {
            type Value = Conditions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of conditions")
            }

            fn visit_unit<E>(self) -> Result<Conditions, E> {
                Ok(Conditions::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Conditions, A::Error> {
                let mut conditions = Conditions::default();
                while conditions.has_room() {
                    let Some(Object(condition)) = items.next_element::<Object<Condition>>()? else {
                        return Ok(conditions);
                    };
                    conditions.add(condition);
                }
                while items.next_element::<IgnoredAny>()?.is_some() {
                    conditions.count += 1;
                }
                Ok(conditions)
            }
        }

        deserializer.deserialize_any(ConditionsVisitor)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Given, D::Error> {
        struct GivenVisitor;

        impl<'de> Visitor<'de> for GivenVisitor {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            visit_scalars_as!(Given::One);

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Given, A::Error> {
                let mut set = ValueSet::default();
                while set.kept.len() < MAX_SET_VALUES {
                    let Some(value) = items.next_element()? else { return Ok(Given::Set(set)) };
                    set.count += 1;
                    set.kept.push(value);
                }
                while items.next_element::<IgnoredAny>()?.is_some() {
                    set.count += 1;
                }
                Ok(Given::Set(set))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Given, A::Error> {
                ScalarVisitor.visit_map(fields).map(Given::One)
            }
        }

        deserializer.deserialize_any(GivenVisitor)
    }
}

impl<'de> Deserialize<'de> for SetValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SetValue, D::Error> {
        /// The fields of a value with a type.
        #[derive(Deserialize)]
        struct Typed {
            #[serde(default = "no_value")]
            value: Scalar,
            #[serde(rename = "_type")]
            kind: Option<Name>,
        }

        fn no_value() -> Scalar {
            Scalar::Object
        }

        struct SetValueVisitor;

        impl<'de> Visitor<'de> for SetValueVisitor {
            type Value = SetValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            visit_scalars_as!(|value| SetValue { value, kind: None });

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<SetValue, A::Error> {
                Ok(SetValue { value: ScalarVisitor.visit_seq(items)?, kind: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<SetValue, A::Error> {
                let Typed { value, kind } = Typed::deserialize(serde::de::value::MapAccessDeserializer::new(fields))?;
                Ok(SetValue { value, kind })
            }
        }

        deserializer.deserialize_any(SetValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Conditions {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json:.200}"))
    }

    /// A condition on a set of so many zeros.
    fn set(values: usize) -> String {
        let zeros = vec!["0"; values].join(",");
        format!(r#"{{"key":"k","value":{{"value":[{zeros}]}}}}"#)
    }

    #[test]
    fn what_is_beyond_a_bound_is_counted_and_not_kept() {
        let check = |conditions: Vec<String>, kept: usize, count: usize, values: usize| {
            let read = read(&format!("[{}]", conditions.join(",")));
            let of_sets = read.kept.iter().map(|condition| match condition.value.as_ref().map(|value| &value.value) {
                Some(Given::Set(set)) => set.kept.len(),
                _ => 0,
            });
            assert!(of_sets.sum::<usize>() <= 2 * MAX_SET_VALUES);
            assert_eq!((read.kept.len(), read.count, read.set_values), (kept, count, values));
        };
        let label = || r#"{"key":"k","value":{"value":"v"}}"#.to_owned();
        check(vec![], 0, 0, 0);
        check(vec![label(); 100], 100, 100, 0);
        check(vec![label(); 101], 100, 101, 0);
        // What is not kept may be anything.
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
    fn a_list_is_of_objects_and_may_be_null() {
        assert_eq!(read("null").count, 0);
        for json in ["5", "{}", r#"["k"]"#, r#"[["k","v"]]"#, r#"[{"value":null}]"#, r#"[{"key":5}]"#] {
            assert!(serde_json::from_str::<Conditions>(json).is_err(), "{json}");
        }
        let long = format!(r#"[{{"key":{:?}}}]"#, "k".repeat(1_025));
        assert!(serde_json::from_str::<Conditions>(&long).is_err());
    }
}
