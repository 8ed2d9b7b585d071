use std::io::{Error as IoError, ErrorKind, Read, Result as IoResult};
use std::time::{Duration, Instant};

/// The longest line of a size, with its extensions and without its end.
const MAX_LINE_BYTES: usize = 256;

/// How long a line may take to arrive.
const MAX_LINE_TIME: Duration = Duration::from_secs(8);

/// Reads the data of a chunked body (RFC 9112, section 7.1).
///
/// Whatever is not such a body, has trailers, or ends early is `InvalidInput`. A line that does not arrive in time is `TimedOut`.
pub struct ChunkedReader<R> {
    source: R,
    /// What is left of the chunk, once its size is known.
    left: Option<usize>,
    has_ended: bool,
}

impl<R: Read> ChunkedReader<R> {
    pub fn new(source: R) -> ChunkedReader<R> {
        ChunkedReader { source, left: None, has_ended: false }
    }

    /// Reads the line that begins a chunk.
    fn read_size(&mut self) -> IoResult<usize> {
        let begun = Instant::now();
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\r' => break,
                byte if line.len() < MAX_LINE_BYTES => line.push(byte),
                _ => return Err(malformed()),
            }
            if begun.elapsed() > MAX_LINE_TIME {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        self.expect(b"\n")?;
        size(&line).ok_or_else(malformed)
    }

    fn byte(&mut self) -> IoResult<u8> {
        let mut byte = [0];
        match self.source.read(&mut byte)? {
            0 => Err(malformed()),
            _ => Ok(byte[0]),
        }
    }

    fn expect(&mut self, bytes: &[u8]) -> IoResult<()> {
        for &expected in bytes {
            if self.byte()? != expected {
                return Err(malformed());
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for ChunkedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        if self.has_ended || buf.is_empty() {
            return Ok(0);
        }
        let left = match self.left {
            Some(left) => left,
            None => self.read_size()?,
        };
        if left == 0 {
            self.expect(b"\r\n")?;
            self.has_ended = true;
            return Ok(0);
        }
        let wanted = left.min(buf.len());
        let read = self.source.read(&mut buf[..wanted])?;
        if read == 0 {
            return Err(malformed());
        }
        self.left = Some(left - read);
        if read == left {
            self.expect(b"\r\n")?;
            self.left = None;
        }
        Ok(read)
    }
}

/// The size that a line gives: hexadecimal digits and nothing else. Blanks may only stand between it and its extensions.
fn size(line: &[u8]) -> Option<usize> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at(digits);
    let begins_extension = extensions.iter().find(|byte| !b" \t".contains(byte)) == Some(&b';');
    let is_printable = extensions.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control());
    if !(extensions.is_empty() || begins_extension && is_printable) {
        return None;
    }
    // No digit at all is no number either.
    usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

fn malformed() -> IoError {
    IoError::new(ErrorKind::InvalidInput, "a malformed or incomplete chunked body")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
            let wanted = self.1.min(buf.len());
            self.0.read(&mut buf[..wanted])
        }
    }

    /// What is read of a body, and what is left behind it.
    fn read(body: &str, piece: usize) -> IoResult<(String, String)> {
        let mut reader = ChunkedReader::new(Pieces(body.as_bytes(), piece));
        let mut data = String::new();
        reader.read_to_string(&mut data)?;
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
        Ok((data, std::str::from_utf8(reader.source.0).unwrap().to_owned()))
    }

    #[test]
    fn the_data_of_all_chunks_is_read_and_nothing_behind_them() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(MAX_LINE_BYTES - 2));
        for (body, data) in [
            ("0\r\n\r\n", ""),
            ("3\r\nhel\r\nb\r\nlo world!!!\r\n0\r\n\r\n", "hello world!!!"),
            ("003\r\nhel\r\n000\r\n\r\n", "hel"),
            ("B\r\nhello world\r\n0\r\n\r\n", "hello world"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
            ("3;a=b\r\nhel\r\n0;c=\"d e\"\r\n\r\n", "hel"),
            ("3 \t; a\r\nhel\r\n0\r\n\r\n", "hel"),
            (long.as_str(), "x"),
        ] {
            for piece in [1, 2, 5, 100] {
                let found = read(&format!("{body}GET"), piece).unwrap();
                assert_eq!(found, (data.to_owned(), "GET".to_owned()), "{body:?} {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_chunked_body_or_ends_early_is_refused() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(MAX_LINE_BYTES - 1));
        for body in [
            "",
            "3",
            "3\r",
            "3\r\n",
            "3\r\nhe",
            "3\r\nhel",
            "3\r\nhel\r",
            "3\r\nhel\r\n",
            "3\r\nhel\r\n0\r\n",
            "3\r\nhel\r\n0\r\n\r",
            "3\r\nhello\r\n0\r\n\r\n",
            "0\r\nX: y\r\n\r\n",
            "0\r\n\n",
            "3\nhel\r\n0\r\n\r\n",
            "\r\n\r\n",
            ";a\r\nx\r\n0\r\n\r\n",
            "+1\r\nx\r\n0\r\n\r\n",
            "-1\r\nx\r\n0\r\n\r\n",
            "0x1\r\nx\r\n0\r\n\r\n",
            " 1\r\nx\r\n0\r\n\r\n",
            "1 \r\nx\r\n0\r\n\r\n",
            "1\t\r\nx\r\n0\r\n\r\n",
            "1 0\r\nx\r\n0\r\n\r\n",
            "1_0\r\nx\r\n0\r\n\r\n",
            "1,\r\nx\r\n0\r\n\r\n",
            "1;a\nb\r\nx\r\n0\r\n\r\n",
            "1;\0\r\nx\r\n0\r\n\r\n",
            "10000000000000001\r\nx\r\n0\r\n\r\n",
            "1\r\nx\r\n+0\r\n\r\n",
            &long,
        ] {
            for piece in [1, 100] {
                let error = read(body, piece).expect_err(body);
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{body:?} {piece}");
            }
        }
    }
}
