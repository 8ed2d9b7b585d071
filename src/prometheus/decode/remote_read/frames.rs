//! The frames of a streamed response: the length of a message as a varint, its CRC-32C in four bytes, the message.
//!
//! Knows nothing of the messages. The format is that of `ChunkedReader` in Prometheus's `storage/remote`.

use std::io::{BufReader, Read, Take};

use super::failure::{CUT, LONG_FRAME, LONG_STREAM, ReadFailure, WRONG_CHECKSUM};

/// The longest message: 16 MiB. Prometheus and Mimir begin a new frame after 1 MiB.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// The longest stream: 512 MiB, about 300 million samples of a steady counter.
const MAX_STREAM_BYTES: u64 = 512 << 20;

/// The most bytes of a length: four, with seven bits each.
const MAX_LENGTH_BYTES: usize = 4;

const CHECKSUM_BYTES: usize = 4;

/// How many bytes are read at a time, unless a frame is longer.
const BUFFER_BYTES: usize = 16 << 10;

/// The frames of a body.
pub(super) struct Frames<'r, R> {
    body: BufReader<Take<&'r mut R>>,
    /// The frame read last, without its length. It grows only while a long frame arrives: an announced length alone takes no memory.
    frame: Vec<u8>,
}

impl<'r, R: Read> Frames<'r, R> {
    pub(super) fn of(body: &'r mut R) -> Self {
        // One byte more shows that the stream is too long.
        Frames { body: BufReader::with_capacity(BUFFER_BYTES, body.take(MAX_STREAM_BYTES + 1)), frame: Vec::new() }
    }

