//! The settings of the server: each that an operator may want is a value, with the server's default.

use std::collections::BTreeSet;

use prometheusmirror::prometheus::{Allowlist, NoProxy};
use prometheusmirror::settings::{Allowed, Fallback, Setting, TABLE};
use serde_json::{Value, json};

use super::environment::camel;
use super::everything::everything;
use super::helm::{HELMS, Install, chart, text};

/// Settings that the chart does not set: as a variable, many could see the key, and the mirror listens on all interfaces of a pod.
const UNSET: [&str; 3] = ["API_KEY", "LISTEN", "PROXY"];

/// Intended differences: in a cluster, clients still use a pod for some seconds after it begins to end.
const DIFFERENT: [(&str, &str); 1] = [("SHUTDOWN_DELAY", "5")];

#[test]
fn every_setting_is_set_by_a_value() {
    let rendered = everything().render();
    let set: BTreeSet<_> = rendered.variables().iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    let wanted = TABLE.map(Setting::variable);
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let missing: Vec<_> = wanted.iter().filter(|variable| !set.contains(**variable)).collect();
    assert_eq!(missing, UNSET.iter().collect::<Vec<_>>());
    // All other variables come from values with their names.
    let others: Vec<_> = set.difference(&wanted).collect();
    assert_eq!(others, ["GREETING", "NODE", "TOKEN"].iter().collect::<Vec<_>>());
}

#[test]
fn the_defaults_are_those_of_the_server() {
    let rendered = Install::promised().render();
    for setting in TABLE {
        let name = &*setting.variable();
        let different = DIFFERENT.iter().find(|(variable, _)| *variable == name).map(|(_, value)| *value);
        let expected = match setting.fallback {
            Fallback::Value(value) => Some(different.unwrap_or(value)),
            Fallback::Off | Fallback::Derived(_) | Fallback::RequiredUnless(_) => None,
        };
        match name {
            "API_KEY_FILE" => assert!(rendered.variable(name).is_some()),
            // A default that only holds with a proxy is set only with a proxy.
            "NO_PROXY" => {
                let with_proxy = Install::promised().set("global.proxy.url=http://proxy.example").render();
                assert_eq!((rendered.variable(name), with_proxy.variable(name)), (None, expected));
            }
            _ if UNSET.contains(&name) => assert_eq!(rendered.variable(name), None, "{name}"),
            _ => assert_eq!(rendered.variable(name), expected, "{name}"),
        }
    }
}

#[test]
fn numbers_reach_the_server_to_the_digit() {
    let check = |install: Install, name: &str, expected: &str| {
        assert_eq!(install.render().variable(name), Some(expected), "{name}");
    };
    for (value, variable, numbers) in [
        ("workers", "WORKERS", [1, 1_000]),
        ("queueSize", "QUEUE_SIZE", [0, 100_000]),
        ("maxRequestBytes", "MAX_REQUEST_BYTES", [1_024, 67_108_864]),
        ("memoryBudgetMib", "MEMORY_BUDGET_MIB", [16, 65_536]),
        ("connectionLifetime", "CONNECTION_LIFETIME", [1, 3_600]),
        ("shutdownDelay", "SHUTDOWN_DELAY", [0, 3_600]),
        ("shutdownGrace", "SHUTDOWN_GRACE", [0, 3_600]),
    ] {
        for number in numbers {
            check(Install::promised().set(&format!("{value}={number}")), variable, &number.to_string());
            check(Install::promised().values(&format!("{value}: {number}")), variable, &number.to_string());
        }
    }
}

#[test]
fn texts_and_choices_reach_the_server() {
    let check = |set: &str, name: &str, expected: Option<&str>| {
        assert_eq!(Install::promised().set(set).render().variable(name), expected, "{set}");
    };
    check("requireApiKey=true", "REQUIRE_API_KEY", Some("true"));
    check("explorer=false", "EXPLORER", Some("false"));
    check("explorer=null", "EXPLORER", Some("true"));
    check("logLevel=debug", "LOG_LEVEL", Some("debug"));
    check("logFormat=json", "LOG_FORMAT", Some("json"));
    check("allowUpstream={prometheus.monitoring.svc}", "ALLOW_UPSTREAM", Some("prometheus.monitoring.svc"));
    check("allowUpstream={*.svc,p:9090,fd00::/8}", "ALLOW_UPSTREAM", Some("*.svc,p:9090,fd00::/8"));
    check("queueSize=null", "QUEUE_SIZE", None);
}

