//! A data set's rows in the layout that `gather_batch` reads: bytes packed four a word, floats, targets as words, each
//! row padded to four features.

use crate::data::{Dataset, InputRows, TargetRows};
use crate::kernels::{blocks, padded};

/// Words that one sample takes on a device.
pub(crate) fn sample_words(data: &Dataset) -> usize {
    match data.inputs() {
        InputRows::Bytes { .. } => blocks(data.features()),
        InputRows::Floats(_) => padded(data.features()),
    }
}

/// Words that one sample's targets take.
pub(crate) fn target_words(data: &Dataset) -> usize {
    match data.targets() {
        TargetRows::Classes { .. } => 1,
        TargetRows::Rows { width, .. } => width,
    }
}

/// Writes one sample at the start of `words`.
pub(crate) fn pack_sample(data: &Dataset, sample: usize, words: &mut [u32]) {
    let features = data.features();
    let range = sample * features..(sample + 1) * features;
    match data.inputs() {
        InputRows::Bytes { values, .. } => {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
            bytes[..features].copy_from_slice(&values[range]);
            bytes[features..].fill(0);
        }
        InputRows::Floats(values) => {
            words[..features].copy_from_slice(bytemuck::cast_slice(&values[range]));
            words[features..].fill(0);
        }
    }
}

/// Writes one sample's targets at the start of `words`.
pub(crate) fn pack_target(data: &Dataset, sample: usize, words: &mut [u32]) {
    match data.targets() {
        TargetRows::Classes { ids, .. } => words[0] = ids[sample],
        TargetRows::Rows { values, width } => {
            words.copy_from_slice(bytemuck::cast_slice(&values[sample * width..(sample + 1) * width]));
        }
    }
}

/// The samples of the whole set as words, without a copy where the bytes already lie as the device wants them.
pub(crate) fn borrowed_samples(data: &Dataset) -> Option<&[u32]> {
    if !data.features().is_multiple_of(4) {
        return None;
    }
    match data.inputs() {
        InputRows::Bytes { values, .. } => bytemuck::try_cast_slice(values).ok(),
        InputRows::Floats(values) => Some(bytemuck::cast_slice(values)),
    }
}

/// The targets of the whole set as words.
pub(crate) fn borrowed_targets(data: &Dataset) -> &[u32] {
    match data.targets() {
        TargetRows::Classes { ids, .. } => ids,
        TargetRows::Rows { values, .. } => bytemuck::cast_slice(values),
    }
}
