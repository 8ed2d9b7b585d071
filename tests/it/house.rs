//! Rules that the compiler cannot check, such as which module may import which, and that documents agree with the code.

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prometheusmirror::metrics::ERROR_CODES;
use prometheusmirror::model::aggregation::Aggregation;
use prometheusmirror::settings::TABLE;
use serde_json::Value;

/// What the files of a top-level module of `src` may not name.
const FORBIDDEN: [(&[&str], &[&str]); 11] = [
    // The pure modules: no I/O, no clock, no logging.
    (&["model", "compute"], &["std::io", "std::net", "std::fs", "std::time", "log::"]),
    // Neither side knows the other.
    (&["prometheus"], &["crate::wire", "crate::api", "crate::compute", "crate::server", "crate::error"]),
    (&["api"], &["crate::settings", "crate::server"]),
    (&["web"], &["crate::prometheus", "crate::model", "crate::compute", "crate::api", "crate::wire", "crate::server"]),
    // Only these know both sides.
    (&["!wire|api|error"], &["crate::wire"]),
    // Libraries that belong to one module, or a few.
    (&["!server"], &["tiny_http", "threadpool", "signal_hook", "thread_priority"]),
    (&["!server|prometheus"], &["socket2"]),
    (&["!prometheus"], &["rustls", "webpki", "dns_lookup"]),
    (&["!metrics"], &["prometheus_client"]),
    (&["!prometheus|check|ask"], &["ureq"]),
    (&["!settings"], &["std::env", "lexopt"]),
];

#[test]
fn every_module_imports_only_what_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.len() > 20, "the scan found the sources: {files:?}");
    let mut breaches = Vec::new();
    for file in files {
        let module = top_module(&src, &file);
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        // A list of modules in braces would escape this scan.
        breaches.extend(code.iter().filter(|line| line.contains("crate::{")).map(|line| line.trim().to_owned()));
        for (modules, names) in FORBIDDEN {
            let applies = modules.iter().any(|rule| match rule.strip_prefix('!') {
                Some(owners) => owners.split('|').all(|owner| module != owner),
                None => module == *rule,
            });
            for name in names.iter().filter(|_| applies) {
                let found = code.iter().filter(|line| names_path(line, name));
                breaches.extend(found.map(|line| format!("{}: {}", file.display(), line.trim())));
            }
        }
    }
    assert_eq!(breaches, Vec::<String>::new());
}

/// The modules that a file names outside of its tests: by `crate::`, `super::` and `self::`, also in lists in braces.
fn named_modules(module: &[&str], code: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    // On one line, since a list may span several.
    let code = lines.join(" ");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let mut rest = &code[at..];
        let mut path: Vec<String> = Vec::new();
        if let Some(of_crate) = rest.strip_prefix("crate::") {
            rest = of_crate;
        } else {
            path = module.iter().map(|&part| part.to_owned()).collect();
            while let Some(above) = rest.strip_prefix("super::") {
                path.pop();
                rest = above;
            }
        }
        collect_paths(&path, rest, &mut |path| {
            // The longest prefix that is a module. A name inside a module counts as that module.
            let known =
                (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|path| modules.contains(path));
            found.extend(known);
        });
    }
    found.remove(&module.join("::"));
    found
}

/// Each path that begins like this: `a::b` is one, `a::{b, c::d}` are two.
fn collect_paths(begin: &[String], rest: &str, take: &mut impl FnMut(&[String])) {
    let mut path = begin.to_vec();
    let mut rest = rest;
    loop {
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let end = list.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            });
            let list = &list[..end.expect("a closed brace")];
            let mut depth = 0;
            let items = list.split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            items.map(str::trim).filter(|item| !item.is_empty()).for_each(|item| collect_paths(&path, item, take));
            return;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        path.push(rest[..length].to_owned());
        match rest[length..].strip_prefix("::") {
            Some(further) => rest = further,
            None => return take(&path),
        }
    }
}

/// The modules that each module imports. The file of a folder may name the files in it and counts as a part of them, and the
/// reverse.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    let name = |file: &Path| {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        path.iter().map(|part| part.to_str().unwrap().to_owned()).collect::<Vec<_>>().join("::")
    };
    let modules: BTreeSet<String> =
        files.iter().map(|file| name(file)).filter(|name| name != "lib" && name != "main").collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let module = name(file);
        let path: Vec<&str> = module.split("::").collect();
        let named = named_modules(&path, &fs::read_to_string(file).unwrap(), &modules);
        // Names in the folder's own file are those of the folder.
        let is_of_folder =
            |other: &String| module.starts_with(&format!("{other}::")) || other.starts_with(&format!("{module}::"));
        imports.insert(module.clone(), named.into_iter().filter(|other| !is_of_folder(other)).collect());
    }
    imports
}

