//! Many counters in turn: each costs only the call that reads its samples.

use serde_json::json;

use super::{UPSTREAM_REQUESTS, counted};
use crate::operation::page::Page;
use crate::support::ask::{Gateway, Query, assert_points};
use crate::support::engine::Engine;
use crate::support::mirror::typed_condition;
use crate::support::oracle::COUNTER;
use crate::support::samples::{MINUTE, T0, select};

#[test]
fn three_hundred_counters_queried_in_turn_cost_one_call_each() {
    let range = (T0 + 16 * MINUTE, T0 + 19 * MINUTE);
    for engine in [Engine::Prometheus2, Engine::Prometheus3] {
        let gateway = Gateway::to_engine(engine);
        // Each of a hundred counters by itself, with the next one, and with the next two.
        let choices: Vec<Vec<String>> = (0..100)
            .flat_map(|first| (1..=3).map(move |count| (0..count).map(|n| ((first + n) % 100).to_string()).collect()))
            .collect();
        for round in 1..=2 {
            for items in &choices {
                let query = Query::counter("once_total")
                    .and(typed_condition("item", json!(items), "InSetValue"))
                    .between(range.0, range.1)
                    .aggregated("MEAN", MINUTE);
                let series: Vec<_> = items.iter().flat_map(|item| select("once_total", &[("item", item)])).collect();
                let expected = COUNTER.buckets(&series, "MEAN", range, MINUTE);
                assert_points(&gateway.ask(&query), &expected, engine.tolerance(), &format!("{items:?}"));
            }
            let asked = f64::from(300 * round);
            let calls = Page::of(&gateway.mirror).sum(UPSTREAM_REQUESTS, &[]);
            assert_eq!((calls, counted(&gateway.mirror)), (asked, [asked, 0.0, 0.0]), "{} {round}", engine.name());
        }
    }
}
