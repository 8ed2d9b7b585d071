//! The mirror passes trace ids on to the upstream and to the log.

use serde_json::json;

use super::{Files, one};
use crate::support::process::wait_until;
use crate::support::stub::{self, Stub};

#[test]
fn the_context_of_a_trace_and_the_id_of_a_request_go_along() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (stub, files) = (Stub::start(stub::good), Files::new());
    let url = format!("http://127.0.0.1:{}", stub.port());
    files.upstreams(&one(&url, ""));
    let mirror = files.mirror();
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    for details in [json!({"upstream": "a"}), json!({"url": url})] {
        stub.behave(stub::good);
        let body = json!({"connectionDetails": details}).to_string();
        let response = ureq::post(format!("{}/api/connection", mirror.base()))
            .header("traceparent", &parent)
            .header("tracestate", "a=b")
            .header("X-Request-Id", "id-1")
            .send(body.as_bytes())
            .unwrap();
        assert_eq!(response.status(), 200);
        let [request] = stub.requests().try_into().unwrap();
        for (name, value) in [("traceparent", parent.as_str()), ("tracestate", "a=b"), ("x-request-id", "id-1")] {
            assert_eq!(request.header(name), Some(value), "{request:?}");
        }
    }
    wait_until(
        || format!("the log has the trace: {}", mirror.log()),
        || mirror.log().matches(&format!("msg=request trace_id={TRACE} ")).count() == 2,
    );
}
