//! Workarounds for defects of tiny_http 0.12. Each file names the defect, how it was seen, and the test that fails without the
//! workaround. Delete a file when tiny_http no longer has its defect.

pub(super) mod framing;
pub(super) mod host;
pub(super) mod limits;
pub(super) mod pipelining;
