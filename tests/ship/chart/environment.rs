//! Environment variables that users add.

use prometheusmirror::settings::TABLE;
use serde_json::json;

use super::helm::Install;
use super::key::decoded;

#[test]
fn open_variables_are_the_texts_that_were_written() {
    let yaml = r##"
        NUMBER: 67108864
        NEGATIVE: -5
        TRUTH: true
        QUOTED: "1.10"
        EMPTY: ""
        TEXT: "a \"b\" 'c' #d: é\n{{ .Values }}"
        nothing: null
        dotted.name-x: z
    "##;
    let rendered = Install::promised().values(&format!("global:\n  extraEnv:\n    open:{yaml}")).render();
    for (name, expected) in [
        ("NUMBER", "67108864"),
        ("NEGATIVE", "-5"),
        ("TRUTH", "true"),
        ("QUOTED", "1.10"),
        ("EMPTY", ""),
        ("TEXT", "a \"b\" 'c' #d: é\n{{ .Values }}"),
        ("dotted.name-x", "z"),
    ] {
        assert_eq!(rendered.variable(name), Some(expected), "{name}");
    }
    assert_eq!(rendered.variable("nothing"), None);
    let by_set = Install::promised().set("global.extraEnv.open.A=1.10,global.extraEnv.open.B=67108864").render();
    assert_eq!((by_set.variable("A"), by_set.variable("B")), (Some("1.10"), Some("67108864")));
}

#[test]
fn secret_variables_come_from_a_secret() {
    let yaml = "global: {extraEnv: {secret: {TOKEN: hush, PIN: 1234, NOTHING: null}}}";
    let rendered = Install::promised().values(yaml).render();
    let secret = rendered.named("Secret", "prometheusmirror-env");
    let data = secret["data"].as_object().unwrap();
    let data: Vec<_> = data.iter().map(|(name, text)| (name.as_str(), decoded(text.as_str().unwrap()))).collect();
    assert_eq!(data, [("PIN", "1234".to_owned()), ("TOKEN", "hush".to_owned())]);
    for name in ["PIN", "TOKEN"] {
        let variable = rendered.variables().into_iter().find(|variable| variable["name"] == name).unwrap();
        let reference = json!({"secretKeyRef": {"name": "prometheusmirror-env", "key": name}});
        assert_eq!(variable, &json!({"name": name, "valueFrom": reference}));
    }
    assert_eq!(rendered.variables().iter().filter(|variable| variable["name"] == "NOTHING").count(), 0);
}

#[test]
fn another_secret_variable_replaces_the_pods() {
    let metadata = |token: &str| {
        let install = Install::promised().set(&format!("global.extraEnv.secret.TOKEN={token}"));
        install.render().only("Deployment")["spec"]["template"]["metadata"].clone()
    };
    assert_ne!(metadata("one"), metadata("other"));
    assert_eq!(metadata("one"), metadata("one"));
}

#[test]
fn variables_may_be_given_as_in_a_pod() {
    let yaml = "extraEnv: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}, {name: N1, value: 5}]";
    let rendered = Install::promised().values(yaml).render();
    let variables = rendered.variables();
    let [.., node, number] = variables.as_slice() else { panic!("{variables:?}") };
    assert_eq!(*node, &json!({"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}));
    assert_eq!(*number, &json!({"name": "N1", "value": "5"}));
}

/// The ways to add a variable.
const WAYS: [(&str, &str); 3] = [
    ("global.extraEnv.open", "global: {extraEnv: {open: {NAME: x}}}"),
    ("global.extraEnv.secret", "global: {extraEnv: {secret: {NAME: hush}}}"),
    ("extraEnv", "extraEnv: [{name: NAME, value: x}]"),
];

#[test]
fn a_variable_that_is_a_value_is_refused_with_its_name() {
    for setting in TABLE.iter().filter(|setting| setting.variable() != "LISTEN") {
        let name = setting.variable();
        let value = match name.as_str() {
            "API_KEY" | "API_KEY_FILE" => "global.apiKey".to_owned(),
            "CA_PATH" => "global.customCertificates".to_owned(),
            "PROXY" | "PROXY_FILE" => "global.proxy.url".to_owned(),
            "UPSTREAMS_FILE" => "upstreams".to_owned(),
            variable => camel(variable),
        };
        for (way, yaml) in WAYS {
            let install = Install::promised().set("global.proxy.url=http://p").values(&yaml.replace("NAME", &name));
            install
                .check_refused(&[&format!("{way}: the chart sets {name}:"), &format!("use the value {value} instead")]);
        }
    }
}

/// The name of a value whose variable has this name.
pub fn camel(variable: &str) -> String {
    let mut words = variable.split('_').map(str::to_lowercase);
    let first = words.next().unwrap();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

#[test]
fn a_variable_that_the_chart_does_not_set_may_be_set() {
    let rendered =
        Install::promised().set("global.extraEnv.open.LISTEN=0.0.0.0,global.extraEnv.open.NO_PROXY=.svc").render();
    assert_eq!((rendered.variable("LISTEN"), rendered.variable("NO_PROXY")), (Some("0.0.0.0"), Some(".svc")));
}

#[test]
fn a_variable_that_is_given_twice_is_refused() {
    let pair = |first: usize, second: usize| {
        let [first, second] = [first, second].map(|at| WAYS[at].1);
        Install::promised().values(&first.replace("NAME", "TWICE")).set(match second {
            second if second == WAYS[1].1 => "global.extraEnv.secret.TWICE=hush",
            _ => "extraEnv[0].name=TWICE,extraEnv[0].value=x",
        })
    };
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        pair(first, second).check_refused(&["TWICE is given twice", WAYS[second].0]);
    }
}

#[test]
fn what_cannot_be_a_variable_is_refused() {
    let check = |yaml: &str, says: &[&str]| Install::promised().values(yaml).check_refused(says);
    check("global: {extraEnv: {open: {\"a b\": x}}}", &["global.extraEnv.open", "the name of a variable"]);
    check("global: {extraEnv: {secret: {1ST: hush}}}", &["global.extraEnv.secret", "the name of a variable"]);
    check("extraEnv: [{name: Y, value: x}]", &["extraEnv", "names such as Y and N need quotes"]);
    check("extraEnv: [{value: x}]", &["extraEnv", "name"]);
    for (way, number) in [("open", "1.10"), ("secret", "9007199254740993")] {
        let name = format!("global.extraEnv.{way}.NUMBER is a number");
        check(&format!("global: {{extraEnv: {{{way}: {{NUMBER: {number}}}}}}}"), &[&name, "quotes"]);
    }
    check("extraEnv: [{name: NUMBER, value: 0.5}]", &["extraEnv[0].value is a number", "quotes"]);
    check("global: {extraEnv: {open: {LIST: [a]}}}", &["global.extraEnv.open.LIST", "not a map or a list"]);
    check("global: {extraEnv: {open: [A]}}", &["open"]);
    check("global: {extraEnv: [A]}", &["extraEnv"]);
}
