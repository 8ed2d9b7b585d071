//! Connection Details, as an admin typed them. They are read whatever their form is, so that errors can name what is wrong.

use serde::de::{IgnoredAny, MapAccess};

use crate::wire::scalar::{FromAnyJson, Scalar};

/// A field of the Connection Details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailsField {
    /// A host name or address.
    Host,
    /// A port, as a number or as a string of digits.
    Port,
    /// A base URL instead of host and port.
    Url,
    /// The name of an upstream of the upstreams file, instead of all of these.
    Upstream,
    /// A bound on the whole request, in milliseconds.
    RequestTimeout,
    /// How often metrics are scraped, in milliseconds.
    ScrapeInterval,
    /// `"ZERO"` or `"NONE"`.
    NanInterpretation,
    /// `"deny"` or `"allow"`.
    PartialResponse,
}

/// The names of all fields, in the order of [`DetailsField`].
pub const FIELDS: [&str; 8] =
    ["host", "port", "url", "upstream", "requestTimeout", "scrapeInterval", "nan_interpretation", "partialResponse"];

/// Which Prometheus to query, and how.
#[derive(Debug, Default)]
pub struct ConnectionDetails {
    values: [Scalar; FIELDS.len()],
    /// The first fault of their form.
    pub fault: Option<DetailsFault>,
}

/// A fault of the form of Connection Details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetailsFault {
    /// They are not an object, but this kind of JSON value.
    NotAnObject(&'static str),
    /// An unknown field. Contains its name, unless that could be a secret.
    Unknown(Option<String>),
    /// A field that is given twice.
    Twice(&'static str),
}

impl ConnectionDetails {
    /// The value of a field.
    pub fn value(&self, field: DetailsField) -> &Scalar {
        &self.values[field as usize]
    }

    fn fail(&mut self, fault: DetailsFault) {
        self.fault.get_or_insert(fault);
    }
}

/// The most bytes of an unknown field's name that is shown.
const MAX_SHOWN_NAME_BYTES: usize = 40;

/// Whether an unknown field's name has the form of a name, so that an error may show it.
fn is_shown(name: &str) -> bool {
    (1..=MAX_SHOWN_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl<'de> FromAnyJson<'de> for ConnectionDetails {
    fn from_scalar<E>(scalar: Scalar) -> Result<ConnectionDetails, E> {
        let fault = Some(DetailsFault::NotAnObject(scalar.kind()));
        Ok(ConnectionDetails { fault, ..ConnectionDetails::default() })
    }

    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<ConnectionDetails, A::Error> {
        let mut details = ConnectionDetails::default();
        let mut is_seen = [false; FIELDS.len()];
        while let Some(name) = fields.next_key::<String>()? {
            if let Some(index) = FIELDS.iter().position(|known| *known == name) {
                details.values[index] = fields.next_value()?;
                if std::mem::replace(&mut is_seen[index], true) {
                    details.fail(DetailsFault::Twice(FIELDS[index]));
                }
                continue;
            }
            fields.next_value::<IgnoredAny>()?;
            // Fields that begin with `_` are remarks.
            if !name.starts_with('_') {
                details.fail(DetailsFault::Unknown(Some(name).filter(|name| is_shown(name))));
            }
        }
        Ok(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::scalar::from_any_json;

    #[test]
    fn each_field_has_its_place_in_the_table() {
        let check = |field: DetailsField, name: &str| assert_eq!(FIELDS[field as usize], name);
        check(DetailsField::Host, "host");
        check(DetailsField::Port, "port");
        check(DetailsField::Url, "url");
        check(DetailsField::Upstream, "upstream");
        check(DetailsField::RequestTimeout, "requestTimeout");
        check(DetailsField::ScrapeInterval, "scrapeInterval");
        check(DetailsField::NanInterpretation, "nan_interpretation");
        check(DetailsField::PartialResponse, "partialResponse");
    }

    #[test]
    fn the_first_fault_of_their_form_is_kept() {
        let check = |json: &str, expected: Option<DetailsFault>| {
            let details: ConnectionDetails = from_any_json(&mut serde_json::Deserializer::from_str(json)).unwrap();
            assert_eq!(details.fault, expected, "{json:.99}");
        };
        let unknown = |name: Option<&str>| Some(DetailsFault::Unknown(name.map(str::to_owned)));
        check("{}", None);
        check(r#"{"host":["x"],"port":{"a":[1e999]},"_remark":{"a":1}}"#, None);
        check("null", Some(DetailsFault::NotAnObject("null")));
        check(r#""http://u:pw@h""#, Some(DetailsFault::NotAnObject("text")));
        check("[[1]]", Some(DetailsFault::NotAnObject("list")));
        check(r#"{"a-b":1,"host":"h","c":1}"#, unknown(Some("a-b")));
        check(r#"{"http://u:pw@h":1}"#, unknown(None));
        check(&format!(r#"{{"{}":1}}"#, "x".repeat(41)), unknown(None));
        check(r#"{"host":"a","host":"b","x":1}"#, Some(DetailsFault::Twice("host")));
    }
}
