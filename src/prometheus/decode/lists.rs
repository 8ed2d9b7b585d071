//! Bounds on what is kept of a response, so that no upstream decides how much memory it takes.
//!
//! A bound on the bytes of a response is not enough: three bytes of a list become a string of 24.

use std::collections::BTreeSet;

use super::json::{Decode, Decoded, Json};
use crate::model::texts::Texts;

/// The first `MOST` texts of a list, and how many it has.
#[derive(Debug, Default, PartialEq)]
pub(in crate::prometheus) struct BoundedTexts<const MOST: usize> {
    pub(in crate::prometheus) kept: Texts,
    pub(in crate::prometheus) total: usize,
}

impl<const MOST: usize> Decode for BoundedTexts<MOST> {
    fn decode(json: &mut Json<'_>) -> Decoded<Self> {
        let mut bounded = BoundedTexts::default();
        json.list(|json| {
            bounded.total += 1;
            if bounded.kept.len() == MOST {
                return json.skip();
            }
            bounded.kept.push(json.text()?);
            Ok(())
        })?;
        Ok(bounded)
    }
}

/// The distinct values of a field in a list of objects of strings; at most one more than `most`.
pub(in crate::prometheus) fn values_in_objects(
    json: &mut Json<'_>,
    field: &str,
    most: usize,
) -> Decoded<BTreeSet<String>> {
    let mut values = BTreeSet::new();
    json.list(|json| {
        json.entries(|json, name| {
            let value = json.text()?;
            if name == field && values.len() <= most && !values.contains(value) {
                values.insert(value.to_owned());
            }
            Ok(())
        })
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::json::decoded;
    use super::*;

    #[test]
    fn distinct_values_of_a_field_are_kept() {
        let check = |list: &str, most: usize, expected: Option<&[&str]>| {
            let (mut source, mut buffer) = (list.as_bytes(), [0; 16]);
            let found = values_in_objects(&mut Json::new(&mut source, &mut buffer), "a", most);
            let found = found.ok().map(|values| values.into_iter().collect::<Vec<_>>());
            assert_eq!(
                found,
                expected.map(|values| values.iter().map(|value| (*value).to_owned()).collect()),
                "{list}"
            );
        };
        check("[]", 9, Some(&[]));
        let list = r#"[{"a":"y","b":"1"},{"b":"2"},{},{"b":"3","a":"x"},{"a":"y"},{"a":"z"}]"#;
        check(list, 9, Some(&["x", "y", "z"]));
        check(list, 1, Some(&["x", "y"]));
        check(r#"[{"a":1}]"#, 9, None);
        check(r#"["a"]"#, 9, None);
    }

    #[test]
    fn the_first_texts_are_kept_and_all_are_counted() {
        for (list, kept, total) in [
            ("[]", &[][..], 0),
            (r#"["a"]"#, &["a"], 1),
            (r#"["a","b"]"#, &["a", "b"], 2),
            (r#"["a","b",3,4,5]"#, &["a", "b"], 5),
        ] {
            let first: BoundedTexts<2> = decoded(list).unwrap();
            assert!(first.kept.iter().eq(kept.iter().copied()) && first.total == total, "{list}");
        }
        assert!(decoded::<BoundedTexts<2>>(r#"["a","b",3"#).is_err(), "what is not kept still has to be a list");
        assert!(decoded::<BoundedTexts<2>>(r#"["a",3]"#).is_err());
    }
}
