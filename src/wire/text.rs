//! Texts of a request, bounded while they are read.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// The most bytes of a name: the key of a condition, a field's name, a `_type`, an aggregation method.
pub const MAX_NAME_BYTES: usize = 1 << 10;

/// The most bytes of a value: of a label, or of a PromQL expression, which may be long. Prometheus itself has no bound,
/// VictoriaMetrics stops at 16 KiB by default.
pub const MAX_VALUE_BYTES: usize = 256 << 10;

/// The most bytes of all values of a query together.
pub const MAX_VALUES_BYTES: usize = 512 << 10;

/// A text of at most [`MAX_NAME_BYTES`].
pub type Name = BoundedText<MAX_NAME_BYTES>;

/// A text of at most `MAX` bytes. A longer one is an error, and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundedText<const MAX: usize>(pub String);

impl<const MAX: usize> Deref for BoundedText<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for BoundedText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
            type Value = BoundedText<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of at most {MAX} bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.len() > MAX {
                    return Err(E::invalid_length(text.len(), &self));
                }
                Ok(BoundedText(text.to_owned()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}
