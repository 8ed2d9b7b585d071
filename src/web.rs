//! The explorer: a page in the binary that sends the queries of StackState from a browser.
//!
//! Owns the page, its style and its scripts, and the headers that confine them. The page uses only the Mirror API,
//! `/api/connection/check` and `/explorer.json`.

const PAGE: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The parts of the explorer: path, type and text. The page loads `main.js`, which imports the other scripts.
pub(crate) const PARTS: [(&str, &str, &str); 14] = [
    ("/", PAGE, include_str!("web/page.html")),
    ("/explorer.css", STYLE, include_str!("web/style.css")),
    ("/explorer/address.js", SCRIPT, include_str!("web/address.js")),
    ("/explorer/chart.js", SCRIPT, include_str!("web/chart.js")),
    ("/explorer/commands.js", SCRIPT, include_str!("web/commands.js")),
    ("/explorer/completion.js", SCRIPT, include_str!("web/completion.js")),
    ("/explorer/connection.js", SCRIPT, include_str!("web/connection.js")),
    ("/explorer/dom.js", SCRIPT, include_str!("web/dom.js")),
    ("/explorer/explanation.js", SCRIPT, include_str!("web/explanation.js")),
    ("/explorer/form.js", SCRIPT, include_str!("web/form.js")),
    ("/explorer/main.js", SCRIPT, include_str!("web/main.js")),
    ("/explorer/mirror.js", SCRIPT, include_str!("web/mirror.js")),
    ("/explorer/response.js", SCRIPT, include_str!("web/response.js")),
    ("/explorer/units.js", SCRIPT, include_str!("web/units.js")),
];

/// The headers of each part of the explorer. The page loads nothing from other hosts and sends nothing to them, inline scripts do
/// not run, and other pages cannot frame it. Browsers revalidate each part, so that parts of two versions never mix.
pub(crate) const HEADERS: [(&str, &str); 5] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
    // Programs get a plain text at the path of the page.
    ("Vary", "Accept"),
];
