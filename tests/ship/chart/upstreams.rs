//! Named upstreams: their file as a Secret, and the files that it names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::helm::{HELMS, Install, text};
use super::key::decoded;
use super::manifests::{self, Manifests};

/// The folder of the file in a pod.
const FOLDER: &str = "/etc/prometheusmirror/upstreams";

fn with(values: Value) -> Install {
    Install::promised().values(&values.to_string())
}

fn with_one(upstream: Value) -> Install {
    with(json!({"upstreams": [upstream]}))
}

/// The upstreams file of a rendering.
fn file_of(rendered: &Manifests) -> Value {
    let secret = rendered.named("Secret", "prometheusmirror-upstreams");
    manifests::parse(&decoded(secret["data"]["upstreams.yaml"].as_str().unwrap())).remove(0)
}

fn volume<'a>(rendered: &'a Manifests, name: &str) -> Option<&'a Value> {
    rendered.pod()["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name)
}

/// Checks that a volume of the mirror is this, and that it is mounted as a whole at a path.
fn check_mounted(rendered: &Manifests, name: &str, source: &Value, path: &str) {
    let mut expected = json!({"name": name});
    expected.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    assert_eq!(volume(rendered, name), Some(&expected));
    let mounts = rendered.container()["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == name);
    assert_eq!(mount, Some(&json!({"name": name, "mountPath": path, "readOnly": true})));
    assert!(volume_of_test(rendered, name).is_none(), "helm test does not need it");
}

fn volume_of_test<'a>(rendered: &'a Manifests, name: &str) -> Option<&'a Value> {
    let [_, (_, test)] = rendered.pods();
    test["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name)
}

#[test]
fn upstreams_become_a_secret_that_is_mounted_as_a_folder() {
    let upstreams = json!([
        {
            "name": "mimir-team-a",
            "url": "https://mimir.example/prometheus",
            "basic_auth": {"username": "0123", "password": "hush"},
            "http_headers": {"X-Scope-OrgID": {"values": ["team-a"]}},
            "query_parameters": {"namespace": ["payments", ""]},
            "tls_config": {"ca_file": "/etc/prometheusmirror/files/authority/ca.pem", "insecure_skip_verify": false},
            "max_in_flight": 5,
            "timeout": "14s",
        },
        {"name": "b", "urls": ["http://one", "http://two"], "oauth2": null},
    ]);
    let files = json!([{"name": "authority", "secret": "s"}]);
    let rendered = with(json!({"upstreams": upstreams, "upstreamFiles": files})).render();
    assert_eq!(file_of(&rendered), json!({"upstreams": upstreams}));
    assert_eq!(rendered.variable("UPSTREAMS_FILE"), Some(format!("{FOLDER}/upstreams.yaml").as_str()));
    assert_eq!(rendered.variable("NAMED_UPSTREAMS_ONLY"), Some("false"));
    let source = json!({"secret": {"secretName": "prometheusmirror-upstreams", "defaultMode": 0o444}});
    check_mounted(&rendered, "upstreams", &source, FOLDER);
    let others: String =
        rendered.all().iter().filter(|object| object["kind"] != "Secret").map(Value::to_string).collect();
    assert!(!others.contains("hush") && !others.contains("mimir.example"), "{others}");
}

#[test]
fn texts_are_kept_to_the_character() {
    let texts =
        ["007", "1e3", "0x1f", "yes", "null", "~", "a: b #c", "<&>\"\\'", "é€😀", "{{ .Values }}", "two\nlines", " "];
    for password in texts {
        let basic_auth = json!({"username": "u", "password": password});
        let rendered = with_one(json!({"name": "a", "url": "http://p", "basic_auth": basic_auth})).render();
        assert_eq!(file_of(&rendered)["upstreams"][0]["basic_auth"], basic_auth, "{password}");
    }
}

#[test]
fn a_secret_that_is_there_already_is_mounted_instead() {
    let check = |set: &str, secret: &str, key: &str| {
        let rendered = Install::promised().set(set).render();
        let source = json!({"secret": {"secretName": secret, "defaultMode": 0o444}});
        check_mounted(&rendered, "upstreams", &source, FOLDER);
        assert_eq!(rendered.variable("UPSTREAMS_FILE"), Some(format!("{FOLDER}/{key}").as_str()), "{set}");
        assert_eq!(rendered.only("Secret")["metadata"]["name"], "prometheusmirror", "only that of the key");
    };
    check("upstreamsFromSecret.name=mine", "mine", "upstreams.yaml");
    check("upstreamsFromSecret.name=my.secret,upstreamsFromSecret.key=of.mine", "my.secret", "of.mine");
    check("upstreamsFromSecret.name=mine,upstreamsFromSecret.key=null", "mine", "upstreams.yaml");
}