#[test]
fn what_the_server_would_refuse_or_take_for_everything_is_refused() {
    let check = |set: &str, says: &[&str]| Install::promised().set(set).check_refused(says);
    check("workers=0", &["workers"]);
    check("workers=1001", &["workers"]);
    check("workers=many", &["workers"]);
    check("queueSize=100001", &["queueSize"]);
    check("maxRequestBytes=1023", &["maxRequestBytes"]);
    check("memoryBudgetMib=15", &["memoryBudgetMib"]);
    check("connectionLifetime=0", &["connectionLifetime"]);
    check("shutdownDelay=3601", &["shutdownDelay"]);
    check("shutdownGrace=-1", &["shutdownGrace"]);
    check("logLevel=loud", &["logLevel", "error", "debug"]);
    check("logFormat=xml", &["logFormat", "logfmt", "json"]);
    check("requireApiKey=maybe", &["requireApiKey"]);
    check("port=0", &["port"]);
    check("port=65536", &["port"]);
    // An empty variable counts as not given, which would allow everything.
    for nothing in ["allowUpstream=null", "allowUpstream={}", "allowUpstream="] {
        check(nothing, &["allowUpstream"]);
    }
    for host in ["a\\,b", "http://p:9090", "https://u:hush@p", "p/x", "p:9090/", "p q", "//"] {
        let says = ["allowUpstream[1] must be a host such as", "without http:// and without a path", " *.example, "];
        let install = Install::promised().set(&format!("allowUpstream={{p,{host}}}"));
        install.check_refused(&says);
        for version in HELMS {
            let said = text(&install.run(version, "template", &[]));
            assert!(!said.contains("hush"), "repeats the host: {said}");
        }
    }
    Install::promised().with(&["--set-json", "allowUpstream=[]"]).check_refused(&["allowUpstream"]);
}

#[test]
fn a_list_of_hosts_is_refused_if_the_mirror_would_refuse_it() {
    let install = |value: &str, entry: &str| {
        let set =
            json!({"allowUpstream": ["*"], "noProxy": [], "global": {"proxy": {"url": "http://p"}}, value: [entry]});
        Install::promised().values(&set.to_string())
    };
    let good = [
        "*", "p", "Prometheus.monitoring.svc.", "my_host:9090", "p:1", "p:65535", "*.svc", "*.svc:9090",
        "10.0.0.1:9090", "::1", "[::1]", "[fd00::1]:9090", "10.0.0.0/8", "10.0.0.1/8", "0.0.0.0/0", "fd00::/8",
    ];
    let bad = [
        "p:abc", "p:", "p:0", "p:65536", "p:99999", "a:b:1", "10.0.0.0/40", "10.0.0.0/", "fd00::/129", "10.0.0/8",
        "host/24", "10.0.0.0/8:1", "*svc", "*.", "*:1", "a.*", "..svc", "p..svc", "[p]", "[::1", "::1]", "[::1]:x",
        "u@p", "é",
    ];
    let check = |value: &str, entry: &str, is_good: bool| {
        if is_good {
            install(value, entry).render();
        } else {
            install(value, entry).check_refused(&[&format!("{value}[0] must be a host such as")]);
        }
    };
    for (entries, is_good) in [(&good[..], true), (&bad[..], false)] {
        for entry in entries {
            assert_eq!(entry.parse::<Allowlist>().is_ok(), is_good, "allowUpstream: {entry}");
            assert_eq!(entry.parse::<NoProxy>().is_ok(), is_good, "noProxy: {entry}");
            check("allowUpstream", entry, is_good);
            check("noProxy", entry, is_good);
        }
    }
    // An empty entry means nothing in --no-proxy, but must not become `*` here.
    check("allowUpstream", "", false);
    for entry in [".monitoring.svc", ".svc:9090"] {
        install("allowUpstream", entry).check_refused(&[&format!("allowUpstream[0]: write *{entry}")]);
        assert!(entry.parse::<Allowlist>().is_err() && entry.parse::<NoProxy>().is_ok(), "{entry}");
        check("noProxy", entry, true);
    }
}

#[test]
fn the_bounds_of_the_schema_are_those_of_the_server() {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    let mut compared = 0;
    for setting in TABLE {
        let value = camel(&setting.variable());
        let found = &schema["properties"][&value];
        match setting.allowed {
            Allowed::Number(least, most) | Allowed::Seconds(least, most) => {
                assert_eq!((&found["minimum"], &found["maximum"]), (&json!(least), &json!(most)), "{value}");
            }
            Allowed::Word(words) => assert_eq!(found["enum"], json!(words), "{value}"),
            Allowed::Switch | Allowed::Path(_) | Allowed::Text(_) => continue,
        }
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn the_port_is_that_of_the_service_and_a_low_one_is_mapped() {
    let check = |port: u16, of_container: u16| {
        let rendered = Install::promised().set(&format!("port={port}")).render();
        let ports = json!([{"name": "http", "containerPort": of_container, "protocol": "TCP"}]);
        assert_eq!(rendered.container()["ports"], ports);
        assert_eq!(rendered.variable("PORT"), Some(of_container.to_string().as_str()));
        let ports = json!([
            {"name": "http", "port": port, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
        ]);
        assert_eq!(rendered.only("Service")["spec"]["ports"], ports);
    };
    check(9900, 9900);
    check(8080, 8080);
    check(1024, 1024);
    check(65535, 65535);
    check(1023, 9900);
    check(80, 9900);
    check(1, 9900);
}
