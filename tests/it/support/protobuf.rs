//! The parts of protobuf and snappy that the tests write and read, by hand.

/// The bytes in the format of snappy, uncompressed.
pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    let literals = bytes.chunks(60).flat_map(|chunk| [&[(chunk.len() as u8 - 1) << 2], chunk].concat());
    varint(bytes.len() as u64).into_iter().chain(literals).collect()
}

/// A field that has a length.
pub fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A field that is a text.
pub fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

/// A field that is a number.
pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Reads a varint from the front.
pub fn take_varint(bytes: &mut &[u8]) -> u64 {
    let length = 1 + bytes.iter().position(|byte| byte & 128 == 0).expect("the end of a number");
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 127))
}

/// The fields of a message that have a length. Numbers are skipped.
pub fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (tag, value) = (take_varint(&mut message), take_varint(&mut message));
        match tag & 7 {
            0 => {}
            2 => {
                let (content, rest) = message.split_at(value as usize);
                fields.push((tag >> 3, content));
                message = rest;
            }
            other => panic!("wire type {other}"),
        }
    }
    fields
}