    /// The next message, after its checksum has been verified; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ReadFailure> {
        let Some(length) = self.length()? else { return Ok(None) };
        if length > MAX_FRAME_BYTES {
            return Err(ReadFailure::Broken(LONG_FRAME));
        }
        let length = CHECKSUM_BYTES + length;
        self.frame.clear();
        (&mut self.body).take(length as u64).read_to_end(&mut self.frame)?;
        if self.frame.len() < length {
            return Err(self.cut());
        }
        let (checksum, message) = self.frame.split_at(CHECKSUM_BYTES);
        if crc32c::crc32c(message).to_be_bytes() != checksum {
            return Err(ReadFailure::Broken(WRONG_CHECKSUM));
        }
        Ok(Some(message))
    }

    /// Takes the length of the next message; `None` at the end of the stream.
    fn length(&mut self) -> Result<Option<usize>, ReadFailure> {
        let mut length = 0;
        for nth in 0..MAX_LENGTH_BYTES {
            let Some(byte) = (&mut self.body).bytes().next().transpose()? else {
                return if nth == 0 && !self.is_too_long() { Ok(None) } else { Err(self.cut()) };
            };
            length |= usize::from(byte & 0x7f) << (7 * nth);
            if byte < 0x80 {
                return Ok(Some(length));
            }
        }
        Err(ReadFailure::Broken(LONG_FRAME))
    }

    fn is_too_long(&self) -> bool {
        self.body.get_ref().limit() == 0
    }

    /// Why there are no more bytes.
    fn cut(&self) -> ReadFailure {
        ReadFailure::Broken(if self.is_too_long() { LONG_STREAM } else { CUT })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::super::reference::{frame, varint};
    use super::*;

    /// The messages of a stream that arrives in pieces of this length, each after an interruption, and the error that ends it.
    fn messages(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<ReadFailure>) {
        let mut body = BytesInPieces { left: stream, piece, is_interrupted: false };
        let mut frames = Frames::of(&mut body);
        let mut messages = Vec::new();
        loop {
            match frames.next() {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => {
                    assert_eq!(frames.body.get_ref().limit(), MAX_STREAM_BYTES + 1 - stream.len() as u64);
                    return (messages, None);
                }
                Err(failure) => return (messages, Some(failure)),
            }
        }
    }

    struct BytesInPieces<'a> {
        left: &'a [u8],
        piece: usize,
        is_interrupted: bool,
    }

    impl Read for BytesInPieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            let length = self.piece.min(buffer.len());
            (&mut self.left).take(length as u64).read(buffer)
        }
    }

    fn ends_with(stream: &[u8], breach: &str) {
        for piece in [1, 7, usize::MAX] {
            let failure = messages(stream, piece).1;
            assert!(matches!(failure, Some(ReadFailure::Broken(found)) if found == breach), "{failure:?}");
        }
    }

    #[test]
    fn messages_are_complete_however_they_arrive() {
        let sent: Vec<Vec<u8>> =
            [0, 1, 100, 127, 128, BUFFER_BYTES - 7, BUFFER_BYTES, 3, 5 * BUFFER_BYTES, 1 << 20, 0, 9]
                .iter()
                .map(|&length| (0..length).map(|nth| (nth % 251) as u8).collect())
                .collect();
        let stream: Vec<u8> = sent.iter().flat_map(|message| frame(message)).collect();
        for piece in [1, 2, 1_000, 16_383, 1 << 20, usize::MAX] {
            let (messages, failure) = messages(&stream, piece);
            assert!(failure.is_none() && messages == sent, "pieces of {piece}");
        }
        assert!(matches!(messages(&[], 1), (none, None) if none.is_empty()));
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_cut() {
        let stream = frame(&[7; 300]);
        for length in 1..stream.len() {
            ends_with(&stream[..length], CUT);
            ends_with(&[&frame(b"whole"), &stream[..length]].concat(), CUT);
        }
    }

    #[test]
    fn a_message_has_its_checksum() {
        let stream = frame(&[7; 300]);
        for bit in 16..8 * stream.len() {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            ends_with(&flipped, WRONG_CHECKSUM);
        }
    }

    #[test]
    fn a_length_has_a_bound() {
        let longest = vec![1; 16 << 20];
        assert!(matches!(messages(&frame(&longest), usize::MAX), (found, None) if found == [longest]));
        // The rest does not matter: nothing of it is read.
        for length in [(16 << 20) + 1, 1 << 28, u64::from(u32::MAX), u64::MAX] {
            ends_with(&[varint(length), vec![0; 100]].concat(), LONG_FRAME);
        }
        ends_with(&[0x80; 100], LONG_FRAME);
        // Written longer than necessary.
        assert!(messages(&[0x80, 0x80, 0x80, 0, 0, 0, 0, 0], 1).1.is_none());
    }

    #[test]
    fn an_announced_length_takes_no_memory_before_the_message_arrives() {
        for arrived in [1_000, 20_000, 100_000, 1_000_000] {
            let stream = [&varint(16 << 20)[..], &vec![0; arrived]].concat();
            let mut body = stream.as_slice();
            let mut frames = Frames::of(&mut body);
            assert!(matches!(frames.next(), Err(ReadFailure::Broken(CUT))));
            assert!(frames.frame.capacity() <= BUFFER_BYTES.max(2 * stream.len()), "{arrived} bytes arrived");
        }
    }

    #[test]
    fn a_stream_has_a_bound() {
        let frame = frame(&vec![1; (8 << 20) - 8]);
        assert_eq!(frame.len(), 8 << 20);
        // How many of this many frames are read, and whether that is all.
        let check = |sent: usize, expected: usize, is_all: bool| {
            let mut body = Repeated { bytes: &frame, at: 0, left: sent };
            let mut frames = Frames::of(&mut body);
            for _ in 0..expected {
                assert!(matches!(frames.next(), Ok(Some(_))));
            }
            match frames.next() {
                Ok(None) => assert!(is_all),
                Err(ReadFailure::Broken(LONG_STREAM)) => assert!(!is_all),
                other => panic!("{other:?}"),
            }
        };
        check(64, 64, true);
        check(65, 64, false);
    }

    struct Repeated<'a> {
        bytes: &'a [u8],
        at: usize,
        left: usize,
    }

    impl Read for Repeated<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.at == self.bytes.len() {
                self.at = 0;
                self.left -= 1;
            }
            if self.left == 0 {
                return Ok(0);
            }
            let length = (&self.bytes[self.at..]).read(buffer)?;
            self.at += length;
            Ok(length)
        }
    }

    #[test]
    fn an_error_while_reading_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::TimedOut.into())
            }
        }
        let stream = frame(b"whole");
        for length in 0..=stream.len() {
            let mut body = stream[..length].chain(Broken);
            let mut frames = Frames::of(&mut body);
            if length == stream.len() {
                assert_eq!(frames.next().unwrap(), Some(&b"whole"[..]));
            }
            assert!(matches!(frames.next(), Err(ReadFailure::Unread(error)) if error.kind() == ErrorKind::TimedOut));
        }
    }
}
