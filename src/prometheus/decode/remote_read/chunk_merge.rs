//! Merges the chunks of a series in the order of time while they arrive.
//!
//! Chunks extend beyond the range, overlap and repeat each other. They arrive in the order of their first samples. So when a chunk
//! arrives, everything before its first sample is final and is passed on, and only the rest is held back. Knows neither the format
//! of a chunk nor the meaning of its values.

use crate::model::sample::Sample;
use crate::model::time::TimeRange;

/// The most chunks that may overlap at one instant, more than any server has replicas of a series. A chunk has at most 65,535
/// samples, which take 1 MiB, and nearly always 120. Including the merged samples, this takes 64 MiB at worst.
const MAX_OVERLAPPING: usize = 32;

/// The chunks cannot be merged while they arrive: one has a sample before the last one that was passed on, or too many overlap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsorted;

/// Merges the chunks of one series after the other.
pub(super) struct ChunkMerge {
    range: TimeRange,
    /// What is held back of each chunk, in the order of arrival.
    held: Vec<HeldChunk>,
    /// The time of the series' last sample that was passed on.
    handed_on_to: Option<i64>,
    /// Memory for reuse.
    merged: Vec<Sample>,
    spare: Vec<Vec<Sample>>,
}

/// The samples of a chunk that are not passed on yet: those from `start` to `end`, at least one.
struct HeldChunk {
    samples: Vec<Sample>,
    start: usize,
    end: usize,
}

impl HeldChunk {
    fn samples(&self) -> &[Sample] {
        &self.samples[self.start..self.end]
    }

    fn next(&self) -> Sample {
        self.samples[self.start]
    }
}

impl ChunkMerge {
    /// Merges the samples in this range.
    pub(super) fn new(range: TimeRange) -> ChunkMerge {
        ChunkMerge { range, held: Vec::new(), handed_on_to: None, merged: Vec::new(), spare: Vec::new() }
    }

    /// Begins a series. Nothing of the previous one may be held back.
    pub(super) fn begin(&mut self) {
        self.handed_on_to = None;
    }

    /// An empty list for the samples of the next chunk.
    pub(super) fn room(&mut self) -> Vec<Sample> {
        self.spare.pop().unwrap_or_default()
    }

