"""Has half of the requests ask a Prometheus that answers."""
import json
import os

import schemathesis

DETAILS = json.loads(os.environ["MIRROR_DETAILS"])
METRICS = ["room_celsius", "http_requests_total", "queue_depth", "nowhere"]
count = 0


@schemathesis.hook
def map_body(context, body):
    global count
    count += 1
    if isinstance(body, dict) and count % 4:
        body = {**body, "connectionDetails": DETAILS}
        query = body.get("query")
        if isinstance(query, dict) and count % 4 > 1:
            key = ["__gauge__", "__counter__", "~"][count % 3]
            condition = {"key": key, "value": {"value": METRICS[count // 4 % 4], "_type": "StringValue"}}
            body["query"] = {**query, "conditions": [condition], "startTime": 1600041600000, "endTime": 1600045200000}
    return body
