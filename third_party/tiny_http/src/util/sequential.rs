use std::collections::BTreeSet;
use std::io::Result as IoResult;
use std::io::{BufRead, Read, Write};

use std::sync::mpsc::channel;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};

use std::mem;

pub struct SequentialReaderBuilder<R>
where
    R: Read + Send,
{
    inner: SequentialReaderBuilderInner<R>,
}

enum SequentialReaderBuilderInner<R>
where
    R: Read + Send,
{
    First(R),
    NotFirst(Receiver<R>),
}

pub struct SequentialReader<R>
where
    R: Read + Send,
{
    inner: SequentialReaderInner<R>,
    next: Sender<R>,
}

enum SequentialReaderInner<R>
where
    R: Read + Send,
{
    MyTurn(R),
    Waiting(Receiver<R>),
    Empty,
}

pub struct SequentialWriterBuilder<W>
where
    W: Write + Send,
{
    writer: Arc<Mutex<W>>,
    turns: Arc<Turns>,
    count: u64,
}

pub struct SequentialWriter<W>
where
    W: Write + Send,
{
    writer: Arc<Mutex<W>>,
    turns: Arc<Turns>,
    number: u64,
}

/// Whose turn it is to write: a writer's when all before it are done, in whatever order they end.
#[derive(Default)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    next: u64,
    /// Those behind the next that are done already.
    done: BTreeSet<u64>,
}

impl Turns {
    fn wait_for(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        while state.next < number {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn end(&self, number: u64) {
        let state = &mut *self.state.lock().unwrap();
        state.done.insert(number);
        while state.done.remove(&state.next) {
            state.next += 1;
        }
        self.changed.notify_all();
    }
}

impl<R: Read + Send> SequentialReaderBuilder<R> {
    pub fn new(reader: R) -> SequentialReaderBuilder<R> {
        SequentialReaderBuilder { inner: SequentialReaderBuilderInner::First(reader) }
    }
}

impl<W: Write + Send> SequentialWriterBuilder<W> {
    pub fn new(writer: W) -> SequentialWriterBuilder<W> {
        SequentialWriterBuilder { writer: Arc::new(Mutex::new(writer)), turns: Arc::default(), count: 0 }
    }
}

impl<W: Write + Send> SequentialWriterBuilder<W> {
    /// Whether one of its writers is there still.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.writer) > 1
    }

    /// What tells this to others.
    pub fn usage(&self) -> Arc<dyn Fn() -> bool + Send + Sync>
    where
        W: 'static,
    {
        let writer = Arc::downgrade(&self.writer);
        Arc::new(move || writer.strong_count() > 1)
    }

    /// Has the writer that all write to do something, in whoever's turn it is.
    pub fn with_writer<T>(&self, act: impl FnOnce(&mut W) -> T) -> T {
        act(&mut self.writer.lock().unwrap())
    }
}

impl<R: Read + Send> Iterator for SequentialReaderBuilder<R> {
    type Item = SequentialReader<R>;

    fn next(&mut self) -> Option<SequentialReader<R>> {
        let (tx, rx) = channel();

        let inner = mem::replace(&mut self.inner, SequentialReaderBuilderInner::NotFirst(rx));

        match inner {
            SequentialReaderBuilderInner::First(reader) => {
                Some(SequentialReader { inner: SequentialReaderInner::MyTurn(reader), next: tx })
            }

            SequentialReaderBuilderInner::NotFirst(previous) => {
                Some(SequentialReader { inner: SequentialReaderInner::Waiting(previous), next: tx })
            }
        }
    }
}

impl<W: Write + Send> Iterator for SequentialWriterBuilder<W> {
    type Item = SequentialWriter<W>;
    fn next(&mut self) -> Option<SequentialWriter<W>> {
        let number = self.count;
        self.count += 1;
        Some(SequentialWriter { writer: self.writer.clone(), turns: self.turns.clone(), number })
    }
}

impl<R: Read + Send> SequentialReader<R> {
    /// Waits until those before it are done.
    pub fn wait_for_turn(&mut self) {
        let _ = self.reader();
    }

    /// The reader that all read from, once it is its turn.
    fn reader(&mut self) -> &mut R {
        if let SequentialReaderInner::Waiting(ref mut recv) = self.inner {
            self.inner = SequentialReaderInner::MyTurn(recv.recv().unwrap());
        }
        match self.inner {
            SequentialReaderInner::MyTurn(ref mut reader) => reader,
            _ => unreachable!(),
        }
    }
}

impl<R: Read + Send> Read for SequentialReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        self.reader().read(buf)
    }
}

impl<R: BufRead + Send> BufRead for SequentialReader<R> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        self.reader().fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader().consume(amount)
    }
}

impl<W: Write + Send> Write for SequentialWriter<W> {
    fn write(&mut self, buf: &[u8]) -> IoResult<usize> {
        self.turns.wait_for(self.number);
        self.writer.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.turns.wait_for(self.number);
        self.writer.lock().unwrap().flush()
    }
}

impl<R> Drop for SequentialReader<R>
where
    R: Read + Send,
{
    fn drop(&mut self) {
        let inner = mem::replace(&mut self.inner, SequentialReaderInner::Empty);

        match inner {
            SequentialReaderInner::MyTurn(reader) => {
                self.next.send(reader).ok();
            }
            SequentialReaderInner::Waiting(recv) => {
                let reader = recv.recv().unwrap();
                self.next.send(reader).ok();
            }
            SequentialReaderInner::Empty => (),
        }
    }
}

impl<W> Drop for SequentialWriter<W>
where
    W: Write + Send,
{
    fn drop(&mut self) {
        self.turns.end(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_writer_waits_for_all_before_it_though_one_in_between_ends_early() {
        let mut builder = SequentialWriterBuilder::new(Vec::new());
        let (mut first, between) = (builder.next().unwrap(), builder.next());
        let mut last = builder.next().unwrap();
        drop(between);
        let waiting = thread::spawn(move || last.write_all(b"b").unwrap());
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        first.write_all(b"a").unwrap();
        drop(first);
        waiting.join().unwrap();
        builder.with_writer(|written| assert_eq!(written, b"ab"));
    }
}
