//! Responses written from a description.

use arbitrary::Result;

use crate::written::{Choices, any_text, list, object, odd, rarely, text};

/// The body of a response.
pub fn written(choices: Choices) -> Result<String> {
    let kind = *choices.choose(&["matrix", "matrix", "matrix", "vector", "scalar", "string"])?;
    let result = match kind {
        "matrix" => series(choices, true)?,
        "vector" => series(choices, false)?,
        _ => sample(choices, &mut 1_700_000_000_000)?,
    };
    let kind = text(choices, kind)?;
    let data = object(choices, vec![("resultType", kind), ("result", result)])?;
    let mut fields = vec![("data", data)];
    let is_error = rarely(choices, 16)?;
    fields.push(("status", text(choices, if is_error { "error" } else { "success" })?));
    if is_error || rarely(choices, 16)? {
        fields.push(("errorType", text(choices, "bad_data")?));
        fields.push(("error", any_text(choices)?));
    }
    if rarely(choices, 8)? {
        let mut warnings = Vec::new();
        for _ in 0..choices.int_in_range(0..=12)? {
            warnings.push(any_text(choices)?);
        }
        fields.push(("warnings", list(choices, warnings)?));
    }
    object(choices, fields)
}

fn series(choices: Choices, are_lists: bool) -> Result<String> {
    let mut all = Vec::new();
    // Many at once: what is kept of them has a bound.
    let copies = if rarely(choices, 32)? { choices.int_in_range(98..=102)? } else { 1 };
    for _ in 0..choices.int_in_range(0..=3)? {
        let mut labels = Vec::new();
        for _ in 0..choices.int_in_range(0..=3)? {
            let name = *choices.choose(&["__name__", "job", "my.label", "le", "é"])?;
            labels.push((name, any_text(choices)?));
        }
        let mut fields = vec![("metric", object(choices, labels)?)];
        let mut at = choices.int_in_range(-2_000..=1_700_000_000_999)?;
        if are_lists {
            let mut samples = Vec::new();
            while !choices.is_empty() && !rarely(choices, 8)? {
                samples.push(sample(choices, &mut at)?);
            }
            fields.push(("values", list(choices, samples)?));
        } else {
            fields.push(("value", sample(choices, &mut at)?));
        }
        if rarely(choices, 16)? {
            fields.push((*choices.choose(&["histogram", "histograms"])?, odd(choices)?));
        }
        let one = object(choices, fields)?;
        all.resize(all.len() + copies, one);
    }
    list(choices, all)
}

/// A sample, mostly later than the one before.
fn sample(choices: Choices, at: &mut i64) -> Result<String> {
    *at += match choices.int_in_range(0..=31)? {
        31 => -1,
        30 => 0,
        20..30 => choices.int_in_range(1..=100_000)?,
        _ => 15_000,
    };
    let time = seconds(choices, *at)?;
    let value = match choices.int_in_range(0..=15)? {
        9 => (*choices.choose(&["NaN", "+Inf", "-Inf", "Inf", "nan", "-0", "infinity", "1e400", "5e-324", "1_0"])?)
            .to_owned(),
        1 => format!("{:e}", choices.arbitrary::<f64>()?),
        2 => format!("{}", choices.arbitrary::<f64>()?),
        3 => format!("{}", choices.arbitrary::<f32>()?),
        4 => format!("+{}.", choices.arbitrary::<u8>()?),
        5 => format!(".{:020}", choices.arbitrary::<u64>()?),
        6 => format!("{}{:020}", choices.arbitrary::<u64>()?, choices.arbitrary::<u64>()?),
        0 | 7..9 => format!("{}", f64::from(choices.arbitrary::<i16>()?) / 100.0),
        _ => format!("{}", choices.arbitrary::<u16>()?),
    };
    let value = if rarely(choices, 64)? { value } else { text(choices, &value)? };
    let mut pair = vec![time, value];
    if rarely(choices, 128)? {
        pair.push(odd(choices)?);
    }
    list(choices, pair)
}

/// Milliseconds as seconds, in one of the ways to write a number.
fn seconds(choices: Choices, ms: i64) -> Result<String> {
    let sign = if ms < 0 { "-" } else { "" };
    let (whole, fraction) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    let plain = format!("{sign}{whole}.{fraction:03}");
    Ok(match choices.int_in_range(0..=15)? {
        7 => format!("{plain}000"),
        1 => format!("{plain}{}", choices.arbitrary::<u16>()?),
        2 => format!("{sign}{}e-3", ms.unsigned_abs()),
        3 => format!("{plain}e+00"),
        4 => format!("{sign}0.{whole:015}{fraction:03}E15"),
        5 => format!("{:e}", ms as f64 / 1000.0),
        6 => format!("{plain}e{}", choices.int_in_range(-30..=30)?),
        _ => plain.trim_end_matches('0').trim_end_matches('.').to_owned(),
    })
}
