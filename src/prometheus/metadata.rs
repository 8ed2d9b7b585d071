//! What `/api/v1/metadata` says of the types of metrics, decoded straight into them.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bounded::Text;

/// The type that a metric's exporter declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only goes up, or starts anew at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a count and a sum.
    Histogram,
    /// A histogram whose buckets are gauges.
    GaugeHistogram,
    /// Quantiles, a count and a sum.
    Summary,
    /// Untyped, or a type that tells nothing about how to read its values.
    Unknown,
}

/// The declared types by metric family: several when targets disagree, each of them once.
pub type Metadata = HashMap<String, Vec<MetricType>>;

/// The most families that are kept, several times what a large Prometheus has. What is declared is a hint, so a metric
/// of a further family is told by its name, like one without a declaration.
const MAX_FAMILIES: usize = 100_000;

/// `data` of `/api/v1/metadata`.
#[derive(Debug, Default)]
pub(super) struct Families(pub(super) Metadata);

impl<'de> Deserialize<'de> for Families {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Families, D::Error> {
        struct FamiliesVisitor;

        impl<'de> Visitor<'de> for FamiliesVisitor {
            type Value = Families;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("declarations by metric family")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Families, A::Error> {
                let mut families = Metadata::new();
                while families.len() < MAX_FAMILIES
                    && let Some((Text(family), DistinctTypes(types))) = map.next_entry()?
                {
                    families.insert(family, types);
                }
                while families.len() >= MAX_FAMILIES && map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Families(families))
            }
        }

        deserializer.deserialize_map(FamiliesVisitor)
    }
}

/// What the targets declare of a family: thousands of them mostly the same.
struct DistinctTypes(Vec<MetricType>);

impl<'de> Deserialize<'de> for DistinctTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DistinctTypes, D::Error> {
        struct TypesVisitor;

        impl<'de> Visitor<'de> for TypesVisitor {
            type Value = DistinctTypes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of declarations")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<DistinctTypes, A::Error> {
                let mut types = Vec::new();
                while let Some(declaration) = list.next_element::<Declaration>()? {
                    let declared = MetricType::from(declaration);
                    if !types.contains(&declared) {
                        types.push(declared);
                    }
                }
                Ok(DistinctTypes(types))
            }
        }

        deserializer.deserialize_seq(TypesVisitor)
    }
}

/// One target's declaration.
#[derive(Deserialize)]
struct Declaration {
    #[serde(rename = "type")]
    kind: Option<Text>,
}

impl From<Declaration> for MetricType {
    fn from(declaration: Declaration) -> MetricType {
        match declaration.kind.as_ref().map(|Text(kind)| kind.as_str()) {
            Some("counter") => MetricType::Counter,
            Some("gauge" | "info" | "stateset") => MetricType::Gauge,
            Some("histogram") => MetricType::Histogram,
            Some("gaugehistogram") => MetricType::GaugeHistogram,
            Some("summary") => MetricType::Summary,
            _ => MetricType::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(data: &str) -> Result<Metadata, serde_json::Error> {
        serde_json::from_str(data).map(|Families(metadata)| metadata)
    }

    #[test]
    fn each_declared_type_of_a_family_is_kept_once() {
        let check = |list: &str, expected: &[MetricType]| {
            let metadata = decode(&format!(r#"{{"a":{list}}}"#)).unwrap();
            assert_eq!(metadata["a"], expected, "{list}");
        };
        check("[]", &[]);
        check(r#"[{"type":"counter","help":"h","unit":""}]"#, &[MetricType::Counter]);
        check(
            r#"[{"type":"gauge"},{"type":"counter"},{"type":"gauge"},{"type":"info"}]"#,
            &[MetricType::Gauge, MetricType::Counter],
        );
        check(r#"[{},{"type":null},{"type":"new"},{"type":"unknown"}]"#, &[MetricType::Unknown]);
    }

    #[test]
    fn of_very_many_families_the_first_are_kept() {
        for total in [1, MAX_FAMILIES - 1, MAX_FAMILIES, MAX_FAMILIES + 1, MAX_FAMILIES + 1_000] {
            let families: Vec<String> = (0..total).map(|nth| format!(r#""f{nth}":[{{"type":"gauge"}}]"#)).collect();
            let metadata = decode(&format!("{{{}}}", families.join(","))).unwrap();
            let kept = total.min(MAX_FAMILIES);
            assert_eq!(metadata.len(), kept);
            assert!(metadata.contains_key(&format!("f{}", kept - 1)));
        }
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for data in ["[]", "5", r#"{"a":5}"#, r#"{"a":[5]}"#, r#"{"a":[{"type":5}]}"#, r#"{"a":{}}"#] {
            assert!(decode(data).is_err(), "{data}");
        }
    }
}