    /// Adds a chunk, whose samples must be in the order of time, and passes on what is before it.
    ///
    /// # Errors
    /// Fails with [`Unsorted`], or with the error of `hand_on`.
    pub(super) fn add<E: From<Unsorted>>(
        &mut self,
        samples: Vec<Sample>,
        hand_on: impl FnMut(&[Sample]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(first) = samples.first() {
            // The first sample of the whole chunk, because cutting chunks to the range may change their order.
            self.hand_on_before(Some(first.at), hand_on)?;
        }
        let start = samples.partition_point(|sample| sample.at < self.range.start);
        let end = samples.partition_point(|sample| sample.at <= self.range.end);
        if start >= end {
            self.recycle(samples);
            return Ok(());
        }
        if self.handed_on_to.is_some_and(|last| samples[start].at <= last) || self.held.len() == MAX_OVERLAPPING {
            return Err(Unsorted.into());
        }
        self.held.push(HeldChunk { samples, start, end });
        Ok(())
    }

    /// Passes on everything. The next chunk must begin later.
    pub(super) fn finish<E>(&mut self, hand_on: impl FnMut(&[Sample]) -> Result<(), E>) -> Result<(), E> {
        self.hand_on_before(None, hand_on)
    }

    /// Passes on the samples before a time, or all of them.
    fn hand_on_before<E>(
        &mut self,
        time_ms: Option<i64>,
        mut hand_on: impl FnMut(&[Sample]) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_before = |sample: &Sample| time_ms.is_none_or(|time_ms| sample.at < time_ms);
        if self.held.len() > 1 {
            self.merge_while(is_before);
            if let Some(last) = self.merged.last() {
                self.handed_on_to = Some(last.at);
                hand_on(&self.merged)?;
            }
        }
        // A single chunk is not copied.
        if let [only] = self.held.as_mut_slice() {
            let ready = only.samples().partition_point(is_before);
            if let Some(last) = only.samples()[..ready].last() {
                self.handed_on_to = Some(last.at);
                hand_on(&only.samples()[..ready])?;
                only.start += ready;
                self.drop_exhausted();
            }
        }
        Ok(())
    }

    /// Moves samples from several chunks to `merged`. Of several samples at one time, the one of the chunk that arrived first.
    fn merge_while(&mut self, is_ready: impl Fn(&Sample) -> bool) {
        self.merged.clear();
        while self.held.len() > 1 {
            // `min_by_key` returns the first of the smallest.
            let Some(next) = self.held.iter().map(HeldChunk::next).min_by_key(|next| next.at).filter(&is_ready) else {
                return;
            };
            self.merged.push(next);
            for rest in &mut self.held {
                rest.start += usize::from(rest.next().at == next.at);
            }
            self.drop_exhausted();
        }
    }

    fn drop_exhausted(&mut self) {
        while let Some(nth) = self.held.iter().position(|rest| rest.start == rest.end) {
            let rest = self.held.remove(nth);
            self.recycle(rest.samples);
        }
    }

    fn recycle(&mut self, mut samples: Vec<Sample>) {
        samples.clear();
        self.spare.push(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: TimeRange = TimeRange { start: 100, end: 200 };

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    /// What is passed on with each chunk, and at the end.
    fn handed_on(chunks: &[&[(i64, f64)]]) -> Result<Vec<Vec<(i64, f64)>>, Unsorted> {
        let mut merge = ChunkMerge::new(RANGE);
        let mut all = Vec::new();
        let mut hand_on = |samples: &[Sample]| {
            assert!(!samples.is_empty());
            all.push(samples.iter().map(|sample| (sample.at, sample.value)).collect());
            Ok::<(), Unsorted>(())
        };
        for chunk in chunks {
            let mut room = merge.room();
            assert!(room.is_empty());
            room.extend(samples(chunk));
            merge.add(room, &mut hand_on)?;
        }
        merge.finish(&mut hand_on)?;
        assert!(merge.held.is_empty());
        Ok(all)
    }

    fn check(chunks: &[&[(i64, f64)]], expected: &[&[(i64, f64)]]) {
        assert_eq!(handed_on(chunks).unwrap(), expected, "{chunks:?}");
    }

    #[test]
    fn consecutive_chunks_are_passed_on_unchanged() {
        let (one, two, three) = ([(100, 1.0), (110, 2.0)], [(111, 3.0)], [(150, 4.0), (200, 5.0)]);
        check(&[&one, &two, &three], &[&one, &two, &three]);
        check(&[], &[]);
        check(&[&[]], &[]);
    }

    #[test]
    fn samples_outside_the_range_are_cut() {
        check(&[&[(98, 1.0), (99, 2.0), (100, 3.0)], &[(200, 4.0), (201, 5.0)]], &[&[(100, 3.0)], &[(200, 4.0)]]);
        check(&[&[(1, 1.0), (300, 2.0)]], &[]);
        check(&[&[(1, 1.0), (99, 2.0)], &[(150, 3.0)], &[(201, 4.0)]], &[&[(150, 3.0)]]);
    }

    #[test]
    fn overlapping_chunks_are_merged_and_the_first_of_equal_times_counts() {
        let one = [(100, 1.0), (120, 1.0), (140, 1.0)];
        check(&[&one, &one], &[&one]);
        check(&[&one, &[(140, 2.0), (160, 2.0)]], &[&one[..2], &[(140, 1.0)], &[(160, 2.0)]]);
        check(
            &[&one, &[(110, 2.0), (120, 2.0), (130, 2.0)], &[(120, 3.0), (150, 3.0)]],
            &[&[(100, 1.0)], &[(110, 2.0)], &[(120, 1.0), (130, 2.0), (140, 1.0)], &[(150, 3.0)]],
        );
        // One chunk inside another, and the long one continues.
        check(
            &[&[(100, 1.0), (190, 1.0)], &[(110, 2.0), (120, 2.0)]],
            &[&[(100, 1.0)], &[(110, 2.0), (120, 2.0)], &[(190, 1.0)]],
        );
    }

    #[test]
    fn the_order_of_chunks_is_that_of_their_first_samples_also_before_the_range() {
        check(
            &[&[(1, 1.0), (110, 1.0)], &[(2, 2.0), (150, 2.0)], &[(3, 3.0), (105, 3.0)]],
            &[&[(105, 3.0), (110, 1.0)], &[(150, 2.0)]],
        );
    }

    #[test]
    fn a_chunk_before_a_sample_that_was_passed_on_is_unsorted() {
        let unsorted = |chunks: &[&[(i64, f64)]]| assert_eq!(handed_on(chunks), Err(Unsorted), "{chunks:?}");
        unsorted(&[&[(150, 1.0)], &[(160, 2.0)], &[(140, 3.0)]]);
        unsorted(&[&[(150, 1.0)], &[(160, 2.0)], &[(150, 3.0)]]);
        unsorted(&[&[(110, 1.0), (150, 1.0)], &[(130, 2.0)], &[(105, 3.0), (170, 3.0)]]);
        // Nothing after these was passed on.
        check(&[&[(150, 1.0)], &[(140, 2.0)]], &[&[(140, 2.0)][..], &[(150, 1.0)]]);
        check(&[&[(150, 1.0)], &[(160, 2.0)], &[(151, 3.0)]], &[&[(150, 1.0)], &[(151, 3.0)], &[(160, 2.0)]]);
        check(&[&[(150, 1.0)], &[(160, 2.0)], &[(50, 3.0)]], &[&[(150, 1.0)], &[(160, 2.0)]]);
    }

    #[test]
    fn a_series_continues_later_in_the_next_message() {
        let mut merge = ChunkMerge::new(RANGE);
        let hand_on = |_: &[Sample]| Ok::<(), Unsorted>(());
        merge.add(samples(&[(100, 1.0), (150, 1.0)]), hand_on).unwrap();
        merge.finish(hand_on).unwrap();
        assert_eq!(merge.add(samples(&[(150, 2.0), (160, 2.0)]), hand_on), Err(Unsorted));
        merge.add(samples(&[(151, 2.0)]), hand_on).unwrap();
        merge.finish(hand_on).unwrap();
        merge.begin();
        merge.add(samples(&[(100, 3.0)]), hand_on).unwrap();
    }

    #[test]
    fn the_number_of_overlapping_chunks_is_bounded() {
        let replica = [(100, 1.0), (150, 1.0)];
        let replicas = vec![&replica[..]; MAX_OVERLAPPING];
        check(&replicas, &[&replica]);
        assert_eq!(handed_on(&[replicas, vec![&replica]].concat()), Err(Unsorted));
        // They count only while they overlap.
        let chain: Vec<_> = (100..200).map(|at| vec![(at, 0.0), (at + 2, 1.0)]).collect();
        let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
        assert_eq!(handed_on(&chain).unwrap().concat().len(), 101);
    }

    #[test]
    fn a_failure_of_the_receiver_ends_the_merge() {
        #[derive(Debug, PartialEq)]
        struct Enough;
        impl From<Unsorted> for Enough {
            fn from(_: Unsorted) -> Enough {
                Enough
            }
        }
        let mut merge = ChunkMerge::new(RANGE);
        merge.add(samples(&[(100, 1.0)]), |_| Err(Enough)).unwrap();
        assert_eq!(merge.add(samples(&[(110, 1.0)]), |_| Err(Enough)), Err(Enough));
    }
}
