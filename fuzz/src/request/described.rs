//! Requests written from a description.

use arbitrary::Result;

use crate::written::{Choices, any_text, list, object, odd, rarely, text};

/// The body of a request.
pub fn written(choices: Choices) -> Result<String> {
    let mut conditions = vec![source(choices)?];
    while !choices.is_empty() && !rarely(choices, 3)? {
        let label = if rarely(choices, 16)? { source(choices)? } else { label(choices)? };
        conditions.push(label);
    }
    let mut query = vec![("conditions", list(choices, conditions)?)];
    let start = choices.int_in_range(0..=1_700_000_000_000)?;
    let end = start + choices.int_in_range(-1..=100_000_000)?;
    for (name, time) in [("startTime", start), ("endTime", end)] {
        match choices.int_in_range(0..=15)? {
            15 => {}
            14 => query.push((name, "null".to_owned())),
            13 => query.push((name, number(choices, 0)?)),
            _ => query.push((name, number(choices, time)?)),
        }
    }
    for (name, most) in [("limit", 2_000_000), ("offset", 10)] {
        if rarely(choices, 3)? {
            let given = choices.int_in_range(-1..=most)?;
            query.push((name, number(choices, given)?));
        }
    }
    if rarely(choices, 3)? {
        query.push(("latestFirst", (*choices.choose(&["true", "false", "null"])?).to_owned()));
    }
    if rarely(choices, 2)? {
        let methods = ["MEAN", "max", "Min", "SUM", "SUM_NO_ZEROS", "EVENT_COUNT", "event_count_NO_ZEROS"];
        let percentile = format!("PERCENTILE_{}", *choices.choose(&[25, 50, 75, 90, 95, 98, 99, 100])?);
        let method = if rarely(choices, 3)? { percentile.as_str() } else { choices.choose(&methods)? };
        let size = choices.int_in_range(0..=86_400_000)?;
        let fields = vec![("method", text(choices, method)?), ("bucketSizeMillis", number(choices, size)?)];
        query.push(("aggregation", object(choices, fields)?));
    }
    let fields = vec![("connectionDetails", details(choices)?), ("query", object(choices, query)?)];
    object(choices, fields)
}

fn source(choices: Choices) -> Result<String> {
    let key = *choices.choose(&["__gauge__", "__counter__", "~"])?;
    let value = if rarely(choices, 4)? { value(choices)? } else { text(choices, "up")? };
    condition(choices, key, value)
}

fn label(choices: Choices) -> Result<String> {
    let key = *choices.choose(&["job", "my.label", "", "__name__", "é"])?;
    let value = value(choices)?;
    condition(choices, key, value)
}

fn condition(choices: Choices, key: &str, value: String) -> Result<String> {
    let value = typed(choices, value)?;
    let mut fields = vec![("key", text(choices, key)?), ("value", value)];
    if rarely(choices, 2)? {
        let kinds = ["EqualityCondition", "EqualityCondition", "EqualityCondition", "RegexCondition", ""];
        let kind = *choices.choose(&kinds)?;
        fields.push(("_type", text(choices, kind)?));
    }
    object(choices, fields)
}

/// A value with its type, or with none.
fn typed(choices: Choices, value: String) -> Result<String> {
    let mut fields = vec![("value", value)];
    if rarely(choices, 2)? {
        let kind = *choices.choose(&["StringValue", "DoubleValue", "BooleanValue", "InSetValue", "NovelValue"])?;
        fields.push(("_type", text(choices, kind)?));
    }
    object(choices, fields)
}

fn value(choices: Choices) -> Result<String> {
    if !rarely(choices, 4)? {
        return scalar(choices);
    }
    let mut items = Vec::new();
    while !choices.is_empty() && !rarely(choices, 3)? {
        let bare = scalar(choices)?;
        items.push(if rarely(choices, 3)? { typed(choices, bare)? } else { bare });
    }
    list(choices, items)
}

fn scalar(choices: Choices) -> Result<String> {
    Ok(match choices.int_in_range(0..=8)? {
        0..3 => any_text(choices)?,
        3 => (*choices.choose(&["true", "false"])?).to_owned(),
        4 => format!("{}", f64::from(choices.arbitrary::<i16>()?) / 100.0),
        5 => format!("{:e}", choices.arbitrary::<f32>()?),
        6 => {
            let whole = choices.arbitrary()?;
            number(choices, whole)?
        }
        7 => (*choices.choose(&["1e-5", "0.00001", "1E6", "1000000", "1.0e6", "-0.0", "-0", "2.0", "-12.50E+01"])?)
            .to_owned(),
        _ => odd(choices)?,
    })
}

fn details(choices: Choices) -> Result<String> {
    let mut fields = Vec::new();
    if rarely(choices, 3)? {
        let urls = [
            "http://p",
            "https://u:s%20x@p.example:9443/a/b//",
            "HTTP://p:80",
            "ftp://p",
            "http://[::1]:1/",
            "p",
            "http://p/x/graph",
            "http://p/api/v1",
            "http://p/1:2/x",
            "http://p/u:x/y",
            "https://u:a/b@p",
            "http://p/0123456789abcdef",
        ];
        let url = *choices.choose(&urls)?;
        fields.push(("url", text(choices, url)?));
    } else {
        let hosts = ["prometheus", " 10.0.0.1\t", "::1", "[fe80::1]", "my_host.", "a b", "", "[a]"];
        let host = *choices.choose(&hosts)?;
        fields.push(("host", text(choices, host)?));
        fields.push(("port", typed_number(choices, 65_536)?));
    }
    if rarely(choices, 16)? {
        let name = *choices.choose(&["_remark", "requestTimeOut", "headers", "url"])?;
        fields.push((name, odd(choices)?));
    }
    if rarely(choices, 3)? {
        fields.push(("requestTimeout", typed_number(choices, 600_001)?));
    }
    if rarely(choices, 3)? {
        fields.push(("scrapeInterval", typed_number(choices, 86_400_001)?));
    }
    if rarely(choices, 3)? {
        let nan = *choices.choose(&["ZERO", "none", "Zero ", "", "MAYBE"])?;
        fields.push(("nan_interpretation", text(choices, nan)?));
    }
    if rarely(choices, 3)? {
        let partial = *choices.choose(&["allow", "deny", " Allow", "DENY", "", "MAYBE"])?;
        fields.push(("partialResponse", text(choices, partial)?));
    }
    object(choices, fields)
}

/// A number from 0 to `most`, as one or as a text.
fn typed_number(choices: Choices, most: i64) -> Result<String> {
    let given = choices.int_in_range(0..=most)?;
    if rarely(choices, 3)? { text(choices, &format!(" 0{given} ")) } else { number(choices, given) }
}

/// A whole number, in one of the ways to write it.
fn number(choices: Choices, whole: i64) -> Result<String> {
    Ok(match choices.int_in_range(0..=15)? {
        15 => format!("{whole}.0"),
        14 => format!("{whole}000e-3"),
        13 => format!("{whole}E+0"),
        12 => format!("{whole}.5"),
        _ => whole.to_string(),
    })
}