/// Files that import each other cannot be read one after the other.
#[test]
fn no_file_imports_itself_by_way_of_others() {
    let imports = imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "the scan finds imports");
    let reaches = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for import in imports.get(&module).into_iter().flatten() {
                if seen.insert(import.clone()) {
                    next.push(import.clone());
                }
            }
        }
        seen
    };
    let circles: Vec<&String> = imports.keys().filter(|module| reaches(module).contains(*module)).collect();
    assert_eq!(circles, Vec::<&String>::new());
}

/// The folders that import only these.
const SELF_CONTAINED: [(&str, &[&str]); 3] =
    [("model", &["model"]), ("wire", &["wire"]), ("compute", &["compute", "model"])];

#[test]
fn model_and_wire_import_no_other_folder_and_compute_only_model() {
    let folder = |module: &str| module.split("::").next().unwrap().to_owned();
    let imports = imports();
    let breaches = imports.iter().flat_map(|(module, named)| {
        let rule = SELF_CONTAINED.iter().find(|(of, _)| *of == folder(module));
        let others = named.iter().filter(move |other| rule.is_some_and(|(_, may)| !may.contains(&&*folder(other))));
        others.map(move |other| format!("{module} imports {other}"))
    });
    assert_eq!(breaches.collect::<Vec<_>>(), Vec::<String>::new());
}

/// The folders of `prometheus`, each of which imports only those before it.
const LAYERS: [&str; 8] = ["access", "upstreams_file", "error", "decode", "http", "credentials", "upstream", "client"];

#[test]
fn each_layer_of_prometheus_imports_only_those_below_it() {
    let layer = |module: &str| {
        let folder = module.strip_prefix("prometheus::")?.split("::").next()?;
        LAYERS.iter().position(|layer| *layer == folder)
    };
    let imports = imports();
    let found = imports.iter().filter_map(|(module, named)| Some((module, layer(module)?, named)));
    let breaches = found.flat_map(|(module, of, named)| {
        let above = named.iter().filter(move |other| layer(other).is_some_and(|other| other > of));
        above.map(move |other| format!("{module} imports {other}"))
    });
    assert_eq!(breaches.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_map_in_the_library_names_every_folder_and_each_file_says_what_it_owns() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = fs::read_to_string(src.join("lib.rs")).unwrap();
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("//! | ")).collect();
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .map(|name| name.trim_start_matches("mod@").to_owned())
        .collect();
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it owns", file.display());
        // Top-level files are in the map; for files in a folder, the folder is.
        let of = file.strip_prefix(&src).unwrap();
        let above = of.parent().filter(|above| above.iter().next().is_some());
        let place = above.map_or(of.with_extension(""), Path::to_owned);
        let place = place.to_str().unwrap();
        assert!(
            named.contains(place) || ["lib", "main", "nearest"].contains(&place),
            "{place} is not in the map of lib.rs"
        );
    }
    let gone: Vec<&String> = named
        .iter()
        .filter(|name| !src.join(name).is_dir() && !src.join(format!("{name}.rs")).exists())
        .filter(|name| !name.starts_with("third_party/"))
        .collect();
    assert_eq!(gone, Vec::<&String>::new());
}

/// The name of the type that a line at the top of a file defines, if it defines one.
fn defined_type(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => line,
    };
    let line = line.strip_prefix(' ').unwrap_or(line);
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// A name that means one thing can be read without looking at the imports. `Error` is the exception: as everywhere in Rust, each
/// side has its own, and Prometheus's is always written `prometheus::Error`.
#[test]
fn no_two_types_have_the_same_name() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        for name in code.lines().filter_map(defined_type) {
            places.entry(name.to_owned()).or_default().insert(file.strip_prefix(&src).unwrap().to_owned());
        }
    }
    assert!(places.len() > 400, "the scan finds types: {}", places.len());
    places.retain(|_, places| places.len() > 1);
    let errors = places.remove("Error").unwrap();
    assert_eq!(errors.iter().collect::<Vec<_>>(), [Path::new("error.rs"), Path::new("prometheus/error.rs")]);
    assert_eq!(places, BTreeMap::new(), "give each type a name that says which one it is");
}

