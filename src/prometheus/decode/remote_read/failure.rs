//! Why a remote read fails. Nothing in here repeats anything of the response.

use std::io;

use super::super::protobuf::Malformed;

/// Why a response cannot be decoded.
#[derive(Debug)]
pub enum ReadFailure {
    /// The body cannot be read to its end.
    Unread(io::Error),
    /// The response is not one of remote read, was damaged on the way, or exceeds a bound. Which rule it violates, as a clause.
    Broken(&'static str),
    /// The chunks of a series cannot be merged while they arrive, because of their order or because too many overlap; or two series
    /// have the same labels. A range selector still finds the samples.
    Unsorted,
    /// The range holds native histograms.
    NativeHistogram,
}

pub(super) const CUT: &str = "the response ends inside a frame";
pub(super) const LONG_FRAME: &str = "a frame of the response is too long";
pub(super) const LONG_STREAM: &str = "the response is too long";
pub(super) const WRONG_CHECKSUM: &str = "the checksum of a frame does not match";
pub(super) const BAD_MESSAGE: &str = "a message of the response cannot be parsed";
pub(super) const MANY_LABELS: &str = "a series of the response has too many labels";
pub(super) const UNKNOWN_CHUNK: &str = "a chunk of the response has an unknown type";
pub(super) const DAMAGED_CHUNK: &str = "a chunk of the response is damaged";

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> ReadFailure {
        ReadFailure::Unread(error)
    }
}

impl From<Malformed> for ReadFailure {
    fn from(_: Malformed) -> ReadFailure {
        ReadFailure::Broken(BAD_MESSAGE)
    }
}
