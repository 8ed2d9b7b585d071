//! Skips values of JSON.

use super::tokens::number;
use super::{Decoded, Json, Undecoded};

impl Json<'_> {
    /// Skips a value, however deeply it is nested.
    pub(in crate::prometheus) fn skip(&mut self) -> Decoded<()> {
        // The bytes that close the open lists and objects.
        let mut closes = Vec::new();
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    closes.push(if open == b'{' { b'}' } else { b']' });
                    if !self.is_next(closes[closes.len() - 1])? {
                        self.skip_name(&closes)?;
                        continue;
                    }
                }
                b'"' => self.skip_text()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => number(self.number_token()?).map(drop)?,
            }
            loop {
                let Some(&close) = closes.last() else { return Ok(()) };
                if !self.is_next(close)? {
                    break;
                }
                self.at += 1;
                closes.pop();
            }
            self.expect(b',')?;
            self.skip_name(&closes)?;
        }
    }

    /// Takes the name in front of a value in an object.
    fn skip_name(&mut self, closes: &[u8]) -> Decoded<()> {
        if closes.last() == Some(&b'}') {
            self.skip_text()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    /// Skips a string, which may be invalid: half of a character, or bytes that are not UTF-8.
    fn skip_text(&mut self) -> Decoded<()> {
        self.expect(b'"')?;
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => match self.byte()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => self.hexadecimal().map(drop)?,
                    _ => return Err(Undecoded::Foreign),
                },
                0..0x20 => return Err(Undecoded::Foreign),
                _ => {}
            }
        }
    }
}