#[test]
fn the_page_on_settings_has_their_table() {
    let page = read("docs/settings.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `--")).collect();
    let expected: Vec<String> = TABLE
        .iter()
        .map(|setting| {
            let (flag, variable) = (setting.flag, setting.variable());
            let fallback = setting.fallback;
            format!("| `--{flag}` | `{variable}` | {fallback} | {} | {} |", setting.allowed, setting.help)
        })
        .collect();
    assert_eq!(rows, expected, "docs/settings.md");
}

#[test]
fn troubleshooting_has_a_section_on_each_error_and_nothing_else() {
    let page = read("docs/troubleshooting.md");
    let (errors, _) =
        page.split_once("\n## Alerts\n").expect("a section on alerts, which is for the tests of the chart");
    let sections: Vec<&str> = errors.split("\n### ").skip(1).collect();
    let found: Vec<&str> = sections.iter().map(|section| section.split('`').nth(1).unwrap()).collect();
    let (page, code) = (BTreeSet::from_iter(&found), BTreeSet::from_iter(&ERROR_CODES));
    assert_eq!(
        code.difference(&page).collect::<Vec<_>>(),
        [] as [&&&str; 0],
        "errors without a section in docs/troubleshooting.md"
    );
    assert_eq!(page.difference(&code).collect::<Vec<_>>(), [] as [&&&str; 0], "sections without an error");
    assert_eq!(found.len(), page.len(), "an error has two sections");
    for section in sections {
        for part in ["**Text:**", "**Cause:**", "**Remedy:**"] {
            assert_eq!(section.matches(part).count(), 1, "{part} in {section}");
        }
    }
}

/// The keys of each mapping of the upstreams file, as its reader lists them.
fn upstream_keys() -> Vec<Vec<String>> {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/prometheus/upstreams_file"));
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let code: String = texts.map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned()).collect();
    let code = code.as_str();
    // `const KEYS: [&str; 2] = ["a", "b"]` and `.fields(&["a", "b"])`.
    let lists = ["KEYS: [&str;", ".fields(&["].into_iter().flat_map(|begin| {
        code.match_indices(begin).map(move |(at, _)| {
            let list =
                if begin.starts_with("KEYS") { &code[at + code[at..].find('=').unwrap()..] } else { &code[at..] };
            let end = list.find(']').unwrap();
            list[..end].split('"').skip(1).step_by(2).map(str::to_owned).collect()
        })
    });
    let mut lists: Vec<Vec<String>> = lists.filter(|keys: &Vec<String>| *keys != ["upstreams"]).collect();
    lists.iter_mut().for_each(|keys| keys.sort());
    lists.sort();
    assert!(lists.len() > 5 && lists.iter().all(|keys| !keys.is_empty()), "{lists:?}");
    lists
}