#[test]
fn without_upstreams_there_is_no_trace_of_them_as_after_an_upgrade_that_keeps_the_old_values() {
    let plain = Install::promised().render();
    assert_eq!((plain.variable("UPSTREAMS_FILE"), volume(&plain, "upstreams")), (None, None));
    assert_eq!(plain.pod()["automountServiceAccountToken"], false);
    // The values of a chart without these options, as `--reuse-values` keeps them.
    let old = "upstreams=null,upstreamsFromSecret=null,upstreamFiles=null,namedUpstreamsOnly=null,\
               serviceAccount.create=null,serviceAccount.annotations=null,serviceAccount.mountToken=null";
    assert_eq!(Install::promised().set(old).render().text(), plain.text());
}

#[test]
fn other_upstreams_leave_the_pods_as_they_are() {
    let deployment = |password: &str| {
        let basic_auth = json!({"username": "u", "password": password});
        let rendered = with_one(json!({"name": "a", "url": "http://p", "basic_auth": basic_auth})).render();
        rendered.only("Deployment").clone()
    };
    assert_eq!(deployment("one"), deployment("another"));
}

#[test]
fn what_goes_not_together_is_refused() {
    let check = |values: Value, says: &[&str]| with(values).check_refused(says);
    let one = json!([{"name": "a", "url": "http://p"}]);
    check(
        json!({"upstreams": one, "upstreamsFromSecret": {"name": "mine"}}),
        &["upstreams and upstreamsFromSecret.name are both given"],
    );
    check(json!({"namedUpstreamsOnly": true}), &["namedUpstreamsOnly is true, but there are no named upstreams"]);
    check(
        json!({"upstreams": [{"name": "a", "url": "http://p"}, {"name": "a", "url": "http://q"}]}),
        &["two have the name \"a\""],
    );
    check(json!({"upstreams": [{"name": "a"}]}), &["\"a\" must have either url or urls"]);
    check(json!({"upstreams": [{"name": "a", "url": "http://p", "urls": ["http://q"]}]}), &["either url or urls"]);
    check(
        json!({"upstreams": [{"name": "a", "url": "http://p", "sigv4": {}, "bearer_token": "hush"}]}),
        &["\"a\" has sigv4 and bearer_token: keep one of them"],
    );
    for url in ["p:9090", "ftp://p", "http://user:hush@p", "https://p/x?match[]=y", "http://"] {
        check(json!({"upstreams": [{"name": "a", "url": url}]}), &["the URL of \"a\" must be like https://"]);
        check(json!({"upstreams": [{"name": "a", "urls": ["http://p", url]}]}), &["the URL of \"a\" must be like"]);
    }
}

#[test]
fn the_schema_refuses_what_the_mirror_would_and_repeats_no_value() {
    let check = |keys: Value, says: &[&str]| {
        let mut upstream = json!({"name": "a", "url": "http://p"});
        upstream.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let install = with_one(upstream);
        install.check_refused(says);
        for version in HELMS {
            let said = text(&install.run(version, "template", &[]));
            assert!(!said.contains("hush") && !said.contains("4711"), "repeats a value: {said}");
        }
    };
    check(json!({"pasword": "hush"}), &["pasword"]);
    check(json!({"basic_auth": {"username": "u", "passwort": "hush"}}), &["basic_auth", "passwort"]);
    check(json!({"authorization": {"credential": "hush"}}), &["authorization", "credential"]);
    check(json!({"oauth2": {"secret": "hush"}}), &["oauth2", "secret"]);
    check(json!({"oauth2": {"tls_config": {"cafile": "hush"}}}), &["tls_config", "cafile"]);
    check(json!({"sigv4": {"secretkey": "hush"}}), &["sigv4", "secretkey"]);
    check(json!({"tls_config": {"keys": "hush"}}), &["tls_config", "keys"]);
    check(json!({"http_headers": {"X-A": {"value": ["hush"]}}}), &["X-A", "value"]);
    check(json!({"http_headers": {"X-A": ["hush"]}}), &["X-A"]);
    check(json!({"query_parameters": {"a": "hush"}}), &["query_parameters"]);
    check(json!({"basic_auth": {"username": 4711}}), &["basic_auth", "username", "string"]);
    check(json!({"basic_auth": "hush"}), &["basic_auth"]);
    check(json!({"tls_config": {"min_version": "hush"}}), &["min_version"]);
    check(json!({"http_method": "hush"}), &["http_method"]);
    check(json!({"max_in_flight": 0}), &["max_in_flight"]);
    check(json!({"remote_read": "hush"}), &["remote_read"]);
    check(json!({"follow_redirects": true}), &["follow_redirects"]);
    check(json!({"urls": []}), &["urls"]);
    with(json!({"upstreams": []})).check_refused(&["upstreams"]);
    with(json!({"upstreams": [{"url": "http://p"}]})).check_refused(&["name"]);
    with(json!({"upstreams": [{"name": "a b", "url": "http://p"}]})).check_refused(&["name"]);
    with(json!({"upstreamsFromSecret": {"name": "No_Name"}})).check_refused(&["upstreamsFromSecret"]);
}

