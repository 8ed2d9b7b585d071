//! Strings and numbers of JSON, which may be in several pieces or contain escapes.

use std::str;

use super::{Decoded, Json, Undecoded};

/// The longest string: 1 MiB, many times the length of a label's value.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 20;

impl Json<'_> {
    /// Takes a string.
    pub(in crate::prometheus) fn text(&mut self) -> Decoded<&str> {
        self.expect(b'"')?;
        self.token.clear();
        loop {
            let window = &self.buffer[self.at..self.end];
            let Some(length) = window.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20)) else {
                self.keep(window.len());
                self.fill()?;
                continue;
            };
            match window[length] {
                b'"' if self.token.is_empty() => {
                    let start = self.at;
                    self.at += length + 1;
                    return utf8(&self.buffer[start..start + length]);
                }
                b'"' => {
                    self.keep(length);
                    self.at += 1;
                    return utf8(self.kept()?);
                }
                b'\\' => {
                    self.keep(length);
                    self.at += 1;
                    self.escaped()?;
                }
                _ => return Err(Undecoded::Foreign),
            }
        }
    }

    /// Takes a number as it is written, or an invalid one that consists of the same characters.
    pub(in crate::prometheus) fn number_token(&mut self) -> Decoded<&[u8]> {
        self.peek()?;
        self.token.clear();
        loop {
            let window = &self.buffer[self.at..self.end];
            let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
            let found = window.iter().position(|byte| !is_of_number(byte));
            if let Some(length) = found
                && self.token.is_empty()
            {
                let start = self.at;
                self.at += length;
                return Ok(&self.buffer[start..start + length]);
            }
            self.keep(found.unwrap_or(window.len()));
            // The number may be the whole text.
            if found.is_some() || !self.is_filled()? {
                return self.kept();
            }
        }
    }

    /// Takes the next bytes of a token that is not in one piece. A token that is too long is taken to its end, but not stored,
    /// because it may have no end, which is then the error.
    fn keep(&mut self, length: usize) {
        if self.token.len() <= MAX_TEXT_BYTES {
            self.token.extend_from_slice(&self.buffer[self.at..self.at + length]);
        }
        self.at += length;
    }

    /// The stored token.
    fn kept(&self) -> Decoded<&[u8]> {
        if self.token.len() <= MAX_TEXT_BYTES { Ok(&self.token) } else { Err(Undecoded::Foreign) }
    }

    /// Takes what follows a backslash.
    fn escaped(&mut self) -> Decoded<()> {
        let plain = match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return Err(Undecoded::Foreign),
        };
        if self.token.len() <= MAX_TEXT_BYTES {
            self.token.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    /// Takes what follows `\u`: a character, or the first of the two halves of a character beyond 16 bits.
    fn code_point(&mut self) -> Decoded<char> {
        let first = self.hexadecimal()?;
        let code = match first {
            0xd800..=0xdbff => {
                if (self.byte()?, self.byte()?) != (b'\\', b'u') {
                    return Err(Undecoded::Foreign);
                }
                let second = self.hexadecimal()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(Undecoded::Foreign);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or(Undecoded::Foreign)
    }

    pub(super) fn hexadecimal(&mut self) -> Decoded<u32> {
        (0..4).try_fold(0, |code, _| {
            let digit = char::from(self.byte()?).to_digit(16).ok_or(Undecoded::Foreign)?;
            Ok(code * 16 + digit)
        })
    }
}

fn utf8(bytes: &[u8]) -> Decoded<&str> {
    str::from_utf8(bytes).map_err(|_| Undecoded::Foreign)
}

/// The value of a number. A number that is too large for 64 bits is infinite.
pub(in crate::prometheus) fn number(token: &[u8]) -> Decoded<f64> {
    if is_number(token) { utf8(token)?.parse().map_err(|_| Undecoded::Foreign) } else { Err(Undecoded::Foreign) }
}

/// Whether a token is a number: `-`, digits without a leading 0, a fraction, an exponent.
fn is_number(token: &[u8]) -> bool {
    let digits = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
