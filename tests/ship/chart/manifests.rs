//! Manifests as values: parsed, checked for what no manifest may contain, and looked up.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// The manifests of an installation.
pub struct Manifests {
    text: String,
    all: Vec<Value>,
}

impl Manifests {
    /// Parses the output of helm, and checks that every document is an object without null.
    pub fn parse(text: &str) -> Manifests {
        let all: Vec<Value> = parse(text);
        for object in &all {
            for field in ["/apiVersion", "/kind", "/metadata/name"] {
                assert!(object.pointer(field).is_some_and(Value::is_string), "no {field}: {object}");
            }
            assert_eq!(null_in(object), None, "{object}");
        }
        Manifests { text: text.to_owned(), all }
    }

    /// Every object.
    pub fn all(&self) -> &[Value] {
        &self.all
    }

    /// The lines that are not empty.
    pub fn lines(&self) -> Vec<&str> {
        self.text.lines().filter(|line| !line.trim().is_empty()).collect()
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The kinds of the objects, each with its name after a slash, sorted.
    pub fn list(&self) -> Vec<String> {
        let name = |object: &Value| format!("{}/{}", kind(object), object["metadata"]["name"].as_str().unwrap());
        let mut list: Vec<_> = self.all.iter().map(name).collect();
        list.sort();
        list
    }

    /// The only object of a kind, if there is one.
    pub fn find(&self, wanted: &str) -> Option<&Value> {
        let found: Vec<_> = self.all.iter().filter(|object| kind(object) == wanted).collect();
        assert!(found.len() < 2, "more than one {wanted}: {:?}", self.list());
        found.first().copied()
    }

    /// The only object of a kind.
    pub fn only(&self, wanted: &str) -> &Value {
        self.find(wanted).unwrap_or_else(|| panic!("no {wanted}: {:?}", self.list()))
    }

    /// The object of a kind with a name.
    pub fn named(&self, wanted: &str, name: &str) -> &Value {
        let found = self.all.iter().find(|object| kind(object) == wanted && object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {wanted} {name}: {:?}", self.list()))
    }

    /// The spec of the mirror's pods.
    pub fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]["spec"]
    }

    /// The container of the mirror.
    pub fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// The value of a variable of the mirror.
    pub fn variable(&self, name: &str) -> Option<&str> {
        Some(self.variables().into_iter().find(|variable| variable["name"] == name)?["value"].as_str().unwrap())
    }

    /// The variables of the mirror.
    pub fn variables(&self) -> Vec<&Value> {
        self.container()["env"].as_array().unwrap().iter().collect()
    }

    /// The specs of all pods with their names: those of the mirror, and the one of the test.
    pub fn pods(&self) -> [(&'static str, &Value); 2] {
        [("mirror", self.pod()), ("test", &self.only("Pod")["spec"])]
    }
}

/// The kind of an object.
pub fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

/// The documents of a YAML text. A repeated key is an error.
pub fn parse(text: &str) -> Vec<Value> {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    documents.iter().map(json).collect()
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(fields) => {
            let field = |(name, value)| (Yaml::as_str(name).expect("a name that is text").to_owned(), json(value));
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => panic!("no value of a manifest: {other:?}"),
    }
}

/// The places of null in a value, which Kubernetes would treat as left out, or as an error.
fn null_in(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| null_in(item).map(|rest| format!("/{at}{rest}")))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(name, item)| null_in(item).map(|rest| format!("/{name}{rest}")))
        }
        _ => None,
    }
}
