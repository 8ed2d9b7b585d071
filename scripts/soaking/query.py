"""The parts of a query, as StackState writes them."""


def condition(key, value):
    return {"key": key, "value": {"value": value, "_type": "StringValue"}, "_type": "EqualityCondition"}


def of(key, value, shard=None):
    return [condition(key, value)] + ([condition("shard", shard)] if shard else [])


def metrics_query(conditions, start, end, bucket=None):
    query = {"_type": "MetricsQuery", "conditions": conditions, "startTime": start, "endTime": end}
    if bucket:
        query["aggregation"] = {"method": bucket[0], "bucketSizeMillis": bucket[1], "_type": "Aggregation"}
    return query