#[test]
fn files_that_upstreams_name_are_mounted_by_name() {
    let files = json!([
        {"name": "authority", "configMap": "my.authorities"},
        {"name": "client", "secret": "my-client", "configMap": "", "serviceCa": false},
    ]);
    let rendered = with(json!({"upstreamFiles": files})).render();
    let authority = json!({"configMap": {"name": "my.authorities", "defaultMode": 0o444}});
    check_mounted(&rendered, "files-authority", &authority, "/etc/prometheusmirror/files/authority");
    let client = json!({"secret": {"secretName": "my-client", "defaultMode": 0o444}});
    check_mounted(&rendered, "files-client", &client, "/etc/prometheusmirror/files/client");
    assert!(rendered.find("ConfigMap").is_none());
    for (item, says) in [
        (json!({"name": "a"}), "\"a\" must have exactly one of secret, configMap and serviceCa"),
        (json!({"name": "a", "secret": "s", "configMap": "c"}), "must have exactly one of secret"),
        (json!({"name": "a", "secret": "s", "serviceCa": true}), "must have exactly one of secret"),
        (json!({"secret": "s"}), "name"),
        (json!({"name": "a/b", "secret": "s"}), "name"),
        (json!({"name": "a", "secrets": "s"}), "secrets"),
    ] {
        with(json!({"upstreamFiles": [item]})).check_refused(&["upstreamFiles", says]);
    }
    let twice = json!([{"name": "a", "secret": "s"}, {"name": "a", "configMap": "c"}]);
    with(json!({"upstreamFiles": twice})).check_refused(&["upstreamFiles: two have the name \"a\""]);
}

#[test]
fn an_upstream_whose_file_is_not_in_the_pods_is_refused() {
    let of_file = |path: &str| json!([{"name": "a", "url": "https://p", "tls_config": {"ca_file": path}}]);
    let check = |path: &str, more: Value, says: Option<&str>| {
        let mut values = json!({"upstreams": of_file(path)});
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match says {
            Some(says) => with(values).check_refused(&["upstreams: \"a\"", says]),
            None => assert_eq!(file_of(&with(values).render())["upstreams"], of_file(path)),
        }
    };
    let path = "/etc/prometheusmirror/files/authority/ca.pem";
    check(path, json!({}), Some("upstreamFiles does not mount its folder"));
    check(path, json!({"upstreamFiles": [{"name": "auth", "secret": "s"}]}), Some(path));
    check(path, json!({"upstreamFiles": [{"name": "authority", "secret": "s"}]}), None);
    let mine = json!({"extraVolumes": [{"name": "v", "secret": {"secretName": "s"}}],
        "extraVolumeMounts": [{"name": "v", "mountPath": "/etc/prometheusmirror/files/authority"}]});
    check(path, mine, None);
    check("ca.pem", json!({}), Some("without its folder"));
    check("./ca.pem", json!({}), Some("without its folder"));
    let relative = "../files/authority/ca.pem";
    check(relative, json!({}), Some(path));
    check(relative, json!({"upstreamFiles": [{"name": "authority", "secret": "s"}]}), None);
    let headers =
        |files: Value| with_one(json!({"name": "a", "url": "https://p", "http_headers": {"X-A": {"files": files}}}));
    headers(json!(["token"])).check_refused(&["upstreams: \"a\"", "without its folder"]);
    headers(json!(["/etc/x", "token"])).check_refused(&["upstreams: \"a\"", "without its folder"]);
    headers(json!([path])).check_refused(&["upstreams: \"a\"", path]);
    check("/etc/ssl/ca.pem", json!({}), None);
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    check(token, json!({}), Some("set serviceAccount.mountToken to true"));
    check(token, json!({"serviceAccount": {"mountToken": true}}), None);
}

#[test]
fn the_service_ca_of_openshift_comes_into_a_config_map_that_pods_wait_for() {
    let rendered = with(json!({"upstreamFiles": [{"name": "service-ca", "serviceCa": true}]})).render();
    let map = rendered.only("ConfigMap");
    assert_eq!(map["metadata"]["name"], "prometheusmirror-service-ca");
    assert_eq!(map["metadata"]["annotations"], json!({"service.beta.openshift.io/inject-cabundle": "true"}));
    assert_eq!(map.get("data"), None, "which OpenShift adds");
    let source = json!({"configMap": {
        "name": "prometheusmirror-service-ca",
        "defaultMode": 0o444,
        "items": [{"key": "service-ca.crt", "path": "service-ca.crt"}],
    }});
    check_mounted(&rendered, "files-service-ca", &source, "/etc/prometheusmirror/files/service-ca");
}

