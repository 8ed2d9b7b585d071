//! The API key: unchanged to the character, mounted as a file, and in no other place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::helm::{Install, KEY};

/// The decoded text of a Secret.
pub fn decoded(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The key that an installation puts into its Secret.
fn key_of(install: &Install) -> String {
    decoded(install.render().only("Secret")["data"]["apiKey"].as_str().unwrap())
}

#[test]
fn a_key_is_kept_to_the_character() {
    let check = |install: Install, expected: &str| assert_eq!(key_of(&install), expected);
    let new = Install::without_key;
    let longest = "k".repeat(1_024);
    for key in
        ["k", "0", "7", "007", "67108864", "9007199254740993", "12345678901234567890", "1e3", "1.0", "0x1f", &longest]
    {
        check(new().with(&["--set", &format!("global.apiKey={key}")]), key);
        check(new().with(&["--set-string", &format!("global.apiKey={key}")]), key);
    }
    for key in ["true", "null", "~", "a:b#c'd\"e\\f,g", "{{.Values}}", "%s%d", "$(HOME)"] {
        check(new().with(&["--set-literal", &format!("global.apiKey={key}")]), key);
    }
    for key in ["0", "7", "67108864", "9007199254740991"] {
        check(new().values(&format!("global: {{apiKey: {key}}}")), key);
        check(new().with(&["--set-json", &format!("global.apiKey={key}")]), key);
    }
    for key in ["007", "1e3", "9007199254740993", "true", "yes"] {
        check(new().values(&format!("global: {{apiKey: \"{key}\"}}")), key);
    }
}

#[test]
fn a_key_in_a_file_may_end_with_the_end_of_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    for ending in ["", "\n", "\r\n"] {
        std::fs::write(&file, format!("{KEY}{ending}")).unwrap();
        let argument = format!("global.apiKey={}", file.display());
        assert_eq!(key_of(&Install::without_key().with(&["--set-file", &argument])), KEY, "{ending:?}");
    }
}

#[test]
fn a_missing_key_is_asked_for_with_the_command_that_gives_it() {
    let says =
        ["global.apiKey is missing", "helm install", "--set global.apiKey=choose-a-key", "global.apiKeyFromSecret"];
    let new = Install::without_key;
    for install in [
        new(),
        new().set("global.apiKey="),
        new().set("global.apiKey=null"),
        new().values("global: {apiKey: }"),
        new().values("global: {apiKey: \"\\n\"}"),
    ] {
        install.check_refused(&says);
    }
    new().named("mine").check_refused(&["helm install mine CHART"]);
    new().with(&["--is-upgrade"]).check_refused(&["helm upgrade prometheusmirror CHART"]);
}

#[test]
fn a_key_that_cannot_be_kept_is_refused_and_not_repeated() {
    // The value, the error, and the text that the error must not contain.
    let check = |install: Install, says: &[&str], hidden: &str| {
        install.check_refused(&[&["global.apiKey"], says].concat());
        for version in super::helm::HELMS {
            let said = super::helm::text(&install.run(version, "template", &[]));
            assert!(hidden.is_empty() || !said.contains(hidden), "repeats the key: {said}");
        }
    };
    let new = Install::without_key;
    let quotes = ["quotes", "--set-string"];
    check(new().values("global: {apiKey: 9007199254740993}"), &quotes, "900719925474099");
    check(new().values("global: {apiKey: 12345678901234567890}"), &quotes, "1234567890");
    check(new().values("global: {apiKey: -9007199254740993}"), &quotes, "900719925474099");
    check(new().values("global: {apiKey: 31415.5}"), &quotes, "31415");
    check(new().values("global: {apiKey: true}"), &quotes, "");
    check(new().values("global: {apiKey: [hush]}"), &["global.apiKeyFromSecret"], "hush");
    let allowed = ["1 to 1024 visible ASCII characters"];
    check(new().values("global: {apiKey: hush hush}"), &allowed, "hush");
    check(new().values("global: {apiKey: \"hush\\nhush\"}"), &allowed, "hush");
    check(new().values("global: {apiKey: húsh}"), &allowed, "húsh");
    check(new().values("global: {apiKey: \"hush\\u0007\"}"), &allowed, "hush");
    check(new().set(&format!("global.apiKey={}", "k".repeat(1_025))), &allowed, "kkkk");
}