#[test]
fn the_page_on_upstreams_has_a_table_of_the_keys_of_each_mapping() {
    let page = read("docs/upstreams.md");
    let (_, keys) = page.split_once("\n## Keys\n").unwrap();
    let table = |section: &str| {
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut keys: Vec<String> = rows.map(|row| row.split('`').next().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    let mut tables: Vec<Vec<String>> = keys.split("\n### ").skip(1).map(table).collect();
    tables.sort();
    assert_eq!(tables, upstream_keys(), "docs/upstreams.md");
}

#[test]
fn the_schema_of_the_chart_has_the_keys_of_each_mapping() {
    fn collect(schema: &Value, found: &mut Vec<Vec<String>>) {
        let Some(fields) = schema.as_object() else { return };
        if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
            assert_eq!(fields["additionalProperties"], false);
            found.push(properties.keys().cloned().collect());
        }
        fields.values().for_each(|field| collect(field, found));
    }
    let schema: Value = serde_json::from_str(&read("chart/values.schema.json")).unwrap();
    let mut found = Vec::new();
    // The other definitions are parts of Kubernetes' objects.
    for definition in ["upstream", "tls"] {
        collect(&schema["definitions"][definition], &mut found);
    }
    found.iter_mut().for_each(|keys| keys.sort());
    found.sort();
    assert_eq!(found, upstream_keys(), "chart/values.schema.json");
}

#[test]
fn the_chart_allows_one_scheme_of_authentication_as_the_mirror_does() {
    let keys = |file: &str, begin: &str, end: &str| {
        let text = read(file);
        let (_, list) = text.split_once(begin).unwrap_or_else(|| panic!("{begin} is not in {file}"));
        let list = list.split(end).next().unwrap();
        list.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_mirror = keys("src/prometheus/upstreams_file/definition/credentials.rs", "const SCHEMES: ", "\n];");
    let of_chart = keys("chart/templates/_upstreams.tpl", "$given := list -}}", "-}}");
    assert!(of_mirror.len() > 3, "{of_mirror:?}");
    assert_eq!(of_chart, of_mirror, "chart/templates/_upstreams.tpl");
}

#[test]
fn every_code_of_an_error_is_in_the_table_and_used() {
    // The places that give an error its code: bodies of these functions, fields of that name, and these constants.
    let mut codes = Vec::new();
    let mut take = |text: &str, begin: &str| {
        for (at, _) in text.match_indices(begin) {
            let line_end = text[at..].find('\n').unwrap();
            let end = if begin.contains("fn ") { text[at..].find("\n    }\n") } else { None };
            let words = text[at..at + end.unwrap_or(line_end)].split('"').skip(1).step_by(2);
            let is_code = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            codes.extend(words.filter(is_code).map(str::to_owned));
        }
    };
    for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api")) {
        let text = fs::read_to_string(&file).unwrap();
        take(&text, "invalid_query(\"");
        take(&text, "code: \"");
    }
    for (file, begins) in [
        ("src/error.rs", &["fn refusal(&self)", "fn code(&self)"][..]),
        ("src/error/upstream_data.rs", &["code: \"", "with_query(\"", "const SEVERAL_ENGINES", "const TIMES_MOVED"]),
        ("src/api/existence.rs", &["        (\""]),
        ("src/prometheus/error/kind.rs", &["fn code(&self)"]),
        ("src/prometheus/error/api_failure.rs", &["fn code(self)"]),
        ("src/prometheus/error/connect_failure.rs", &["fn code(&self)"]),
        ("src/prometheus/error/status_failure.rs", &["fn code(&self)"]),
        ("src/metrics/codes.rs", &["const NOT_ALLOWED"]),
    ] {
        let text = read(file);
        for begin in begins {
            assert!(text.contains(begin), "{begin} is not in {file}");
            take(&text, begin);
        }
    }
    let used: BTreeSet<&str> = codes.iter().map(String::as_str).collect();
    let listed = BTreeSet::from(ERROR_CODES);
    assert_eq!(
        used.difference(&listed).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "not in ERROR_CODES of src/metrics/codes.rs"
    );
    assert_eq!(listed.difference(&used).collect::<Vec<_>>(), Vec::<&&str>::new(), "no error has them");
    assert!(ERROR_CODES.is_sorted(), "ERROR_CODES are in the order of the alphabet");
}

/// The tests of all texts read the examples of this file. A failure without an example would have a text that no test reads.
#[test]
fn every_failure_of_a_call_has_an_example() {
    let file = read("src/prometheus/error/vocabulary.rs");
    let (_, examples) = file.split_once("#[cfg(test)]").unwrap();
    for (file, name) in [
        ("kind", "ErrorKind"),
        ("connect_failure", "ConnectFailure"),
        ("connect_failure", "LookupFailure"),
        ("tls_failure", "TlsFailure"),
        ("api_failure", "ApiCause"),
        ("credentials_failure", "AtIssuer"),
        ("foreign", "Foreign"),
    ] {
        let text = read(&format!("src/prometheus/error/{file}.rs"));
        let (_, variants) = text.split_once(&format!("enum {name} {{\n")).unwrap();
        let (variants, _) = variants.split_once("\n}\n").unwrap();
        let variants = variants.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        let variants = variants.map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap());
        let missing: Vec<_> = variants.filter(|variant| !examples.contains(&format!("{name}::{variant}"))).collect();
        assert_eq!(
            missing,
            Vec::<&str>::new(),
            "{name}: has no example in every_kind of src/prometheus/error/vocabulary.rs"
        );
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Whether a line names a path: `log::` is not part of `crate::log::` here, `crate::api` not of `crate::apiary`.
fn names_path(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let starts = before.is_none_or(|c| !is_part(c) && (c != ':' || name.starts_with("crate")));
        starts && (name.ends_with(':') || after.is_none_or(|c| !is_part(c)))
    })
}