#[test]
fn a_service_account_is_created_with_its_annotations_if_it_is_asked_for() {
    let check = |set: &str, name: &str| {
        let install = Install::promised().set("serviceAccount.create=true").set(set);
        let rendered = install
            .values("serviceAccount: {annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::1:role/r'}}")
            .render();
        let account = rendered.only("ServiceAccount");
        assert_eq!(account["metadata"]["name"], name);
        let annotations = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"});
        assert_eq!(account["metadata"]["annotations"], annotations);
        assert_eq!(account["automountServiceAccountToken"], false);
        for (pod, spec) in rendered.pods() {
            assert_eq!(spec["serviceAccountName"], name, "{pod}");
        }
    };
    check("serviceAccount.name=", "prometheusmirror");
    check("serviceAccount.name=mine", "mine");
    let without = Install::promised().set("serviceAccount.annotations.a=b");
    without.check_refused(&["serviceAccount.annotations", "set serviceAccount.create to true"]);
    assert!(Install::promised().render().find("ServiceAccount").is_none());
}

#[test]
fn the_token_is_mounted_for_the_mirror_alone_and_only_if_it_is_asked_for() {
    let check = |install: Install, expected: bool| {
        let rendered = install.render();
        let [(_, mirror), (_, test)] = rendered.pods();
        assert_eq!(mirror["automountServiceAccountToken"], expected);
        assert_eq!(test["automountServiceAccountToken"], false);
    };
    check(Install::promised(), false);
    check(Install::promised().set("serviceAccount.mountToken=true"), true);
}

#[test]
fn the_notes_show_the_connection_details_of_each_name() {
    let upstreams = json!([
        {"name": "openshift", "url": "http://u", "bearer_token": "hush"},
        {"name": "team-a.b_1", "url": "http://p"},
    ]);
    let plain = "Connection Details, with host and port";
    let check = |values: Value, says: &[&str], not: &[&str]| {
        let notes = with(values).notes();
        assert!(says.iter().all(|part| notes.contains(part)), "do not say {says:?}: {notes}");
        assert!(not.iter().chain(&["hush"]).all(|part| !notes.contains(part)), "say one of {not:?}: {notes}");
        let details = notes.lines().map(str::trim).filter(|line| line.starts_with("{\""));
        assert!(details.map(serde_json::from_str::<Value>).all(|details| details.is_ok()), "{notes}");
    };
    let named = ["\n  {\"upstream\": \"openshift\"}\n  {\"upstream\": \"team-a.b_1\"}\n"];
    let warns = "can query the named upstreams";
    let any_host = "connect to any host";
    check(json!({"upstreams": upstreams}), &[&named[..], &[plain, warns, any_host]].concat(), &[]);
    check(
        json!({"upstreams": upstreams, "namedUpstreamsOnly": true}),
        &[&named[..], &[warns]].concat(),
        &[plain, any_host],
    );
    check(json!({"upstreams": upstreams, "requireApiKey": true}), &named, &[warns]);
    check(
        json!({"upstreamsFromSecret": {"name": "mine"}}),
        &["from the upstreams file in the Secret mine\n\n  {\"upstream\": \"NAME\"}\n", plain],
        &[],
    );
    check(json!({}), &[plain], &["upstream\"", warns]);
}

#[test]
fn the_examples_of_the_page_on_upstreams_are_values_of_the_chart() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/upstreams.md")).unwrap();
    let mut lines = page.lines();
    let mut examples = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(indentation) = line.strip_suffix("```yaml") {
            let block = lines.by_ref().take_while(|line| !line.ends_with("```"));
            examples
                .push(block.map(|line| line.strip_prefix(indentation).unwrap_or(line)).collect::<Vec<_>>().join("\n"));
        }
    }
    assert!(examples.len() > 12, "{examples:?}");
    for example in examples {
        let mut install = Install::promised().values(&example).set("serviceAccount.mountToken=true");
        // Each folder of files that it names.
        let folders = example.split("/etc/prometheusmirror/files/").skip(1).filter_map(|rest| rest.split('/').next());
        for (nth, folder) in folders.collect::<BTreeSet<_>>().into_iter().enumerate() {
            install = install.set(&format!("upstreamFiles[{nth}].name={folder},upstreamFiles[{nth}].secret=s"));
        }
        let rendered = install.render();
        if let Some(given) = manifests::parse(&example)[0].get("upstreams") {
            assert_eq!(&file_of(&rendered)["upstreams"], given, "{example}");
        }
    }
}