#[test]
fn a_key_is_mounted_as_a_directory_and_is_in_no_variable() {
    let check = |install: Install, secret: &str, entry: &str| {
        let rendered = install.render();
        for (name, pod) in rendered.pods() {
            let container = &pod["containers"][0];
            let volume = json!({
                "name": "key",
                "secret": {"secretName": secret, "defaultMode": 0o444, "items": [{"key": entry, "path": "apiKey"}]},
            });
            assert_eq!(pod["volumes"][0], volume, "{name}");
            let mount = json!({"name": "key", "mountPath": "/etc/prometheusmirror/key", "readOnly": true});
            assert_eq!(container["volumeMounts"][0], mount, "{name}");
            let variable = json!({"name": "API_KEY_FILE", "value": "/etc/prometheusmirror/key/apiKey"});
            assert_eq!(container["env"][0], variable, "{name}");
            let variables = container["env"].as_array().unwrap();
            assert!(variables.iter().all(|variable| variable["name"] != "API_KEY"), "{name}");
            assert!(!pod.to_string().contains("subPath"), "{name}");
        }
    };
    check(Install::promised(), "prometheusmirror", "apiKey");
    check(Install::promised().named("mine"), "mine-prometheusmirror", "apiKey");
    let from = |set: &str| Install::without_key().set(set);
    check(from("global.apiKey.fromSecret=mine"), "mine", "apiKey");
    check(from("global.apiKey.fromSecret=my.secret,global.apiKey.key=api.key_1"), "my.secret", "api.key_1");
    check(from("global.apiKey.fromSecret=mine,global.apiKey.key="), "mine", "apiKey");
    check(from("global.apiKey.fromSecret=mine,global.apiKey.key=null"), "mine", "apiKey");
    check(from("global.apiKeyFromSecret=mine"), "mine", "apiKey");
    check(from("global.apiKeyFromSecret=mine,global.apiKeySecretEntry=api.key_1"), "mine", "api.key_1");
    check(from("global.apiKeyFromSecret=mine,global.apiKeySecretEntry=null"), "mine", "apiKey");
}

#[test]
fn a_secret_that_is_there_already_is_the_only_one() {
    for set in ["global.apiKey.fromSecret=mine", "global.apiKeyFromSecret=mine"] {
        let rendered = Install::without_key().set(set).render();
        assert!(rendered.find("Secret").is_none(), "{:?}", rendered.list());
    }
}

#[test]
fn exactly_one_source_of_the_key_is_allowed() {
    let both = &["global.apiKey and global.apiKeyFromSecret are both given: keep one of them"];
    Install::promised().set("global.apiKeyFromSecret=mine").check_refused(both);
    let maps =
        &["global.apiKey.fromSecret and global.apiKeyFromSecret are both given", "--set global.apiKey.fromSecret= or"];
    Install::without_key().set("global.apiKey.fromSecret=a,global.apiKeyFromSecret=b").check_refused(maps);
    // An emptied map counts as absent, and so does its entry.
    let emptied = "global.apiKey.fromSecret=,global.apiKey.key=theirs,global.apiKeyFromSecret=b";
    let volume = &Install::without_key().set(emptied).render().pod()["volumes"][0]["secret"].clone();
    assert_eq!((&volume["secretName"], &volume["items"][0]["key"]), (&json!("b"), &json!("apiKey")));
    let says = &["global.apiKeySecretEntry is given without a Secret: set global.apiKeyFromSecret"];
    Install::promised().set("global.apiKeySecretEntry=apiKey").check_refused(says);
    let check = |set: &str, says: &str| Install::without_key().set(set).check_refused(&[says]);
    check("global.apiKeyFromSecret=No_Name", "global.apiKeyFromSecret must be the name of a Secret");
    check("global.apiKeyFromSecret.name=mine", "global.apiKeyFromSecret must be the name of a Secret");
    check("global.apiKeyFromSecret=5", "global.apiKeyFromSecret must be the name of a Secret");
    let entry = "global.apiKeyFromSecret=mine,global.apiKeySecretEntry=a b";
    check(entry, "global.apiKeySecretEntry must be the name of an entry");
}

