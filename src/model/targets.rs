//! Whether targets suit the loss: which numbers each kind of loss takes, and what those hear who give others. That targets
//! are as wide as the outputs is checked in `binding.rs`.

use crate::data::{Dataset, TargetRows};
use crate::error::{Error, Result};
use crate::net::losses::{Loss, Wanted};

/// How far from 1 the shares of a row may add up to: shares are rounded, often to two places.
const SUM_TOLERANCE: f32 = 0.02;

/// What is wrong with a row: what was expected, and what was found.
type Wrong = (String, String);

/// Looks at every target, unless they are class ids, which suit every loss.
pub(crate) fn check(loss: Loss, data: &Dataset) -> Result<()> {
    let TargetRows::Rows { values, width } = data.targets() else { return Ok(()) };
    let found = values.chunks_exact(width).enumerate().find_map(|(row, targets)| Some((row, wrong(loss, targets)?)));
    let Some((row, (expected, found))) = found.or_else(|| mixed_signs(loss, values, width)) else { return Ok(()) };
    let advice = advice(loss, values, width);
    Err(Error::Target { loss: loss.to_string(), row, expected, found, advice })
}

/// The table: what a row of targets must be for each kind of loss.
fn wrong(loss: Loss, targets: &[f32]) -> Option<Wrong> {
    let outside = |expected: &str, fits: fn(f32) -> bool| {
        let found = targets.iter().find(|&&target| !fits(target))?;
        Some((expected.to_owned(), found.to_string()))
    };
    match loss.targets() {
        Wanted::Numbers => None,
        Wanted::NotNegative => outside("numbers that are not negative", |t| t >= 0.0),
        Wanted::Signs => outside("-1 and 1, or 0 and 1", |t| t == -1.0 || t == 0.0 || t == 1.0),
        Wanted::Probabilities => outside("numbers from 0 to 1", |t| (0.0..=1.0).contains(&t)),
        Wanted::Distribution => outside("shares from 0 to 1", |t| (0.0..=1.0).contains(&t)).or_else(|| {
            let sum: f32 = targets.iter().sum();
            let whole = (sum - 1.0).abs() <= SUM_TOLERANCE;
            (!whole).then(|| ("rows of shares that add up to 1".to_owned(), format!("a sum of {sum}")))
        }),
    }
}

/// The first row where one of two classes has another number than in the rows before: 0 where that was −1, or the reverse.
fn mixed_signs(loss: Loss, values: &[f32], width: usize) -> Option<(usize, Wrong)> {
    if loss.targets() != Wanted::Signs {
        return None;
    }
    let first = *values.iter().find(|&&target| target != 1.0)?;
    let at = values.iter().position(|&target| target != 1.0 && target != first)?;
    let found = format!("both {first} and {}", values[at]);
    Some((at / width, ("-1 and 1, or 0 and 1".to_owned(), found)))
}

/// What to write instead, by what all the targets are like.
fn advice(loss: Loss, values: &[f32], width: usize) -> String {
    let all = |numbers: &[f32]| values.iter().all(|value| numbers.contains(value));
    let (least, largest) = values.iter().fold((f32::MAX, f32::MIN), |(a, b), &value| (a.min(value), b.max(value)));
    let wanted = loss.targets();
    if all(&[-1.0, 1.0]) {
        return "labels of -1 and 1: map them to 0 and 1, or use hinge".into();
    }
    if all(&[1.0, 2.0]) {
        return "labels of 1 and 2: subtract 1".into();
    }
    if least >= 0.0 && largest == 255.0 && wanted != Wanted::Signs {
        return "numbers from 0 to 255: divide by 255".into();
    }
    if wanted == Wanted::Distribution && all(&[0.0, 1.0]) {
        return "if a sample may have several classes or none: sigmoid with binary_crossentropy".into();
    }
    match wanted {
        Wanted::Distribution if least >= 0.0 => "divide each row by its sum".into(),
        Wanted::Distribution | Wanted::Probabilities if width == 1 || least < 0.0 || largest > 1.0 => {
            "give class ids with Dataset::from_classes, or use mean_squared_error for numbers of any size".into()
        }
        Wanted::NotNegative => "use mean_squared_error for numbers that may be negative".into(),
        _ => "give each of two classes one number: 0 and 1".into(),
    }
}
