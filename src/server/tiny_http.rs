//! What exists only because of tiny_http 0.12. Each file names the defect that it works around, how it was seen, and the test
//! that fails without it. A file goes when tiny_http no longer has its defect.

pub(super) mod framing;
pub(super) mod host;
pub(super) mod limits;
pub(super) mod pipelining;
