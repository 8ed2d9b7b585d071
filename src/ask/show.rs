//! Formats a response as a table, JSON or CSV, with a plot and an explanation.

use std::fmt::Write;
use std::{iter, slice};

use serde_json::Value;

use super::request::AskRequest;
use super::{AskOutput, plot};
use crate::check::hint;
use crate::model::calendar::DateTime;
use crate::settings::AskFlags;

/// How a response is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutputOptions {
    format: OutputFormat,
    has_plot: bool,
    pub(super) explains: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputFormat {
    Table,
    Json,
    Csv,
}

impl OutputOptions {
    /// The options of a command line.
    ///
    /// # Errors
    /// A sentence that names the flag.
    pub(super) fn of(flags: &AskFlags, is_terminal: bool) -> Result<OutputOptions, String> {
        let format = match flags.value("format") {
            None | Some("table") => OutputFormat::Table,
            Some("json") => OutputFormat::Json,
            Some("csv") => OutputFormat::Csv,
            Some(other) => return Err(format!("--format must be table, json or csv, not {other:?}")),
        };
        if format == OutputFormat::Csv && flags.has("explain") {
            return Err("--explain needs --format table or json".to_owned());
        }
        if flags.has("plot") && (format != OutputFormat::Table || flags.has("no-plot")) {
            return Err("--plot needs --format table, and excludes --no-plot".to_owned());
        }
        let has_plot = format == OutputFormat::Table && (flags.has("plot") || is_terminal && !flags.has("no-plot"));
        Ok(OutputOptions { format, has_plot, explains: flags.has("explain") })
    }
}

/// Formats the response of the mirror at `url`.
pub(super) fn shown(request: &AskRequest, url: &str, status: u16, body: &[u8], options: &OutputOptions) -> AskOutput {
    let response: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = error_of(request, url, status, &response);
    let mut text = match options.format {
        OutputFormat::Json => format!("{}\n", String::from_utf8_lossy(body)),
        _ if error.is_some() => String::new(),
        OutputFormat::Csv => Table::of(&response).csv(),
        OutputFormat::Table => Table::of(&response).text(&request.body["query"]),
    };
    if options.has_plot && error.is_none() {
        let drawn = plot::plot(&points(&response));
        if !drawn.is_empty() {
            let _ = write!(text, "\n{drawn}");
        }
    }
    if options.format == OutputFormat::Table {
        text.push_str(&explanation(request, &response["explanation"]));
    }
    AskOutput { text, error }
}

/// The error text of a response, if it is an error.
fn error_of(request: &AskRequest, url: &str, status: u16, response: &Value) -> Option<String> {
    let error = if response["status"] == "FAILURE" { &response["error"] } else { response };
    let said = match error["_type"].as_str().unwrap_or_default() {
        "RemoteMirrorError" => format!("{} {}", words(&error["summary"]), words(&error["details"])),
        "MetricStoreConnectionError" | "MetricNotFoundError" => words(&error["details"]),
        "UnsupportedFieldTypeError" => format!("values of type {} are not supported", words(&error["mirrorType"])),
        other if status == 200 && other.strip_suffix("Response") == Some(request.kind) => return None,
        _ => format!("the response (HTTP status {status}) is not from a mirror: check --mirror: {}", hint(url, status)),
    };
    Some(said)
}

/// A text of a response, without control characters, which a terminal would execute.
fn words(text: &Value) -> String {
    let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The items of a list, or none if there is no list.
fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// Times in milliseconds since 1970, and values.
fn points(response: &Value) -> Vec<(i64, f64)> {
    items(&response["telemetry"]["points"])
        .iter()
        .filter_map(|point| Some((point[1].as_i64()?, point[0].as_f64()?)))
        .collect()
}

fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| value.to_string(), |ms| DateTime::of_ms(ms).to_string())
}

/// A response as a table.
struct Table {
    /// The first row is the header.
    rows: Vec<Vec<String>>,
    is_partial: bool,
}

impl Table {
    fn new(header: &[&str], rows: impl Iterator<Item = Vec<String>>, is_partial: &Value) -> Table {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Table { rows: iter::once(header).chain(rows).collect(), is_partial: *is_partial == true }
    }

    fn of(response: &Value) -> Table {
        let telemetry = &response["telemetry"];
        if telemetry.is_object() {
            let has_buckets = telemetry["_type"] == "AggregatedMetricTelemetry";
            let header: &[&str] = if has_buckets { &["start", "end", "value"] } else { &["time", "value"] };
            let row = |point: &Value| {
                let times = (1..header.len()).map(|nth| time(&point[nth]));
                times.chain([point[0].to_string()]).collect()
            };
            return Table::new(header, items(&telemetry["points"]).iter().map(row), &telemetry["isPartial"]);
        }
        let column = |header: &str, list: &[Value], field: &str| {
            Table::new(&[header], list.iter().map(|item| vec![words(&item[field])]), &response["isPartial"])
        };
        match (&response["fields"], &response["values"]) {
            (Value::Array(fields), _) => column("name", fields, "fieldName"),
            (_, Value::Array(values)) => column("value", values, "value"),
            _ => column("status", slice::from_ref(response), "status"),
        }
    }

