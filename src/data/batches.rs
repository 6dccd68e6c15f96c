//! In which order an epoch visits the samples. Cutting the order into batches, and gathering their rows, is done where
//! the batches are used.

use crate::random::Random;

/// Set apart from the other uses of a training's seed (initial weights, dropout), which number their streams from 0.
const STREAM: u64 = 0x6570_6f63_6800_0000;

/// Fills `order` with the row of each sample in the order in which `epoch` (counted from 0) visits them: 0, 1, 2 … or,
/// shuffled, a permutation that depends on the seed, the epoch and the number of samples alone. The room that `order`
/// has is used again. There are at most `u32::MAX` samples, as in every [`Dataset`](super::Dataset).
pub(crate) fn fill_order(order: &mut Vec<u32>, samples: usize, seed: u64, epoch: u64, shuffle: bool) {
    order.clear();
    order.extend(0..samples as u32);
    if shuffle {
        Random::new(seed, STREAM.wrapping_add(epoch)).shuffle(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(samples: usize, seed: u64, epoch: u64) -> Vec<u32> {
        let mut order = Vec::new();
        fill_order(&mut order, samples, seed, epoch, true);
        order
    }

    #[test]
    fn without_shuffling_the_order_is_that_of_the_rows() {
        let mut order = vec![9; 3];
        fill_order(&mut order, 5, 1, 2, false);
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn every_epoch_has_a_permutation_of_its_own() {
        let (first, second) = (order(1000, 7, 0), order(1000, 7, 1));
        assert_ne!(first, second);
        assert_ne!(first, order(1000, 8, 0));
        assert_eq!(first, order(1000, 7, 0));
        let mut sorted = second;
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..1000));
    }

    #[test]
    fn refilling_does_not_allocate() {
        let mut order = order(1000, 7, 0);
        let (at, room) = (order.as_ptr(), order.capacity());
        fill_order(&mut order, 1000, 7, 1, true);
        fill_order(&mut order, 3, 7, 2, true);
        assert_eq!((order.as_ptr(), order.capacity()), (at, room));
        fill_order(&mut order, 0, 7, 3, true);
        assert!(order.is_empty());
    }
}
