//! Secrets: in the upstreams file, or in files of their own.

use std::path::Path;

use crate::prometheus::access::{SecretForm, SecretOrigin, SecretSource, Unusable};
use crate::prometheus::upstreams_file::fields::{FileField, FileFields};

/// A required secret under one of two keys: the secret itself, or its file.
pub(super) fn needed_secret(
    fields: &FileFields<'_>,
    keys: [&'static str; 2],
    folder: &Path,
    form: SecretForm,
) -> Result<SecretSource, Unusable> {
    let missing = || fields.bad(&format!("has neither {} nor {}, of which it needs one", keys[0], keys[1]));
    secret(fields, keys, folder, form)?.ok_or_else(missing)
}

/// An optional secret under one of two keys: the secret itself, or its file.
pub(super) fn secret(
    fields: &FileFields<'_>,
    keys: [&'static str; 2],
    folder: &Path,
    form: SecretForm,
) -> Result<Option<SecretSource>, Unusable> {
    match fields.at_most_one(&keys)? {
        None => Ok(None),
        Some((0, field)) => given(&field, form).map(Some),
        Some((_, field)) => in_file(&field, folder, form).map(Some),
    }
}

pub(super) fn given(field: &FileField<'_>, form: SecretForm) -> Result<SecretSource, Unusable> {
    let secret = field.secret()?;
    match form.fault(secret.reveal()) {
        Some(fault) => Err(field.bad(fault)),
        None => Ok(SecretSource { origin: SecretOrigin::Given(secret), form, place: field.place.clone() }),
    }
}

pub(super) fn in_file(field: &FileField<'_>, folder: &Path, form: SecretForm) -> Result<SecretSource, Unusable> {
    Ok(SecretSource { origin: SecretOrigin::File(folder.join(field.text()?)), form, place: field.place.clone() })
}
