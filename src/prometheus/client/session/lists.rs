//! Lists: label names, label values and metric metadata.

use super::Session;
use super::call::ApiCall;
use super::get_or_post::MAX_URL_BYTES;
use crate::model::metric_type::Metadata;
use crate::model::texts::Texts;
use crate::prometheus::client::params::{is_read_as_escaped, narrowing, path_segment};
use crate::prometheus::decode::json::Decode;
use crate::prometheus::decode::lists::{self, BoundedTexts};
use crate::prometheus::error::{CallKind, Error, ErrorKind};
use crate::prometheus::http::{Params, url, url_encoded};

/// The most names or values in a list: far more than a person can choose from, and few enough for every worker to hold as many in
/// memory.
const MAX_NAMES: usize = 250_000;

impl Session<'_> {
    /// The label names of the series that match a selector (`None`: all series), between two times in milliseconds. Without a
    /// start, the upstream chooses it.
    pub fn labels(&mut self, selector: Option<&str>, start_ms: Option<i64>, end_ms: i64) -> Result<Texts, Error> {
        let params = narrowing(selector, start_ms, end_ms);
        self.list(ApiCall { by_post: true, ..self.names_call("labels", "/api/v1/labels", selector, params) })
    }

    /// The values of a label, narrowed like [`Session::labels`].
    pub fn label_values(
        &mut self,
        label: &str,
        selector: Option<&str>,
        start_ms: Option<i64>,
        end_ms: i64,
    ) -> Result<Texts, Error> {
        let path = format!("/api/v1/label/{}/values", path_segment(label));
        if is_read_as_escaped(label) {
            let all = format!("{{{label}!=\"\"}}");
            let selector = selector.unwrap_or(&all);
            return self.label_values_of_series(label, selector, narrowing(Some(selector), start_ms, end_ms));
        }
        let params = narrowing(selector, start_ms, end_ms);
        let in_url = [&params[..], &self.partial_params()].concat();
        if let Some(selector) = selector
            && url(self.upstream.target(), &path, &url_encoded(&in_url)).len() > MAX_URL_BYTES
        {
            return self.label_values_of_series(label, selector, params);
        }
        let api_call = self.names_call("label_values", &path, selector, params.clone());
        self.list(api_call).or_else(|error| match selector {
            Some(selector) if error.kind.is_too_long() => self.label_values_of_series(label, selector, params),
            _ => Err(error),
        })
    }

    /// The values of a label, taken from the series. The upstream lists label values by GET only, but series by POST, which a long
    /// selector fits into. In the path of a list of values, some engines read a label that looks escaped as another one.
    fn label_values_of_series(&mut self, label: &str, selector: &str, mut params: Params) -> Result<Texts, Error> {
        params.extend(self.partial_params());
        let api_call = ApiCall { by_post: true, ..self.names_call("series", "/api/v1/series", Some(selector), params) };
        let values = self.call(api_call, |json| lists::values_in_objects(json, label, MAX_NAMES))?.unwrap_or_default();
        if values.len() > MAX_NAMES {
            return Err(self.error(Some(selector), CallKind::Names, ErrorKind::TooManyNames(MAX_NAMES)));
        }
        Ok(values.iter().map(String::as_str).collect())
    }

    /// The names of all metrics between two times in milliseconds. As they are only a hint, the call may use half of the remaining
    /// time at most.
    pub fn metric_names(&mut self, start_ms: i64, end_ms: i64) -> Result<Texts, Error> {
        let params = narrowing(None, Some(start_ms), end_ms);
        let api_call = self.names_call("label_values", "/api/v1/label/__name__/values", None, params);
        self.list(ApiCall { deadline: self.deadline.halved(), ..api_call })
    }

    /// The declared types of all metrics, or of one family. Many servers do not have them and they are only a hint, so the call may
    /// use half of the remaining time at most.
    pub fn metadata(&mut self, family: Option<&str>) -> Result<Metadata, Error> {
        let params = family.map(|family| ("metric", family.to_owned())).into_iter().collect();
        let api_call = self.names_call("metadata", "/api/v1/metadata", None, params);
        let api_call = ApiCall { deadline: self.deadline.halved(), ..api_call };
        Ok(self.call(api_call, Metadata::decode)?.unwrap_or_default())
    }

    /// A call for names, by GET and within the deadline of the request.
    fn names_call<'a>(
        &self,
        endpoint: &'static str,
        path: &str,
        query: Option<&'a str>,
        params: Params,
    ) -> ApiCall<'a> {
        let (path, call_kind, deadline) = (path.to_owned(), CallKind::Names, self.deadline);
        ApiCall { endpoint, path, params, query, call_kind, by_post: false, deadline }
    }

    fn list(&mut self, mut api_call: ApiCall<'_>) -> Result<Texts, Error> {
        api_call.params.extend(self.partial_params());
        let selector = api_call.query;
        let names = self.call(api_call, BoundedTexts::<MAX_NAMES>::decode)?.unwrap_or_default();
        if names.total > names.kept.len() {
            return Err(self.error(selector, CallKind::Names, ErrorKind::TooManyNames(MAX_NAMES)));
        }
        Ok(names.kept)
    }
}
