//! The numbers: every rule of docs/numbers.md on each of the four engines, compared with the oracle. Where a wrong rule once gave
//! another number, the right one is written out.
//!
//! `by_hand` checks the oracle itself by small series worked out on paper, `rules` has a row for each input that once failed, and
//! `grids` has bucket sizes that engines round.

mod by_hand;
mod grids;
mod rules;

use crate::support::ask::{Gateway, Query, assert_points};
use crate::support::engine::Engine;
use crate::support::mirror::Response;
use crate::support::oracle::{Kind, Nan, Rules};
use crate::support::samples::{Series, select};

/// A query of the series of a metric.
#[derive(Debug, Clone)]
struct Row {
    name: &'static str,
    labels: &'static [(&'static str, &'static str)],
    rules: Rules,
    range: (i64, i64),
    /// Method and bucket; `None` for a raw query.
    aggregation: Option<(&'static str, i64)>,
}

impl Row {
    fn new(rules: Rules, name: &'static str, range: (i64, i64)) -> Row {
        Row { name, labels: &[], rules, range, aggregation: None }
    }

    fn label(self, labels: &'static [(&'static str, &'static str)]) -> Row {
        Row { labels, ..self }
    }

    fn by(self, method: &'static str, bucket: i64) -> Row {
        Row { aggregation: Some((method, bucket)), ..self }
    }

    fn query(&self) -> Query {
        let query = if self.rules.kind == Kind::Gauge { Query::gauge(self.name) } else { Query::counter(self.name) };
        let query = self.labels.iter().fold(query, |query, (key, value)| query.label(key, value));
        let query = query.between(self.range.0, self.range.1);
        self.aggregation.map_or(query.clone(), |(method, bucket)| query.aggregated(method, bucket))
    }

    /// The response of the oracle for the samples as an engine stores them.
    fn expected(&self, engine: Engine) -> Vec<Vec<f64>> {
        let stored: Vec<Series> =
            select(self.name, self.labels).into_iter().map(|series| engine.stored(series)).collect();
        match self.aggregation {
            Some((method, bucket)) => {
                self.rules.buckets(&stored.iter().collect::<Vec<_>>(), method, self.range, bucket)
            }
            None => self.rules.raw(&stored[0], self.range.0, self.range.1),
        }
    }

    /// Queries a mirror, which may have had queries before.
    fn ask(&self, gateway: &Gateway) -> Response {
        let mut details = gateway.details.clone();
        details["nan_interpretation"] = if self.rules.nan == Nan::Zero { "ZERO" } else { "NONE" }.into();
        if let Some(interval) = self.rules.scrape_interval {
            details["scrapeInterval"] = interval.into();
        }
        gateway.mirror.metric(&details, self.query().0)
    }

    /// Queries a mirror in front of an engine, and compares the response with the oracle.
    fn check_on(&self, engine: Engine, gateway: &Gateway) {
        let what = format!("{}: {self:?}", engine.name());
        assert_points(&self.ask(gateway), &self.expected(engine), engine.tolerance(), &what);
    }
}

/// On each engine, a query has the response of the oracle.
fn check(row: &Row) {
    check_all(std::slice::from_ref(row));
}

/// On each engine, queries have the responses of the oracle.
fn check_all(rows: &[Row]) {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        rows.iter().for_each(|row| row.check_on(engine, &gateway));
    }
}

/// The same, and the values are these.
fn check_values(row: &Row, values: &[f64]) {
    let expected = row.expected(Engine::Prometheus2);
    assert_eq!(expected.iter().map(|point| point[0]).collect::<Vec<_>>(), values, "the oracle: {row:?}");
    check(row);
}
