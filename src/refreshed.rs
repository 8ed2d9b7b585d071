//! The result of re-reading files that settings name.

/// The result of re-reading one or several files.
#[derive(Debug)]
pub struct Refreshed<E> {
    /// Whether a change is in force now.
    pub has_changed: bool,
    /// What is wrong with each file that is unusable now. Its previous content stays in force.
    pub troubles: Vec<E>,
}

impl<E> Refreshed<E> {
    /// Applies a function to each trouble.
    pub fn map_troubles<F>(self, f: impl FnMut(E) -> F) -> Refreshed<F> {
        Refreshed { has_changed: self.has_changed, troubles: self.troubles.into_iter().map(f).collect() }
    }
}

impl<E> From<Result<bool, E>> for Refreshed<E> {
    fn from(refreshed: Result<bool, E>) -> Refreshed<E> {
        match refreshed {
            Ok(has_changed) => Refreshed { has_changed, troubles: Vec::new() },
            Err(trouble) => Refreshed { has_changed: false, troubles: vec![trouble] },
        }
    }
}

impl<E, R: Into<Refreshed<E>>> FromIterator<R> for Refreshed<E> {
    fn from_iter<I: IntoIterator<Item = R>>(several: I) -> Refreshed<E> {
        several.into_iter().map(R::into).fold(Ok(false).into(), |mut all: Refreshed<E>, one| {
            all.has_changed |= one.has_changed;
            all.troubles.extend(one.troubles);
            all
        })
    }
}
