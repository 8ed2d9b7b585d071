//! The wire format of protobuf, as far as remote read needs it: the fields of a message in a slice, and the two kinds of fields in
//! a request.
//!
//! Knows no message. The rules are those of "Encoding" in protobuf's documentation. Groups, which proto3 does not have, are
//! refused.

/// A message that is cut short or invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireValue<'m> {
    /// An integer, a boolean or an enum.
    Varint(u64),
    /// A string, bytes, a message or packed numbers.
    Bytes(&'m [u8]),
    /// Four or eight bytes, which are skipped: no message of remote read has such a field.
    Fixed,
}

impl<'m> WireValue<'m> {
    /// The integer of a field that must contain one.
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self {
            WireValue::Varint(value) => Ok(value),
            _ => Err(Malformed),
        }
    }

    /// The bytes of a field that must contain some.
    pub(super) fn bytes(self) -> Result<&'m [u8], Malformed> {
        match self {
            WireValue::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }
}

/// The fields of a message with their numbers, in the order in which they are written. Ends after the first error.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u32, WireValue<'_>), Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

/// Takes a field from the front of `rest`.
fn field<'m>(rest: &mut &'m [u8]) -> Result<(u32, WireValue<'m>), Malformed> {
    let tag = u32::try_from(varint(rest)?).map_err(|_| Malformed)?;
    let (number, wire_type) = (tag >> 3, tag & 7);
    let value = match wire_type {
        0 => WireValue::Varint(varint(rest)?),
        1 => bytes(rest, 8).map(|_| WireValue::Fixed)?,
        2 => {
            let length = varint(rest)?;
            WireValue::Bytes(bytes(rest, length)?)
        }
        5 => bytes(rest, 4).map(|_| WireValue::Fixed)?,
        _ => return Err(Malformed),
    };
    if number == 0 { Err(Malformed) } else { Ok((number, value)) }
}

/// Takes an integer from the front of `rest`: seven bits a byte, the lowest first, at most 64 in all.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, later) = rest.split_first().ok_or(Malformed)?;
        *rest = later;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Takes this many bytes from the front of `rest`.
fn bytes<'m>(rest: &mut &'m [u8], length: u64) -> Result<&'m [u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (bytes, later) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = later;
    Ok(bytes)
}

/// Adds a field with an integer. A negative integer is written as its two's complement.
pub(super) fn put_varint(message: &mut Vec<u8>, number: u32, value: u64) {
    put(message, u64::from(number << 3));
    put(message, value);
}

/// Adds a field with a string or a message.
pub(super) fn put_bytes(message: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put(message, u64::from(number << 3 | 2));
    put(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, WireValue<'_>)>, Malformed> {
        fields(message).collect()
    }

    #[test]
    fn the_examples_of_the_documentation_are_read_and_written() {
        let expected = [
            (&[0x08, 0x96, 0x01][..], vec![(1, WireValue::Varint(150))]),
            (&[0x12, 0x07, b't', b'e', b's', b't', b'i', b'n', b'g'], vec![(2, WireValue::Bytes(b"testing"))]),
            (&[0x1a, 0x03, 0x08, 0x96, 0x01], vec![(3, WireValue::Bytes(&[0x08, 0x96, 0x01]))]),
        ];
        for (message, fields) in expected {
            assert_eq!(all(message), Ok(fields.clone()));
            let mut written = Vec::new();
            match fields[0] {
                (number, WireValue::Varint(value)) => put_varint(&mut written, number, value),
                (number, WireValue::Bytes(bytes)) => put_bytes(&mut written, number, bytes),
                _ => unreachable!(),
            }
            assert_eq!(written, message);
        }
    }

    #[test]
    fn integers_have_up_to_64_bits() {
        let ones = [0xff; 9];
        let check = |bytes: &[u8], expected: Result<u64, Malformed>| {
            let mut rest = bytes;
            assert_eq!(varint(&mut rest), expected, "{bytes:x?}");
        };
        check(&[0], Ok(0));
        check(&[0x7f], Ok(127));
        check(&[0x80, 0x01], Ok(128));
        check(&[0x80, 0x80, 0x00], Ok(0));
        check(&[&ones[..], &[0x01]].concat(), Ok(u64::MAX));
        check(&[&ones[..], &[0x02]].concat(), Err(Malformed));
        check(&[&ones[..], &[0x81, 0x00]].concat(), Err(Malformed));
        check(&[], Err(Malformed));
        check(&ones, Err(Malformed));
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), -1_i64 as u64, i64::MIN as u64] {
            let mut message = Vec::new();
            put_varint(&mut message, 15, value);
            assert_eq!(all(&message), Ok(vec![(15, WireValue::Varint(value))]));
        }
    }

    #[test]
    fn fields_of_fixed_length_are_skipped() {
        let message = [0x0d, 1, 2, 3, 4, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 5];
        assert_eq!(all(&message), Ok(vec![(1, WireValue::Fixed), (2, WireValue::Fixed), (3, WireValue::Varint(5))]));
    }

    #[test]
    fn a_message_that_is_cut_or_impossible_is_refused() {
        for message in [
            &[0x08][..],
            &[0x80],
            &[0x12, 0x02, b'a'],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x0d, 1, 2, 3],
            &[0x11, 1, 2, 3, 4, 5, 6, 7],
            // Groups, unknown wire types, a field without a number, a number of more than 29 bits.
            &[0x0b, 0x0c],
            &[0x0c],
            &[0x0e, 0],
            &[0x0f, 0],
            &[0x00, 0],
            &[0x88, 0x80, 0x80, 0x80, 0x10, 0],
        ] {
            assert_eq!(all(message), Err(Malformed), "{message:x?}");
            assert!(fields(message).count() <= 2);
        }
    }
}
