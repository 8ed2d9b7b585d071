//! What of an answer is kept at most, so that the memory for it has a bound that no upstream can move.
//!
//! A bound on the bytes of an answer alone is a poor one on memory: three bytes of a list become a string of 24.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// The first `MOST` elements of a list, and how many it has.
#[derive(Debug, PartialEq)]
pub(super) struct First<T, const MOST: usize> {
    pub(super) kept: Vec<T>,
    pub(super) total: usize,
}

impl<T, const MOST: usize> Default for First<T, MOST> {
    fn default() -> Self {
        First { kept: Vec::new(), total: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> First<T, MOST> {
    /// Takes what is left of a list, of which these elements are taken already.
    pub(super) fn after<A: SeqAccess<'de>>(mut kept: Vec<T>, mut list: A) -> Result<Self, A::Error> {
        while kept.len() < MOST
            && let Some(next) = list.next_element()?
        {
            kept.push(next);
        }
        let mut total = kept.len();
        while total >= MOST && list.next_element::<IgnoredAny>()?.is_some() {
            total += 1;
        }
        Ok(First { kept, total })
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for First<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for FirstVisitor<T, MOST> {
            type Value = First<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<First<T, MOST>, A::Error> {
                First::after(Vec::new(), list)
            }
        }

        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

/// The longest text that is taken: 1 MiB, many times what a label's value has. While a text is decoded it is in memory
/// twice, which must not be so for a text as long as an answer.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// A text of at most [`MAX_TEXT_BYTES`]; a longer one is refused.
#[derive(Debug, PartialEq)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of at most {MAX_TEXT_BYTES} bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                if text.len() > MAX_TEXT_BYTES {
                    return Err(E::invalid_length(text.len(), &self));
                }
                Ok(Text(text.to_owned()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_the_first_are_kept_and_all_are_counted() {
        for (list, kept, total) in
            [("[]", &[][..], 0), ("[1]", &[1], 1), ("[1,2]", &[1, 2], 2), ("[1,2,3,4,5]", &[1, 2], 5)]
        {
            let first: First<u8, 2> = serde_json::from_str(list).unwrap();
            assert_eq!((&first.kept[..], first.total), (kept, total), "{list}");
        }
        assert!(serde_json::from_str::<First<u8, 2>>("[1,2,3").is_err(), "what is not kept still has to be a list");
    }

    #[test]
    fn a_text_is_taken_up_to_a_mebibyte() {
        let text = |length: usize| serde_json::from_str::<Text>(&format!("\"{}\"", "é".repeat(length / 2)));
        assert_eq!(text(1_048_576).unwrap().0.len(), 1_048_576);
        assert!(text(1_048_578).is_err());
    }
}
