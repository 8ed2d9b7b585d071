//! The explorer: a page in the binary that asks in a browser what StackState would ask.
//!
//! Owns the page, its style and its script, and the headers that confine them. The page can do what the API can, and no more:
//! it knows the Mirror API and `/explorer.json`, and nothing of how they are answered.

use serde::Serialize;

/// The page.
pub(crate) const PAGE: &str = include_str!("web/page.html");
/// The type of the page.
pub(crate) const PAGE_TYPE: &str = "text/html; charset=utf-8";

/// The style.
pub(crate) const STYLE: &str = include_str!("web/style.css");
/// The type of the style.
pub(crate) const STYLE_TYPE: &str = "text/css; charset=utf-8";

/// The script.
pub(crate) const SCRIPT: &str = include_str!("web/script.js");
/// The type of the script.
pub(crate) const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

/// The headers of each part of the explorer. Nothing comes from elsewhere or goes elsewhere, nothing inline runs, and no other page
/// frames it. Browsers ask again each time, so that another version of the mirror never meets the script of this one.
pub(crate) const HEADERS: [(&str, &str); 5] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
    // The path of the page has text for programs.
    ("Vary", "Accept"),
];

/// What the page has to know of its mirror.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    /// The version.
    pub(crate) version: &'static str,
    /// Whether requests of the Mirror API must carry the key.
    pub(crate) requires_key: bool,
    /// Whether Connection Details must name an upstream.
    pub(crate) named_upstreams_only: bool,
    /// The names of the named upstreams; absent for those who lack the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstreams: Option<Vec<String>>,
}