/// On an upgrade, Helm deletes the objects that a release no longer has, even if others use them.
#[test]
fn an_object_of_the_chart_is_not_taken_for_one_of_the_users() {
    let check = |install: Install, value: &str, name: &str| {
        install.check_refused(&[value, name, "Helm would overwrite or delete"]);
    };
    let new = Install::without_key;
    for set in ["global.apiKey.fromSecret=prometheusmirror", "global.apiKeyFromSecret=prometheusmirror"] {
        check(new().set(set), set.split('=').next().unwrap(), "\"prometheusmirror\"");
    }
    check(new().named("a").set("global.apiKeyFromSecret=a-prometheusmirror"), "apiKeyFromSecret", "a-prometheusmirror");
    new().named("b").set("global.apiKeyFromSecret=a-prometheusmirror").render();
    let upstreams = Install::promised().set("upstreamsFromSecret.name=prometheusmirror-upstreams");
    check(upstreams, "upstreamsFromSecret.name", "prometheusmirror-upstreams");
    let certificates = "global.customCertificates.enabled=true,global.customCertificates.configMapName=";
    let certificates = Install::promised().set(&format!("{certificates}prometheusmirror-certificates"));
    check(certificates, "global.customCertificates.configMapName", "prometheusmirror-certificates");
    // Regardless of its purpose, and of which object of the chart it is.
    for suffix in ["", "-env", "-proxy", "-upstreams"] {
        let name = format!("prometheusmirror{suffix}");
        check(new().set(&format!("global.apiKeyFromSecret={name}")), "global.apiKeyFromSecret", &name);
        for (value, yaml) in [
            ("upstreamsFromSecret.name", format!("upstreamsFromSecret: {{name: {name}}}")),
            ("upstreamFiles", format!("upstreamFiles: [{{name: f, secret: {name}}}]")),
            ("imagePullSecrets", format!("imagePullSecrets: [{{name: {name}}}]")),
            ("imagePullSecrets", format!("global: {{imagePullSecrets: [{name}]}}")),
            ("ingress.tls", format!("ingress: {{enabled: true, hosts: [m.example], tls: [{{secretName: {name}}}]}}")),
        ] {
            check(Install::promised().values(&yaml), value, &name);
        }
    }
    for suffix in ["-certificates", "-dashboard", "-service-ca"] {
        let name = format!("prometheusmirror{suffix}");
        check(
            Install::promised().values(&format!("upstreamFiles: [{{name: f, configMap: {name}}}]")),
            "upstreamFiles",
            &name,
        );
    }
    // One from an earlier revision would be deleted.
    let account = |create: bool| {
        let values = format!("serviceAccount: {{create: {create}, name: prometheusmirror}}");
        Install::promised().values(&values)
    };
    check(account(false), "serviceAccount.name", "\"prometheusmirror\"");
    assert_eq!(account(true).render().only("ServiceAccount")["metadata"]["name"], "prometheusmirror");
    // A Secret and a ConfigMap with the same name are two objects.
    Install::promised().values("upstreamFiles: [{name: f, secret: prometheusmirror-dashboard}]").render();
}

#[test]
fn a_map_that_names_no_secret_is_refused() {
    let check = |yaml: &str, says: &[&str]| {
        Install::without_key().values(&format!("global: {{apiKey: {yaml}}}")).check_refused(says);
    };
    check("{fromsecret: mine}", &["\"fromsecret\"", "{fromSecret: NAME, key: KEY}"]);
    check("{fromSecret: mine, name: x}", &["\"name\"", "{fromSecret: NAME, key: KEY}"]);
    check("{}", &["global.apiKey.fromSecret must be the name of a Secret"]);
    check("{key: apiKey}", &["global.apiKey.fromSecret must be the name of a Secret"]);
    check("{fromSecret: \"\"}", &["global.apiKey.fromSecret must be the name of a Secret"]);
    check("{fromSecret: 5}", &["global.apiKey.fromSecret must be the name of a Secret"]);
    check("{fromSecret: No_Name}", &["global.apiKey.fromSecret must be the name of a Secret"]);
    check("{fromSecret: mine, key: a b}", &["global.apiKey.key must be the name of an entry"]);
    check("{fromSecret: mine, key: 5}", &["global.apiKey.key must be the name of an entry"]);
}

#[test]
fn another_key_leaves_the_pods_as_they_are() {
    let pods =
        |key: &str| Install::without_key().set(&format!("global.apiKey={key}")).render().only("Deployment").clone();
    assert_eq!(pods("one"), pods("another"));
}
