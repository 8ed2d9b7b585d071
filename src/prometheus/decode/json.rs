//! A JSON reader that hands out a response piece by piece and stores none of it (RFC 8259).
//!
//! A generic decoder such as serde takes several times as long for samples, which make up most of a long response. Each type
//! decodes itself from a [`Json`] and so defines its form.

mod skip;
mod tokens;

use std::io::{self, Read};

pub(in crate::prometheus) use tokens::number;

/// How many bytes are read at a time.
pub(in crate::prometheus) const BUFFER_BYTES: usize = 16 << 10;

/// Why something cannot be decoded.
#[derive(Debug)]
pub(in crate::prometheus) enum Undecoded {
    /// The body cannot be read to its end.
    Unread(io::Error),
    /// It does not have the expected form. Nothing in here repeats anything of it.
    Foreign,
    /// The sink has seen enough.
    Enough,
}

/// What is decoded, or why it cannot be.
pub(in crate::prometheus) type Decoded<T> = Result<T, Undecoded>;

impl From<io::Error> for Undecoded {
    fn from(error: io::Error) -> Undecoded {
        Undecoded::Unread(error)
    }
}

/// A type that can be decoded.
pub(in crate::prometheus) trait Decode: Sized {
    /// Takes the next value.
    ///
    /// # Errors
    /// Fails if the value cannot be read or does not have the expected form.
    fn decode(json: &mut Json<'_>) -> Decoded<Self>;
}

impl Decode for String {
    fn decode(json: &mut Json<'_>) -> Decoded<String> {
        json.text().map(str::to_owned)
    }
}

/// A JSON text, and how much of it is taken. After an error, it must not be used any more.
pub(in crate::prometheus) struct Json<'r> {
    source: &'r mut dyn Read,
    /// The bytes read last; those from `at` to `end` are not taken yet.
    buffer: &'r mut [u8],
    at: usize,
    end: usize,
    /// A token that is not in one piece in the buffer, or contains escapes.
    token: Vec<u8>,
    /// How many bytes were read.
    read: u64,
}

