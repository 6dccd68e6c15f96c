//! The loss of a row by a formula of the user's: the mirror of `loss_custom.wgsl`.

use super::Row;
use crate::kernels::Real;
use crate::net::custom_loss::CustomLoss;

/// Rows up to this wide take no memory of their own.
const FEW: usize = 32;

pub(super) fn custom<F: Real>(loss: CustomLoss, row: Row<'_, F, impl Fn(usize) -> F>, gradient: &mut [F]) -> F {
    let Row { outputs, target, weight, count } = row;
    let columns = outputs.len();
    let (mut few, mut many) = ([0.0; 3 * FEW], Vec::new());
    let room = if columns <= FEW {
        &mut few[..3 * columns]
    } else {
        many.resize(3 * columns, 0.0);
        &mut many[..]
    };
    let (seen, rest) = room.split_at_mut(columns);
    let (targets, slopes) = rest.split_at_mut(columns);
    seen.iter_mut().zip(outputs).for_each(|(seen, output)| *seen = output.wide());
    targets.iter_mut().enumerate().for_each(|(column, seen)| *seen = target(column).wide());
    // `compile` has seen to it that there is one.
    let found = loss.formula.map_or(f64::NAN, |formula| formula(seen, targets, slopes));
    let share = weight / count;
    gradient.iter_mut().zip(slopes).for_each(|(slope, made)| *slope = share * F::near(*made));
    weight * F::near(found)
}
