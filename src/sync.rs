//! Locks without poisoning, and permits. A panic costs one request; the others still need the data, which is whole at every point
//! where code under a lock could panic.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// A mutex that stays usable after a panic of a thread that held it.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex with this data.
    pub const fn new(data: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(data))
    }

    /// Waits for the mutex, and locks it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// A condition variable that no thread waits for.
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    /// Wakes one of the threads that wait.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Unlocks the mutex, waits for a notification, and locks it again. May also return without a notification.
    pub fn wait<'m, T>(&self, guard: MutexGuard<'m, T>) -> MutexGuard<'m, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`Condvar::wait`], but for `timeout` at most. Also returns whether it has expired.
    pub fn wait_timeout<'m, T>(&self, guard: MutexGuard<'m, T>, timeout: Duration) -> (MutexGuard<'m, T>, bool) {
        let (guard, result) = self.0.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner);
        (guard, result.timed_out())
    }
}

/// Data that is replaced as a whole. Readers keep the data that they got.
#[derive(Debug, Default)]
pub struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    /// Begins with this data.
    pub fn new(data: T) -> Current<T> {
        Current(RwLock::new(Arc::new(data)))
    }

    /// The current data.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the data.
    pub fn set(&self, data: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(data);
    }
}

/// Permits, of which a number is in use at a time at most.
pub struct Permits {
    in_use: AtomicUsize,
    most: usize,
}

/// One of [`Permits`]; in use until it is dropped.
pub struct Permit<'p>(&'p Permits);

impl Permits {
    /// At most this number of permits at a time.
    pub const fn new(most: usize) -> Permits {
        Permits { in_use: AtomicUsize::new(0), most }
    }

    /// A permit, if there is one left.
    pub fn take(&self) -> Option<Permit<'_>> {
        let one_more = |in_use| (in_use < self.most).then_some(in_use + 1);
        self.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn data_stays_usable_after_a_panic_under_the_lock() {
        let (mutex, changed) = (Mutex::new(1), Condvar::new());
        let panics = || {
            let mut number = mutex.lock();
            *number += 1;
            panic!("on purpose");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let (number, has_expired) = changed.wait_timeout(mutex.lock(), Duration::from_millis(1));
        assert_eq!((*number, has_expired), (2, true));
    }
}
