//! The types of metrics in `/api/v1/metadata`.

use super::json::{Decode, Decoded, Json, once};
use crate::model::metric_type::{Metadata, MetricType};

/// The most families that are kept, several times what a large Prometheus has. Declared types are hints, so a metric of a further
/// family gets its type from its name, like one without a declaration.
const MAX_FAMILIES: usize = 100_000;

/// `data` of `/api/v1/metadata`.
impl Decode for Metadata {
    fn decode(json: &mut Json<'_>) -> Decoded<Metadata> {
        let mut families = Metadata::new();
        json.entries(|json, family| {
            if families.len() == MAX_FAMILIES {
                return json.skip();
            }
            families.insert(family, distinct_types(json)?);
            Ok(())
        })?;
        Ok(families)
    }
}

/// The distinct types that the targets declare for a family. Thousands of targets mostly declare the same one.
fn distinct_types(json: &mut Json<'_>) -> Decoded<Vec<MetricType>> {
    let mut types = Vec::new();
    json.list(|json| {
        let declared = MetricType::decode(json)?;
        if !types.contains(&declared) {
            types.push(declared);
        }
        Ok(())
    })?;
    Ok(types)
}

/// The declaration of one target.
impl Decode for MetricType {
    fn decode(json: &mut Json<'_>) -> Decoded<MetricType> {
        let mut declared = None;
        json.fields(&["type"], |json, name| match name {
            Some(_) => once(&mut declared, json.optional(String::decode)?),
            None => json.skip(),
        })?;
        Ok(match declared.flatten().as_deref() {
            Some("counter") => MetricType::Counter,
            Some("gauge" | "stateset") => MetricType::Gauge,
            Some("info") => MetricType::Info,
            Some("histogram") => MetricType::Histogram,
            Some("gaugehistogram") => MetricType::GaugeHistogram,
            Some("summary") => MetricType::Summary,
            _ => MetricType::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::decoded;
    use super::*;

    #[test]
    fn each_declared_type_of_a_family_is_kept_once() {
        let check = |list: &str, expected: &[MetricType]| {
            let metadata: Metadata = decoded(&format!(r#"{{"a":{list}}}"#)).unwrap();
            assert_eq!(metadata["a"], expected, "{list}");
        };
        check("[]", &[]);
        check(r#"[{"type":"counter","help":"h","unit":""}]"#, &[MetricType::Counter]);
        check(
            r#"[{"type":"gauge"},{"type":"counter"},{"type":"gauge"},{"type":"info"}]"#,
            &[MetricType::Gauge, MetricType::Counter, MetricType::Info],
        );
        check(r#"[{},{"type":null},{"type":"new"},{"type":"unknown"}]"#, &[MetricType::Unknown]);
    }

    #[test]
    fn the_first_families_are_kept() {
        for total in [1, MAX_FAMILIES - 1, MAX_FAMILIES, MAX_FAMILIES + 1, MAX_FAMILIES + 1_000] {
            let families: Vec<String> = (0..total).map(|nth| format!(r#""f{nth}":[{{"type":"gauge"}}]"#)).collect();
            let metadata: Metadata = decoded(&format!("{{{}}}", families.join(","))).unwrap();
            let kept = total.min(MAX_FAMILIES);
            assert_eq!(metadata.len(), kept);
            assert!(metadata.contains_key(&format!("f{}", kept - 1)));
        }
    }

    #[test]
    fn other_forms_than_metadata_are_refused() {
        for data in ["[]", "5", r#"{"a":5}"#, r#"{"a":[5]}"#, r#"{"a":[{"type":5}]}"#, r#"{"a":{}}"#] {
            assert!(decoded::<Metadata>(data).is_err(), "{data}");
        }
    }
}
