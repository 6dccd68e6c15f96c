//! Whether inputs look like the bytes of images that nobody has scaled: the classic cause of a loss that jumps or is NaN.

use super::{Dataset, InputRows};

/// Numbers that are looked at.
const LOOKED_AT: usize = 1 << 16;

/// Counts and ratings are below this, images are not.
const LARGE: f32 = 100.0;

/// What is to be said of such inputs.
pub(crate) fn unscaled(data: &Dataset) -> Option<String> {
    let looks_so = match data.inputs() {
        InputRows::Bytes { scale, .. } => 255.0 * scale.abs() >= LARGE,
        InputRows::Floats(values) => {
            let seen = &values[..values.len().min(LOOKED_AT)];
            seen.iter().all(|value| (0.0..=255.0).contains(value) && value.fract() == 0.0)
                && seen.iter().any(|value| *value >= LARGE)
        }
    };
    looks_so.then(|| {
        "inputs: they look like unscaled bytes, whole numbers from 0 to 255, which most nets learn badly from: divide \
         them by 255, give them as Inputs::Bytes with a scale of 1 / 255, or begin the net with Rescaling::new(1.0 / 255.0)"
            .to_owned()
    })
}