impl<'r> Json<'r> {
    /// Reads from a source through a buffer, which may contain anything but must not be empty.
    pub(in crate::prometheus) fn new(source: &'r mut dyn Read, buffer: &'r mut [u8]) -> Json<'r> {
        Json { source, buffer, at: 0, end: 0, token: Vec::new(), read: 0 }
    }

    /// How many bytes were read so far.
    pub(in crate::prometheus) fn read(&self) -> u64 {
        self.read
    }

    /// Takes an object. `take` takes the value of each field, and gets the field's name if it is one of `names`.
    pub(in crate::prometheus) fn fields(
        &mut self,
        names: &[&'static str],
        mut take: impl FnMut(&mut Self, Option<&'static str>) -> Decoded<()>,
    ) -> Decoded<()> {
        self.expect(b'{')?;
        self.elements(b'}', |json| {
            let name = json.text()?;
            let name = names.iter().find(|&&known| known == name).copied();
            json.expect(b':')?;
            take(json, name)
        })
    }

    /// Takes an object whose fields may have any name.
    pub(in crate::prometheus) fn entries(
        &mut self,
        mut take: impl FnMut(&mut Self, String) -> Decoded<()>,
    ) -> Decoded<()> {
        self.expect(b'{')?;
        self.elements(b'}', |json| {
            let name = json.text()?.to_owned();
            json.expect(b':')?;
            take(json, name)
        })
    }

    /// Takes a list. `take` takes each element.
    pub(in crate::prometheus) fn list(&mut self, take: impl FnMut(&mut Self) -> Decoded<()>) -> Decoded<()> {
        self.expect(b'[')?;
        self.elements(b']', take)
    }

    /// Takes elements that are separated by commas, up to the byte that closes the list or object.
    pub(in crate::prometheus) fn elements(
        &mut self,
        close: u8,
        mut take: impl FnMut(&mut Self) -> Decoded<()>,
    ) -> Decoded<()> {
        if self.is_next(close)? {
            return self.expect(close);
        }
        loop {
            take(self)?;
            if self.is_next(close)? {
                return self.expect(close);
            }
            self.expect(b',')?;
        }
    }

    /// Takes a value with `take`, or `null` as `None`.
    pub(in crate::prometheus) fn optional<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        if self.is_next(b'n')? {
            return self.word("null").map(|()| None);
        }
        take(self).map(Some)
    }

    /// Takes `true` or `false`.
    pub(in crate::prometheus) fn boolean(&mut self) -> Decoded<bool> {
        let is_true = self.is_next(b't')?;
        self.word(if is_true { "true" } else { "false" })?;
        Ok(is_true)
    }

    /// The next bytes that are already read.
    pub(in crate::prometheus) fn ahead(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    /// Takes this many bytes of [`Json::ahead`], which the caller has decoded.
    pub(in crate::prometheus) fn pass(&mut self, length: usize) {
        self.at = (self.at + length).min(self.end);
    }

    /// Whether this byte is the next after blanks.
    pub(in crate::prometheus) fn is_next(&mut self, byte: u8) -> Decoded<bool> {
        Ok(self.peek()? == byte)
    }

    /// Takes a byte, which must be the next after blanks.
    pub(in crate::prometheus) fn expect(&mut self, byte: u8) -> Decoded<()> {
        if !self.is_next(byte)? {
            return Err(Undecoded::Foreign);
        }
        self.at += 1;
        Ok(())
    }

    /// Checks that only blanks follow.
    pub(in crate::prometheus) fn end(&mut self) -> Decoded<()> {
        while self.at < self.end || self.is_filled()? {
            match self.buffer[self.at] {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return Err(Undecoded::Foreign),
            }
        }
        Ok(())
    }

    /// The next byte that is not a blank.
    fn peek(&mut self) -> Decoded<u8> {
        loop {
            while self.at < self.end {
                match self.buffer[self.at] {
                    b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                    other => return Ok(other),
                }
            }
            self.fill()?;
        }
    }

    /// Reads more bytes when all are taken.
    fn fill(&mut self) -> Decoded<()> {
        if self.is_filled()? { Ok(()) } else { Err(Undecoded::Foreign) }
    }

    /// Reads more bytes when all are taken. Returns false at the end.
    fn is_filled(&mut self) -> Decoded<bool> {
        self.at = 0;
        self.end = 0;
        self.end = loop {
            match self.source.read(self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.read += self.end as u64;
        Ok(self.end > 0)
    }

    fn word(&mut self, word: &str) -> Decoded<()> {
        self.peek()?;
        for &byte in word.as_bytes() {
            if self.byte()? != byte {
                return Err(Undecoded::Foreign);
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Decoded<u8> {
        if self.at == self.end {
            self.fill()?;
        }
        self.at += 1;
        Ok(self.buffer[self.at - 1])
    }
}

/// Sets a field, which must not be set yet.
pub(in crate::prometheus) fn once<T>(field: &mut Option<T>, value: T) -> Decoded<()> {
    if field.replace(value).is_some() { Err(Undecoded::Foreign) } else { Ok(()) }
}

#[cfg(test)]
pub(super) fn decoded<T: Decode>(text: &str) -> Decoded<T> {
    let (mut text, mut buffer) = (text.as_bytes(), [0; BUFFER_BYTES]);
    let mut json = Json::new(&mut text, &mut buffer);
    let value = T::decode(&mut json)?;
    json.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::tokens::MAX_TEXT_BYTES;
    use super::*;

    /// A source that returns this many bytes at a time, so that every token is cut somewhere, and is interrupted before each.
    struct TextInPieces<'a> {
        left: &'a [u8],
        length: usize,
        is_interrupted: bool,
    }

    impl TextInPieces<'_> {
        fn of(text: &str, length: usize) -> TextInPieces<'_> {
            TextInPieces { left: text.as_bytes(), length, is_interrupted: false }
        }
    }

    impl Read for TextInPieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = self.length.min(self.left.len()).min(buffer.len());
            let (now, later) = self.left.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.left = later;
            Ok(length)
        }
    }

    /// Whether a text is skipped to its end, whatever pieces it comes in.
    fn is_value(text: &str) -> bool {
        let mut results = [1, 2, 3, 7, 1 << 20].map(|length| {
            let mut source = TextInPieces::of(text, length);
            let mut buffer = [0; BUFFER_BYTES];
            let mut json = Json::new(&mut source, &mut buffer);
            json.skip().and_then(|()| json.end()).is_ok()
        });
        results.sort_unstable();
        assert_eq!(results[0], results[4], "{text} depends on how it arrives");
        results[0]
    }

    #[test]
    fn skipping_accepts_what_serde_json_accepts() {
        for text in [
            "null", "true", "false", "tru", "truee", "nul", "0", "-0", "01", "-", "1.", ".1", "1.5", "1e5", "1E+5",
            "1e-5", "1e", "1e+", "+1", "1.5e3.2", "1-2", "--1", "\"\"", "\"a", "\"\\\"\"", "\"\\x\"", "\"\\u00e9\"",
            "\"\\u00g9\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\n\"", "\"é\"",
            "[]", "[1]", "[1,2]", "[1,]", "[,1]", "[1 2]", "[", "]", "[1", "[}", "{}", "{\"a\":1}",
            "{\"a\":1,\"b\":[{}]}", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "{1:1}", "{]", "{",
            " [ 1 , { \"a\" : null } ] ", "\t\r\n1\n", "", " ", "1 1", "[] []", "\u{b}1", "[[[[[[]]]]]]",
            "[[[[[[]]]]]", "[{\"a\":[{\"b\":[]}]},[]]",
        ] {
            assert_eq!(is_value(text), serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "{text:?}");
        }
        let deep = 100_000;
        assert!(is_value(&("[".repeat(deep) + &"]".repeat(deep))));
        assert!(!is_value(&("[".repeat(deep) + &"]".repeat(deep - 1))));
    }

    #[test]
    fn a_string_is_read_wherever_it_is_cut() {
        for text in [r#""""#, r#""plain""#, r#""é\u00e9\ud83d\ude00""#, r#""\"\\\/\b\f\n\r\t""#, r#""a\u0000b""#] {
            let expected: String = serde_json::from_str(text).unwrap();
            for length in 1..=text.len() {
                let (mut source, mut buffer) = (TextInPieces::of(text, length), [0; BUFFER_BYTES]);
                assert_eq!(Json::new(&mut source, &mut buffer).text().unwrap(), expected, "{text} by {length}");
            }
        }
    }

    #[test]
    fn half_a_character_is_refused() {
        let halves = [r#""\ud83d""#, r#""\ud83dA""#, r#""\ud83d\u0041""#, r#""\ud83d\ud83d""#, r#""\ude00""#];
        for text in halves.map(str::as_bytes).into_iter().chain([&[b'"', 0xff, b'"'][..], &[b'"', 0xc3, b'"']]) {
            let (mut source, mut buffer) = (text, [0; BUFFER_BYTES]);
            assert!(matches!(Json::new(&mut source, &mut buffer).text(), Err(Undecoded::Foreign)), "{text:?}");
        }
    }

    #[test]
    fn a_text_is_taken_up_to_a_mebibyte_and_a_longer_one_to_its_end() {
        for character in ["é", r"\u00e9"] {
            let check = |length: usize, expected: Option<usize>| {
                let text = format!("\"{}\"", character.repeat(length / 2));
                let mut source = text.as_bytes();
                let mut buffer = [0; BUFFER_BYTES];
                let mut json = Json::new(&mut source, &mut buffer);
                assert_eq!(json.text().map(str::len).ok(), expected, "{length} bytes of {character}");
                assert!(json.end().is_ok() && json.token.capacity() < 3 * MAX_TEXT_BYTES);
            };
            check(1_048_576, Some(1_048_576));
            check(1_048_578, None);
            check(5_000_000, None);
        }
    }
}
