//! A list of texts in one piece of memory. There may be hundreds of thousands of names or values, and a [`String`] for each would
//! take several times as much memory.

/// A list of texts of at most 4 GiB in all.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Texts {
    joined: String,
    /// Where each text ends.
    ends: Vec<u32>,
}

impl Texts {
    /// Adds a text, unless the list is full. It never is, because the bound on responses is a hundredth of it.
    pub fn push(&mut self, text: &str) {
        if let Ok(end) = u32::try_from(self.joined.len() + text.len()) {
            self.joined.push_str(text);
            self.ends.push(end);
        }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.joined[start as usize..end as usize])
    }
}

impl<'t> FromIterator<&'t str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'t str>>(texts: I) -> Texts {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_given_as_they_were_added() {
        for list in [&[][..], &[""], &["a"], &["", "é", "", "abc", "a"]] {
            let texts: Texts = list.iter().copied().collect();
            assert_eq!(texts.iter().collect::<Vec<_>>(), list);
            assert_eq!((texts.len(), texts.is_empty()), (list.len(), list.is_empty()));
        }
    }
}