    /// The table with aligned columns, and why it is empty, or whether there is more.
    fn text(&self, query: &Value) -> String {
        let columns = self.rows[0].len();
        // Neither a single column nor an empty table has a header.
        let shown = if columns > 1 && self.rows.len() > 1 { &self.rows[..] } else { &self.rows[1..] };
        let width = |column: usize| shown.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in shown {
            let cells = row.iter().zip(&widths).enumerate().map(|(nth, (cell, &width))| match (columns, nth) {
                // The last of several columns contains numbers.
                (2.., nth) if nth + 1 == columns => format!("{cell:>width$}"),
                _ => format!("{cell:width$}"),
            });
            // Writing to a string does not fail, here and below.
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        if self.is_partial {
            text.push_str(match (columns, query["latestFirst"] == true) {
                (1, _) => "(there are more: raise --limit)\n",
                (_, false) => "(there are more: raise --limit, or give a later --start)\n",
                (_, true) => "(there are more: raise --limit, or give an earlier --end)\n",
            });
        } else if shown.is_empty() && columns > 1 {
            let _ = writeln!(text, "0 points: {}, or see with --explain what was read.", no_points(query));
        } else if shown.is_empty() {
            text.push_str("(nothing)\n");
        }
        text
    }

    /// CSV by RFC 4180, but with line feeds as line ends.
    fn csv(&self) -> String {
        let cell = |text: &String| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.clone()
            }
        };
        let line = |row: &Vec<String>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
        self.rows.iter().map(line).collect()
    }
}

/// Why a query has no points, and what to change. The explorer says the same.
fn no_points(query: &Value) -> &'static str {
    if items(&query["conditions"]).iter().any(|condition| condition["key"] == "~") {
        "in this range, the expression has no values that count. Check the names in it, choose a longer range"
    } else if query["aggregation"].is_null() {
        "there are no samples in this range that count. Choose a longer one"
    } else {
        "no whole bucket of this range has samples that count. Choose a longer range, or shorter buckets"
    }
}

/// The explanation as lines of text. Empty if there is none.
fn explanation(request: &AskRequest, explanation: &Value) -> String {
    let mut text = String::new();
    if !explanation.is_object() {
        return text;
    }
    let mut add = |line: String| text.push_str(&(line + "\n"));
    add(format!("\nHow the response to {} was computed", request.path));
    for key in ["upstream", "replica", "source", "rule", "equivalentPromql", "graph"] {
        if !explanation[key].is_null() {
            let label = if key == "equivalentPromql" { "similar PromQL" } else { key };
            add(format!("  {label}: {}", words(&explanation[key])));
        }
    }
    for call in items(&explanation["calls"]) {
        let value = |key: &str| Some(&call[key]).filter(|value| !value.is_null()).map(words);
        let values = |keys: [&str; 2]| keys.into_iter().filter_map(value).collect::<Vec<_>>().join(" ");
        let counts =
            ["bytes", "series", "samples"].into_iter().filter_map(|key| Some(format!(", {} {key}", value(key)?)));
        add(format!(
            "  call: {} → {}, {} ms{}",
            values(["path", "query"]),
            values(["outcome", "status"]),
            call["milliseconds"],
            counts.collect::<String>()
        ));
    }
    for (nth, series) in items(&explanation["series"]).iter().enumerate() {
        add(format!(
            "  series {nth}: {}, {} samples from {} to {}",
            words(&series["labels"]),
            series["samples"],
            time(&series["first"]),
            time(&series["last"])
        ));
    }
    for point in items(&explanation["points"]) {
        let shares = items(&point["madeOf"]);
        if !shares.is_empty() {
            add(format!("  {} at {} is computed from", point["value"], time(&point["time"])));
        }
        for share in shares {
            add(share_of(share));
        }
    }
    for note in items(&explanation["notes"]) {
        add(format!("  note: {}", words(note)));
    }
    text
}

/// How many samples or increments of a series a line lists.
const MAX_LISTED: usize = 5;

/// A line with what a series contributes to a point.
fn share_of(share: &Value) -> String {
    let sample = |sample: &Value| format!("{} at {}", sample[1], time(&sample[0]));
    let increment = |one: &Value| {
        let rate = Some(&one["perSecond"]).filter(|rate| !rate.is_null());
        format!(
            "+{} ({} → {}{})",
            one["increase"],
            one["from"][1],
            sample(&one["to"]),
            rate.map_or(String::new(), |rate| format!(", {rate}/s"))
        )
    };
    let mut parts: Vec<String> =
        items(&share["samples"]).iter().map(sample).chain(items(&share["increments"]).iter().map(increment)).collect();
    let count = parts.len();
    parts.truncate(MAX_LISTED);
    if count > MAX_LISTED {
        parts.push(format!("and {} more (--format json lists more)", count - MAX_LISTED));
    }
    let last_known = Some(&share["lastKnown"]).filter(|one| !one.is_null());
    parts.extend(last_known.map(|one| format!("last known rate: {}", increment(one))));
    format!("    series {}: {}", share["series"], parts.join(", "))
}
