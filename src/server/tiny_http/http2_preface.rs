//! Clients that speak HTTP/2 unasked never reach tiny_http.
//!
//! - Defect: tiny_http refuses a request of HTTP/2.0 with 505, but waits for that request to be answered before it writes the
//!   refusal. The thread and the connection wait for ever, even when the client has gone.
//! - Seen: `PRI * HTTP/2.0`, with which HTTP/2 begins, sent to the mirror: no answer, and a thread and two descriptors lost until
//!   the process ends.
//! - Here: the system drops segments that begin with that line, by a packet filter on the listening socket that its connections
//!   inherit. To the mirror such a client is silent, and its connection is closed after the read timeout.
//! - Not covered: a client that writes `GET / HTTP/2.0`, or the line in pieces. No HTTP client does either.
//! - Tests: `tests/it/http/framing.rs`.

use std::io;

use socket2::{SockFilter, Socket};

// Classic BPF, see `filter.txt` of the kernel: `code | size | mode`.
const LOAD_BYTE: u16 = 0x30;
const LOAD_WORD_BEHIND_X: u16 = 0x40;
const LOAD_LENGTH: u16 = 0x80;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const SUBTRACT_X: u16 = 0x1c;
const COPY_TO_X: u16 = 0x07;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Has a socket, and those accepted on it from now on, drop the preface of HTTP/2.
///
/// # Errors
/// When the system has no such filters.
pub(in crate::server) fn drop_on(socket: &Socket) -> io::Result<()> {
    let word = |text: &[u8; 4]| u32::from_be_bytes(*text);
    let step = SockFilter::new;
    // What is filtered begins with the TCP header, whose length in words is in the upper half of its byte 12.
    socket.attach_filter(&[
        step(LOAD_BYTE, 0, 0, 12),
        step(AND, 0, 0, 0xf0),
        step(SHIFT_RIGHT, 0, 0, 2),
        step(COPY_TO_X, 0, 0, 0),
        step(LOAD_LENGTH, 0, 0, 0),
        step(SUBTRACT_X, 0, 0, 0),
        // Loading what is not there would drop the segment.
        step(JUMP_IF_AT_LEAST, 0, 7, 12),
        step(LOAD_WORD_BEHIND_X, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 5, word(b"PRI ")),
        step(LOAD_WORD_BEHIND_X, 0, 0, 4),
        step(JUMP_IF_EQUAL, 0, 3, word(b"* HT")),
        step(LOAD_WORD_BEHIND_X, 0, 0, 8),
        step(JUMP_IF_EQUAL, 0, 1, word(b"TP/2")),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ])
}
