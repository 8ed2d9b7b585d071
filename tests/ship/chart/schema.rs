//! The schema of the values, which both versions of helm enforce, and the metadata of the chart.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::{HELMS, Install, chart, helm, text};
use super::manifests;

/// The schema.
pub fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap()
}

/// A property of the schema.
pub struct Property {
    /// The name of the value.
    pub path: String,
    /// Its schema.
    pub schema: Value,
    /// Whether it is required.
    pub is_required: bool,
}

impl Property {
    /// Its description; a map with values of its own has none.
    pub fn description(&self) -> Option<&str> {
        self.schema["description"].as_str()
    }
}

/// Every property of the schema.
pub fn properties() -> Vec<Property> {
    fn collect(schema: &Value, path: &str, found: &mut Vec<Property>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_required = schema["required"].as_array().is_some_and(|required| required.contains(&json!(name)));
            collect(property, &path, found);
            found.push(Property { path, schema: property.clone(), is_required });
        }
    }
    let mut found = Vec::new();
    collect(&schema(), "", &mut found);
    found
}

#[test]
fn a_misspelt_value_is_refused_wherever_it_stands() {
    let mut maps = vec![String::new()];
    for Property { path, schema, .. } in properties() {
        if schema.get("properties").is_some() && !path.starts_with("global") {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            maps.push(format!("{path}."));
        }
    }
    assert!(maps.len() > 10, "{maps:?}");
    for map in maps {
        Install::promised().set(&format!("{map}misspelt=1")).check_refused(&["misspelt"]);
    }
}

#[test]
fn anything_passes_under_global_and_a_parents_switch() {
    let plain = Install::promised().render();
    let values = "global: {storageClass: x, proxy: {more: [1]}, extraEnv: {also: 1}, customCertificates: {then: {}}}";
    let other = Install::promised().values(values).set("enabled=true").render();
    assert_eq!(plain.text(), other.text());
}

#[test]
fn the_schema_stands_alone() {
    fn check(value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                assert!(!["$id", "$dynamicRef", "id"].contains(&name.as_str()), "{name}: {field}");
                let is_inside = field.as_str().is_some_and(|target| target.starts_with("#/definitions/"));
                assert!(name != "$ref" || is_inside, "{field}");
                check(field);
            }),
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(&schema());
}

#[test]
fn a_value_taken_away_is_done_without_or_asked_for_by_name() {
    // Enabled features require these, which other tests check.
    let needed = [
        "global.apiKey",
        "global.customCertificates.pemData",
        "autoscaling.targetCPUUtilizationPercentage",
        "resources",
        "ingress.hosts",
        "httpRoute.parentRefs",
    ];
    let (required, others): (Vec<_>, Vec<_>) = properties().into_iter().partition(|property| property.is_required);
    assert!(required.len() > 30 && others.len() > 50, "{} {}", required.len(), others.len());
    for Property { path, .. } in required {
        let (_, name) = path.rsplit_once('.').unwrap_or(("", &path));
        Install::promised().set(&format!("{path}=null")).check_refused(&[name]);
    }
    // All others at once, except maps that contain others.
    let mut without = everything();
    for Property { path, .. } in others.iter().filter(|property| property.description().is_some()) {
        if !needed.contains(&path.as_str()) {
            without = without.set(&format!("{path}=null"));
        }
    }
    without.render();
    for map in ["global.proxy", "global.extraEnv", "global.customCertificates"] {
        everything().set(&format!("{map}=null")).render();
    }
}

#[test]
fn both_helms_find_nothing_to_lint() {
    for version in HELMS {
        for (install, values) in [("defaults", ""), ("everything", include_str!("everything.yaml"))] {
            let output = helm(version, &["lint", "--strict", chart().to_str().unwrap(), "--values", "-"], values);
            let said = text(&output);
            assert!(output.status.success() && said.contains("0 chart(s) failed"), "helm {version}, {install}: {said}");
            assert!(!said.contains("[WARNING]"), "helm {version}, {install}: {said}");
        }
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart = &manifests::parse(&text)[0];
    assert_eq!(chart["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["description"], env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(chart.get("dependencies"), None);
}

#[test]
fn the_chart_is_for_kubernetes_from_1_25_on() {
    for version in ["1.25.0", "1.25", "v1.30.2-gke.1587003", "1.29.9+rke2r1", "1.37"] {
        Install::promised().with(&["--kube-version", version]).render();
    }
    Install::promised().with(&["--kube-version", "1.24.17"]).check_refused(&[">=1.25.0-0"]);
}

#[test]
fn a_rendering_depends_on_no_cluster_and_no_chance() {
    let mut folders = vec![chart().join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            let is_forbidden = |word: &&str| {
                ["lookup", "now", "uuidv4", "Capabilities", "getHostByName", "htpasswd", "bcrypt"].contains(word)
                    || word.starts_with("rand")
                    || word.starts_with("gen")
            };
            assert_eq!(words.filter(is_forbidden).collect::<Vec<_>>(), [""; 0], "{}", path.display());
        }
    }
}
