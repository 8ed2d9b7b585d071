//! The labels of a series as they arrive. They can be compared in this form, and become [`Labels`] when a sink needs them.

use super::super::protobuf::{self, Malformed};
use super::failure::{MANY_LABELS, ReadFailure};
use crate::model::sample::Labels;

/// The most labels of a series, many times the usual number.
const MAX_LABELS: usize = 1_000;

/// The labels of a series, in the order in which they arrived.
#[derive(Default, PartialEq)]
pub(super) struct SeriesLabels {
    /// All names and values, without separators.
    text: String,
    /// Where each name and each value ends.
    ends: Vec<(usize, usize)>,
}

impl SeriesLabels {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a message `Label { 1: name, 2: value }`.
    pub(super) fn add(&mut self, message: &[u8]) -> Result<(), ReadFailure> {
        if self.ends.len() == MAX_LABELS {
            return Err(ReadFailure::Broken(MANY_LABELS));
        }
        let (mut name, mut value) = (&[][..], &[][..]);
        for field in protobuf::fields(message) {
            match field? {
                (1, field) => name = field.bytes()?,
                (2, field) => value = field.bytes()?,
                _ => {}
            }
        }
        let name_end = self.append(name)?;
        let value_end = self.append(value)?;
        self.ends.push((name_end, value_end));
        Ok(())
    }

    /// Adds a string and returns where it ends.
    fn append(&mut self, text: &[u8]) -> Result<usize, Malformed> {
        self.text.push_str(str::from_utf8(text).map_err(|_| Malformed)?);
        Ok(self.text.len())
    }

    pub(super) fn to_labels(&self) -> Labels {
        let mut start = 0;
        let label = |&(name_end, value_end): &(usize, usize)| {
            let name = &self.text[start..name_end];
            start = value_end;
            (name.to_owned(), self.text[name_end..value_end].to_owned())
        };
        self.ends.iter().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::field;
    use super::*;
    use crate::prometheus::decode::remote_read::failure::BAD_MESSAGE;

    fn labels(list: &[(&str, &str)]) -> SeriesLabels {
        let mut labels = SeriesLabels::default();
        for (name, value) in list {
            labels.add(&[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()).unwrap();
        }
        labels
    }

    #[test]
    fn labels_are_what_arrived() {
        let list = [("__name__", "up"), ("empty", ""), ("job", "é"), ("", "unnamed")];
        let expected: Labels = list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(labels(&list).to_labels(), expected);
        assert_eq!(SeriesLabels::default().to_labels(), Labels::new());
        let mut absent = SeriesLabels::default();
        absent.add(&[]).unwrap();
        assert_eq!(absent.to_labels(), Labels::from([(String::new(), String::new())]));
    }

    #[test]
    fn labels_of_the_same_letters_differ_by_their_ends() {
        let one = labels(&[("ab", "c"), ("d", "e")]);
        assert!(one == labels(&[("ab", "c"), ("d", "e")]));
        for other in [&[("a", "bc"), ("d", "e")][..], &[("ab", "cd"), ("", "e")], &[("ab", "c")], &[("ab", "cde")]] {
            assert!(one != labels(other), "{other:?}");
        }
    }

    #[test]
    fn labels_that_are_not_text_or_too_many_are_refused() {
        let mut labels = SeriesLabels::default();
        for bad in [field(1, &[0xff]), field(2, &[0xc3]), vec![1 << 3, 5], vec![2 << 3, 5], vec![1 << 3 | 2, 1]] {
            let breach = labels.add(&bad);
            assert!(matches!(breach, Err(ReadFailure::Broken(BAD_MESSAGE))), "{bad:?}: {breach:?}");
        }
        labels.clear();
        for nth in 0..1_000 {
            labels.add(&field(1, nth.to_string().as_bytes())).unwrap();
        }
        assert_eq!(labels.to_labels().len(), 1_000);
        assert!(matches!(labels.add(&field(1, b"more")), Err(ReadFailure::Broken(MANY_LABELS))));
    }
}
