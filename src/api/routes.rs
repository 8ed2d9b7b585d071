//! The route table: the paths, and what is at each of them.

use crate::api::datasource::Datasource;
use crate::api::query::{CheckedQuery, MirrorQuery, checked};
use crate::api::reply::JSON;
use crate::api::request::ApiRoute;
use crate::api::{connection, field_name, field_value, metric};
use crate::metrics;
use crate::web;

/// A path, and what is there.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// Its name in the metrics.
    pub(super) name: &'static str,
    path: &'static str,
    pub(super) target: RouteTarget,
}

/// What is at a path.
#[derive(Clone, Copy)]
pub(super) enum RouteTarget {
    /// A route of the Mirror API, which usually queries Prometheus, for which it needs a worker.
    Api(ApiRoute),
    /// A page of the mirror, which needs no worker.
    Page(Page),
}

/// A page of the mirror.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) content_type: &'static str,
    /// Further headers.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) content: PageContent,
}

/// The content of a page.
#[derive(Clone, Copy)]
pub(super) enum PageContent {
    /// A fixed text.
    Fixed(&'static str),
    /// Whether the mirror is ready.
    Readiness,
    /// The metrics.
    Metrics,
    /// The facts that the explorer needs.
    ExplorerFacts,
}

impl Route {
    const fn api(name: &'static str, path: &'static str, api_route: ApiRoute) -> Route {
        Route { name, path, target: RouteTarget::Api(api_route) }
    }

    const fn page(name: &'static str, path: &'static str, content_type: &'static str, content: PageContent) -> Route {
        Route { name, path, target: RouteTarget::Page(Page { content_type, headers: &[], content }) }
    }

    /// A page of the explorer.
    const fn explorer(path: &'static str, content_type: &'static str, content: PageContent) -> Route {
        let page = Page { content_type, headers: &web::HEADERS, content };
        Route { name: "explorer", path, target: RouteTarget::Page(page) }
    }

    /// The route of a path, if there is one. The explorer's page has the same path as the text about the mirror.
    pub(super) fn find(path: &str, has_explorer: bool, prefers_html: bool) -> Option<Route> {
        let part = |&(path, content_type, text)| Route::explorer(path, content_type, PageContent::Fixed(text));
        let explorer = EXPLORER.iter().copied().chain(web::PARTS.iter().map(part)).filter(|_| has_explorer);
        let explorer = explorer.filter(|route| route.path != ABOUT || prefers_html);
        explorer.chain(ROUTES.iter().copied()).find(|route| route.path == path)
    }

    /// The verbs that it accepts, in the form of the header `Allow`. A path that accepts `GET` accepts `HEAD`, too.
    pub(super) fn allow(&self) -> &'static str {
        match self.target {
            RouteTarget::Api(_) => "POST",
            RouteTarget::Page(_) => "GET, HEAD",
        }
    }
}

/// The prefix of the paths that can require the key.
pub(super) const API_PREFIX: &str = "/api/";

/// The path of the text about the mirror, and of the explorer.
const ABOUT: &str = "/";

const TEXT: &str = "text/plain; charset=utf-8";

/// The text of a page that reports success.
pub(super) const OK: &str = "ok\n";

const ABOUT_TEXT: &str = concat!(
    "prometheusmirror ",
    env!("CARGO_PKG_VERSION"),
    "\nA gateway that lets StackState use the telemetry of a Prometheus without copying it.\n"
);

/// The connection test.
const CONNECTION: ApiRoute =
    ApiRoute { check: connection::check, failure_body: connection::failure, only_checks: false };

const FIELD_NAME: ApiRoute = ApiRoute {
    check: |directory, body| checked(directory, body, field_name::check).map(boxed),
    failure_body: |_| None,
    only_checks: false,
};

const FIELD_VALUE: ApiRoute =
    ApiRoute { check: |directory, body| checked(directory, body, field_value::check).map(boxed), ..FIELD_NAME };

const METRIC: ApiRoute =
    ApiRoute { check: |directory, body| checked(directory, body, metric::check).map(boxed), ..FIELD_NAME };

fn boxed<Q: MirrorQuery + 'static>((datasource, query): (Datasource, Q)) -> CheckedQuery {
    (datasource, Box::new(query))
}

const ROUTES: [Route; 9] = [
    Route::api("connection", "/api/connection", CONNECTION),
    Route::api("field_name", "/api/field/name", FIELD_NAME),
    Route::api("field_value", "/api/field/value", FIELD_VALUE),
    Route::api("metric", "/api/metric", METRIC),
    Route::page("about", ABOUT, TEXT, PageContent::Fixed(ABOUT_TEXT)),
    Route::page("healthy", "/-/healthy", TEXT, PageContent::Fixed(OK)),
    // The path in some earlier mirrors.
    Route::page("healthy", "/healthcheck", TEXT, PageContent::Fixed(OK)),
    Route::page("ready", "/-/ready", TEXT, PageContent::Readiness),
    Route::page("metrics", "/metrics", metrics::CONTENT_TYPE, PageContent::Metrics),
];

