//! Texts of bounded size in a request.

use std::ops::Deref;

use crate::wire::scalar::Scalar;

/// The most bytes of a name: the key of a condition, a field's name, a `_type`, an aggregation method.
pub const MAX_NAME_BYTES: usize = 1 << 10;

/// The most bytes of all values of a query together.
pub const MAX_VALUES_BYTES: usize = 512 << 10;

/// A text of at most [`MAX_NAME_BYTES`].
pub type Name = BoundedText<MAX_NAME_BYTES>;

/// A text of at most `MAX` bytes, which are at most [`MAX_VALUE_BYTES`](crate::wire::scalar::MAX_VALUE_BYTES).
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
