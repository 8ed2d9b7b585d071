//! The upstreams file: from YAML to checked definitions. Reads no file itself.

pub(super) mod definition;
mod fields;
mod yaml;
