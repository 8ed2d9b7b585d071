//! What the fuzz targets check: the mirror beside slow, obvious references that were written from the rules of the
//! Mirror API, of "Numbers" and of the Prometheus API, not from the mirror's code. A difference is a panic, which the
//! fuzzer reports.
//!
//! `scripts/fuzz` runs the targets. One input again: `cargo +nightly fuzz run --sanitizer none TARGET FILE`.

pub mod aggregate;
pub mod json;
pub mod number;
mod pieces;
pub mod promql;
pub mod remote_read;
pub mod request;
pub mod response;
pub mod start_and_end;
mod written;

/// Why a reference has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The input does not have the form.
    Form,
    /// It has the form, but makes no sense.
    Meaning,
    /// The input lies where serde_json may do one thing or the other: a number that it may read a little off, or a
    /// depth that it may give up at.
    Unsure,
}
