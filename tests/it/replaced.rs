//! The engine at an address is replaced by one of another kind. VictoriaMetrics gets other PromQL and other ranges, so the engine
//! that responds has to decide, not the one that responded before.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::ask::{Gateway, Query, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::oracle::close;
use crate::support::samples::{MINUTE, SECOND, T0};
use crate::support::streamed;
use crate::support::stub::{Stub, forwarded};

/// Who responds, one after the other.
const TURNS: [Engine; 6] = [
    Engine::Prometheus2,
    Engine::Victoria,
    Engine::Prometheus3,
    Engine::NewerVictoria,
    Engine::Prometheus2,
    Engine::Victoria,
];

/// An address where no engine responds yet, and a mirror in front of it.
fn address() -> (Stub, Gateway) {
    let stub = Stub::start(|_| unreachable!("no engine"));
    let gateway = Gateway::to(stub.details());
    (stub, gateway)
}

/// From now on, this engine responds at the address.
fn take_over(stub: &Stub, engine: Engine) {
    stub.behave(move |request| forwarded(&engine.shared().url(""), request));
}

#[test]
fn promql_computes_the_rates_of_the_engine_that_responds_now() {
    let (stub, gateway) = address();
    let (start, end) = (T0 + 5 * MINUTE, T0 + 55 * MINUTE);
    stub.upon_reads(|_| streamed::endless::<{ T0 + 5 * MINUTE }>());
    // Two series that count one a second, and one of them has infinite samples, of which VictoriaMetrics makes other rates.
    let query = Query::counter("special_total").between(start, end).aggregated("MEAN", MINUTE);
    for engine in TURNS {
        take_over(&stub, engine);
        let response = gateway.ask(&query);
        if engine.is_victoria() {
            assert_error(&response, "RemoteMirrorError", &["infinite samples in 1 series"]);
        } else {
            let points = response.points();
            let all_right = points.iter().all(|point| close(point[0], 2.0, 1e-9));
            assert!(points.len() >= 40 && all_right, "{}: {}", engine.name(), response.text);
        }
    }
}

#[test]
fn the_newest_values_of_an_expression_are_those_of_the_engine_that_responds_now() {
    let (stub, gateway) = address();
    let gateway = gateway.with("scrapeInterval", SECOND);
    // VictoriaMetrics replaces its newest values by earlier ones, unless the range ends after now.
    for (engine, calls) in TURNS.into_iter().zip([1, 2, 1, 1, 1, 1]) {
        take_over(&stub, engine);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let end = now / SECOND * SECOND;
        let times = (end - 2 * MINUTE..=end).step_by(SECOND as usize);
        let expected: Vec<_> = times.map(|at| vec![(at / SECOND) as f64, at as f64]).collect();
        let response = gateway.ask(&Query::expression("time()").between(end - 2 * MINUTE, end));
        assert_points(&response, &expected, 0.0, engine.name());
        // The mirror learns that VictoriaMetrics may respond, and saves a call from then on.
        assert_eq!(stub.queries("time()").len(), calls, "{}", engine.name());
    }
}
