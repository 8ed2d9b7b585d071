//! Bodies as networks bring them.

use std::io::{self, Read};

/// A body that arrives in pieces, the sizes of which the input chooses, with an interruption now and then.
pub struct Pieces<'a> {
    rest: &'a [u8],
    choices: &'a [u8],
    nth: usize,
}

impl<'a> Pieces<'a> {
    pub fn of(body: &'a [u8], choices: &'a [u8]) -> Pieces<'a> {
        Pieces { rest: body, choices, nth: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let choice = self.choices.get(self.nth % self.choices.len().max(1)).copied().unwrap_or(1);
        self.nth += 1;
        if choice == 0xff && self.nth.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = usize::from(choice % 16) + 1;
        let (piece, rest) = self.rest.split_at(most.min(self.rest.len()).min(buffer.len()));
        buffer[..piece.len()].copy_from_slice(piece);
        self.rest = rest;
        Ok(piece.len())
    }
}
