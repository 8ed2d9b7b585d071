//! Why a remote read fails. Nothing in here repeats anything of the response.

use std::{fmt, io};

use super::super::protobuf::Malformed;

/// Why a response cannot be decoded.
#[derive(Debug)]
pub(in crate::prometheus) enum ReadFailure {
    /// The body cannot be read to its end.
    Unread(io::Error),
    /// The response is not one of remote read, or was damaged on the way.
    Broken(Breach),
    /// The response is longer than the bound on a stream.
    TooLong,
    /// The chunks of a series cannot be merged while they arrive, because of their order or because too many overlap; or two series
    /// have the same labels. A range selector still finds the samples.
    Unsorted,
    /// The range holds native histograms.
    NativeHistogram,
}

/// The rule of the format that a response violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prometheus) enum Breach {
    /// It ends inside a frame.
    Cut,
    /// A frame is longer than any server makes it.
    FrameLength,
    /// The checksum of a frame does not match.
    Checksum,
    /// A message cannot be parsed.
    Message,
    /// A series has more labels than the bound.
    Labels,
    /// A chunk has an unknown type.
    ChunkType,
    /// A chunk does not contain the samples that it announces.
    Chunk,
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadFailure::Unread(error) => write!(f, "the response cannot be read: {error}"),
            ReadFailure::Broken(breach) => f.write_str(match breach {
                Breach::Cut => "the response ends inside a frame",
                Breach::FrameLength => "a frame of the response is too long",
                Breach::Checksum => "the checksum of a frame does not match",
                Breach::Message => "a message of the response cannot be parsed",
                Breach::Labels => "a series of the response has too many labels",
                Breach::ChunkType => "a chunk of the response has an unknown type",
                Breach::Chunk => "a chunk of the response is damaged",
            }),
            ReadFailure::TooLong => f.write_str("the response is too long"),
            ReadFailure::Unsorted => f.write_str("the chunks of a series are not in the order of time"),
            ReadFailure::NativeHistogram => f.write_str("the range holds native histograms"),
        }
    }
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> ReadFailure {
        ReadFailure::Unread(error)
    }
}

impl From<Breach> for ReadFailure {
    fn from(breach: Breach) -> ReadFailure {
        ReadFailure::Broken(breach)
    }
}

impl From<Malformed> for ReadFailure {
    fn from(_: Malformed) -> ReadFailure {
        Breach::Message.into()
    }
}
