//! Renders a page once for all requests that arrive at the same time, so that many requests neither take all CPU nor wait for each
//! other.

use std::sync::Arc;
use std::time::Instant;

use crate::sync::Mutex;

/// The page that was rendered last, and when its rendering began.
#[derive(Debug, Default)]
pub struct SharedPage(Mutex<Option<(Instant, Arc<str>)>>);

impl SharedPage {
    /// The page, which is not older than this call: rendered by it, or by another call that began to render later.
    pub fn get(&self, render: impl FnOnce() -> String) -> Arc<str> {
        let called = Instant::now();
        let mut latest = self.0.lock();
        match &*latest {
            Some((begun, page)) if *begun > called => Arc::clone(page),
            _ => {
                let begun = Instant::now();
                let page: Arc<str> = render().into();
                *latest = Some((begun, Arc::clone(&page)));
                page
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_while_a_page_is_rendered_share_the_next_rendering() {
        let (page, rendered) = (SharedPage::default(), AtomicUsize::new(0));
        let render = || {
            let nth = rendered.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(200));
            nth.to_string()
        };
        let get = || page.get(render).to_string();
        thread::scope(|scope| {
            let first = scope.spawn(get);
            thread::sleep(Duration::from_millis(50));
            let others: Vec<_> = (0..50).map(|_| scope.spawn(get)).collect();
            assert_eq!(first.join().unwrap(), "0");
            assert!(others.into_iter().all(|other| other.join().unwrap() == "1"));
        });
        // A later call renders again.
        assert_eq!((get().as_str(), get().as_str()), ("2", "3"));
    }
}
