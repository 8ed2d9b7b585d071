//! Which parts of a URL's path may be shown.

/// Segments that name an interface or a product, as they occur in the paths of Prometheus, compatible servers and login pages.
const KNOWN_SEGMENTS: [&str; 37] = [
    "api", "auth", "authorize", "cortex", "datasources", "global", "grafana", "graph", "location", "login", "metrics",
    "mimir", "monitoring", "oauth", "oauth2", "projects", "prom", "prometheus", "prometheuses", "promxy", "proxy",
    "query", "select", "signin", "sso", "start", "thanos", "token", "tsdb", "uid", "v1", "v2", "victoriametrics", "vm",
    "vmselect", "vmsingle", "workspaces",
];

/// A path as errors and logs may show it. Any segment may be a secret, even one that looks like a word. Shown are known segments
/// and those that follow a known one in a known form: tenants of VictoriaMetrics (`select/1:2`) and workspaces of Amazon. `...`
/// replaces all others.
pub(in crate::prometheus) fn shown_path(path: &str) -> String {
    let mut shown = String::new();
    for (segment, is_shown) in segments(path) {
        match is_shown {
            true => shown.extend(["/", segment]),
            false if shown.ends_with(HIDDEN) => {}
            false => shown.push_str(HIDDEN),
        }
    }
    shown
}

/// The segments of a path that are not shown.
pub(in crate::prometheus) fn hidden_segments(path: &str) -> impl Iterator<Item = &str> {
    segments(path).filter(|(_, is_shown)| !is_shown).map(|(segment, _)| segment)
}

/// The segments of a path, and whether they are shown.
fn segments(path: &str) -> impl Iterator<Item = (&str, bool)> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.scan("", |before, segment| {
        let is_shown = KNOWN_SEGMENTS.contains(&segment)
            || (*before == "select" && is_tenant(segment))
            || (*before == "workspaces" && is_workspace(segment));
        *before = segment;
        Some((segment, is_shown))
    })
}

/// Replaces segments that are not shown.
pub(in crate::prometheus) const HIDDEN: &str = "/...";

/// Whether a segment is `accountID` or `accountID:projectID`, numbers of 32 bits.
fn is_tenant(segment: &str) -> bool {
    segment
        .splitn(2, ':')
        .all(|number| number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<u32>().is_ok())
}

/// Whether a segment is `ws-` and a UUID.
fn is_workspace(segment: &str) -> bool {
    let is_of_uuid = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    segment.strip_prefix("ws-").is_some_and(|id| id.len() == 36 && id.bytes().enumerate().all(is_of_uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_segments_of_a_path_are_shown() {
        let check = |path: &str, shown: &str| {
            assert_eq!(shown_path(path), shown, "{path}");
        };
        let workspace = "/workspaces/ws-1a2b3c4d-1234-5678-abcd-0123456789ab";
        for path in [
            "",
            "/prometheus",
            "/api/prom",
            "/select/0/prometheus",
            "/select/1:4294967295/prometheus",
            "/oauth2/token",
            workspace,
        ] {
            check(path, path);
        }
        for path in
            ["/hush", "/u:hush", "/hush/hush", "/token=hush", "/glc_eyJvIjoiMTIzNDU2Iiwibiw5", "/hu%73h", "/Prometheus"]
        {
            check(path, "/...");
        }
        check("/prom/hunter2tok3n", "/prom/...");
        check("/team-a/prometheus", "/.../prometheus");
        check("/v1/projects/hush/location/global/prometheus", "/v1/projects/.../location/global/prometheus");
        // Elsewhere, and in another form, numbers and identifiers may be secrets.
        check("/4711/prometheus", "/.../prometheus");
        for tenant in ["4294967296", "1:2:3", ":", "1:", "+1", "hush"] {
            check(&format!("/select/{tenant}/prometheus"), "/select/.../prometheus");
        }
        check("/workspaces/ws-hush", "/workspaces/...");
        check(&workspace.replace("workspaces", "api"), "/api/...");
        check(&workspace.replace("1a2b3c4d", "1a2b3c4g"), "/workspaces/...");
        check(&workspace.replace("-1234", "01234"), "/workspaces/...");
        check(&format!("{workspace}0"), "/workspaces/...");
    }
}