/// The explorer's routes besides its static parts. While Connection Details are typed, it checks them by the rules for
/// StackState's requests.
const EXPLORER: [Route; 2] = [
    Route::explorer("/explorer.json", JSON, PageContent::ExplorerFacts),
    Route::api("connection_check", "/api/connection/check", ApiRoute { only_checks: true, ..CONNECTION }),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::datasource::Directory;

    /// The field at a place such as `query.conditions.0.key`, which is added to an object that lacks it.
    fn field<'v>(request: &'v mut Value, place: &str) -> &'v mut Value {
        place.split('.').fold(request, |value, step| match step.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[step],
        })
    }

    #[test]
    fn each_field_of_each_request_says_by_its_name_what_it_must_be() {
        let details = || json!({"host": "p", "port": 9090});
        let list = || json!([{"key": "__gauge__", "value": {"value": "m"}}, {"key": "k", "value": {"value": [{"value": "v"}]}}]);
        let query = |query: Value| json!({"connectionDetails": details(), "query": query});
        let requests = [
            ("/api/connection", json!({"connectionDetails": details()})),
            ("/api/field/name", query(json!({"conditions": list()}))),
            ("/api/field/value", query(json!({"conditions": list(), "field": {"fieldName": "job"}}))),
            (
                "/api/metric",
                query(json!({"conditions": list(), "aggregation": {"method": "MAX", "bucketSizeMillis": 60_000}})),
            ),
        ];
        let values = [
            ("null", json!(null)),
            ("boolean", json!(true)),
            ("number", json!(5)),
            ("fraction", json!(1.5)),
            ("text", json!("hush")),
            ("list", json!(["hush"])),
            ("object", json!({"a": "hush"})),
        ];
        // Sets the field at a place to every type that it does not allow, and expects the error to say so.
        let mut checked = 0;
        let mut check = |indices: &[usize], place: &str, allowed: &[&str], says: &str| {
            for (path, request) in indices.iter().map(|&index| &requests[index]) {
                for (kind, value) in values.iter().filter(|(kind, _)| !allowed.contains(kind)) {
                    let mut request = request.clone();
                    *field(&mut request, place) = value.clone();
                    let route = ROUTES.iter().find(|route| route.path == *path).unwrap();
                    let RouteTarget::Api(api_route) = route.target else { panic!("{path}") };
                    let error = match (api_route.check)(&Directory::default(), request.to_string().as_bytes()) {
                        Ok(_) => panic!("{path}: {place} may be {kind}"),
                        Err(error) => error.to_string(),
                    };
                    assert!(error.contains(says) && !error.contains("hush"), "{path}, {place} of type {kind}: {error}");
                    checked += 1;
                }
            }
        };
        let (all, queries, metric, field_value): (&[usize], &[usize], &[usize], &[usize]) =
            (&[0, 1, 2, 3], &[1, 2, 3], &[3], &[2]);
        check(all, "connectionDetails", &["object"], "connectionDetails must be an object");
        check(all, "connectionDetails.host", &["null", "text"], "connectionDetails.host must be a text");
        check(all, "connectionDetails.port", &["number"], "connectionDetails.port ");
        check(all, "connectionDetails.url", &["null", "text"], "connectionDetails.url must be a text");
        for name in ["requestTimeout", "scrapeInterval"] {
            let says = format!("connectionDetails.{name} must be a whole number from 1 to ");
            check(all, &format!("connectionDetails.{name}"), &["null", "number"], &says);
        }
        for (name, says) in [("nan_interpretation", r#""NONE" or "ZERO""#), ("partialResponse", r#""deny" or "allow""#)]
        {
            let place = format!("connectionDetails.{name}");
            check(
                all,
                &place,
                &["null", "boolean", "number", "fraction", "list", "object"],
                &format!("{place} must be {says}"),
            );
            check(all, &place, &["null", "text"], &format!("{place} must be a text"));
        }
        check(queries, "query", &["object"], "query must be an object");
        for (name, unit) in [("startTime", " of milliseconds"), ("endTime", " of milliseconds"), ("limit", "")] {
            let says = format!("query.{name} must be a whole number{unit}, or null");
            check(queries, &format!("query.{name}"), &["null", "number"], &says);
        }
        check(queries, "query.conditions", &["null", "list"], "query.conditions must be a list of conditions, or null");
        check(queries, "query.conditions.1", &["object"], "query.conditions[1] must be an object");
        check(queries, "query.conditions.1.key", &["text"], "query.conditions[1].key must be a text");
        check(queries, "query.conditions.1._type", &["null", "text"], "the condition on k is of an unknown type");
        let value = "query.conditions.1.value";
        check(queries, value, &["null", "object"], "query.conditions[1].value must be an object");
        check(queries, &format!("{value}._type"), &["null", "text"], "query.conditions[1].value._type must be a text");
        let in_set = "query.conditions[1].value.value[0]._type must be a text";
        check(queries, &format!("{value}.value.0._type"), &["null", "text"], in_set);
        check(field_value, "query.offset", &["null", "number"], "query.offset must be a whole number, or null");
        check(field_value, "query.fieldValuePrefix", &["null", "text"], "query.fieldValuePrefix must be a text");
        check(field_value, "query.field", &["object"], "query.field must be an object");
        check(field_value, "query.field.fieldName", &["text"], "query.field.fieldName must be a text");
        check(metric, "query.latestFirst", &["null", "boolean"], "query.latestFirst must be true, false or null");
        check(metric, "query.aggregation", &["null", "object"], "query.aggregation must be an object, or null");
        check(metric, "query.aggregation.method", &["text"], "query.aggregation.method must be a text");
        let bucket = "query.aggregation.bucketSizeMillis";
        check(metric, bucket, &["number"], &format!("{bucket} must be a whole number of milliseconds"));
        assert!(checked > 300, "{checked}");
    }
}
