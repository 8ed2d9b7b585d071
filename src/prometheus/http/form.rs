//! Parameters as they are written in forms and URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that are percent-encoded: all except those that never need it (RFC 3986, "Unreserved Characters").
pub(in crate::prometheus) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of a call, which are in a form (POST) or in the URL (GET).
pub(in crate::prometheus) type Params = Vec<(&'static str, String)>;

/// Parameters as a form or as the query of a URL, `name=value&...`.
pub(in crate::prometheus) fn url_encoded<N: AsRef<str>, V: AsRef<str>>(params: &[(N, V)]) -> String {
    let encoded = |(name, value): &(N, V)| {
        let [name, value] = [name.as_ref(), value.as_ref()].map(|text| utf8_percent_encode(text, RESERVED));
        format!("{name}={value}")
    };
    params.iter().map(encoded).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_any_value() {
        let params = vec![
            ("match[]", "{a=\"ä b\",c!=\"&+%\"}".to_owned()),
            ("time", "1.5".to_owned()),
            ("empty", String::new()),
        ];
        // Signatures of AWS cover the encoded names.
        assert_eq!(
            url_encoded(&params),
            "match%5B%5D=%7Ba%3D%22%C3%A4%20b%22%2Cc%21%3D%22%26%2B%25%22%7D&time=1.5&empty="
        );
        assert_eq!(url_encoded::<&str, &str>(&[]), "");
    }
}