/// The first part of a file's path below `src`, without its extension.
fn top_module(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The pages that people read.
const PAGES: [&str; 16] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "chart/README.md",
    "docs/architecture.md",
    "docs/install.md",
    "docs/numbers.md",
    "docs/operations.md",
    "docs/performance.md",
    "docs/queries.md",
    "docs/security.md",
    "docs/settings.md",
    "docs/troubleshooting.md",
    "docs/upstreams.md",
    "third_party/tiny_http/CHANGES.md",
];

/// The anchors of a page, as code hosts make them of its headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut lead_nowhere = Vec::new();
    let mut count = 0;
    for name in PAGES {
        let page = read(name);
        let folder = Path::new(name).parent().unwrap();
        for target in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { Path::new(name).to_owned() } else { folder.join(file) };
            let leads = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists()
                && (anchor.is_empty() || anchors(&read(path.to_str().unwrap())).iter().any(|known| known == anchor));
            if !leads {
                lead_nowhere.push(format!("{name}: {target}"));
            }
        }
    }
    assert_eq!(lead_nowhere, Vec::<String>::new());
    assert!(count > 80, "{count} links");
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_crate() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let version = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "{}", packages.len());
    let newer: Vec<String> = packages
        .iter()
        .filter(|package| package["rust_version"].as_str().is_some_and(|needed| version(needed)[..2] > ours[..2]))
        .map(|package| format!("{} needs Rust {}", package["name"], package["rust_version"]))
        .collect();
    assert_eq!(newer, Vec::<String>::new());
}

#[test]
fn every_list_of_aggregation_methods_is_complete() {
    let mut missing = Vec::new();
    let mut check = |path: &'static str, methods: BTreeSet<&'static str>| {
        let text = read(path);
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        missing.extend(methods.into_iter().filter(|method| !words.contains(method)).map(|method| (path, method)));
    };
    for path in ["src/web/form.js", "docs/openapi.yaml", "tests/it/support/ask.rs", "tests/it/expression.rs"] {
        check(path, Aggregation::methods().collect());
    }
    // These have one percentile of several, and leave out how empty buckets count.
    let is_own = |method: &&str| !method.starts_with("PERCENTILE_") && !method.ends_with("_NO_ZEROS");
    for path in [
        "docs/numbers.md",
        "fuzz/src/request.rs",
        "scripts/sizing_load/__main__.py",
        "scripts/soaking/history.py",
        "src/settings/ask_flags.rs",
    ] {
        check(path, Aggregation::methods().filter(is_own).collect());
    }
    assert_eq!(missing, []);
}

#[test]
fn the_readme_is_short() {
    assert!(read("README.md").lines().count() <= 150);
}

/// Files and tests move, and pages that name them are easily forgotten.
#[test]
fn what_the_page_on_architecture_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = read("docs/architecture.md");
    // Outside of the diagram, every second part between backquotes is a name.
    let texts: Vec<Vec<&str>> = page.split("```").step_by(2).map(|text| text.split('`').collect()).collect();
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    let code: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let known = words(&code);
    let path = |name: &str| {
        let places = [name.to_owned(), format!("src/{name}"), format!("src/{name}.rs")];
        places.into_iter().map(|place| root.join(place)).find(|path| path.exists())
    };
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_there = |name: &str| {
        // A command has blanks.
        if !name.contains(' ') && (name.contains('/') || name.ends_with(".rs")) {
            path(name).is_some()
        } else {
            // A name such as `count_` is the beginning of several.
            let is_known = |word: &String| word == name || name.ends_with('_') && word.starts_with(name);
            !is_name(name) || known.iter().any(is_known)
        }
    };
    let names: Vec<&str> = texts.iter().flat_map(|parts| parts.iter().copied().skip(1).step_by(2)).collect();
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !is_there(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    // What the page says is in a file is in that file.
    let in_files = texts.iter().flat_map(|parts| parts[1..].windows(3).step_by(2));
    let in_files: Vec<_> =
        in_files.filter(|parts| parts[1].trim() == "in" && is_name(parts[0]) && parts[2].ends_with(".rs")).collect();
    assert!(in_files.len() > 20, "{in_files:?}");
    let words_in = |name: &str| words(&fs::read_to_string(path(name).unwrap()).unwrap());
    let elsewhere: Vec<_> = in_files.into_iter().filter(|parts| !words_in(parts[2]).contains(parts[0])).collect();
    assert_eq!(elsewhere, Vec::<&[&str]>::new());
}
