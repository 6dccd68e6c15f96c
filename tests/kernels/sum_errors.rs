//! sum_errors: sums of errors over a batch, in groups of columns.
//!
//! Bounds, for n elements of a group, with e = y − t off by one unit of its size:
//! - Σ|e|: sum_error(n) of it; Σe²: sum_error(n) and two units more.
//! - the mean: sum_error(n) of the mean of |t|.
//! - Σ(t − m)² about a mean m that is off by δ: sum_error(n) and two units of it, 2·δ·Σ|t − m| for the cross term (whose
//!   signs cancel but for rounding), and n·δ².

use wgrad::kernels::padded;
use wgrad::kernels::sum_errors::{SUMS, SumErrors};

use crate::harness::losses::{KINDS, LossCase, Targets};
use crate::harness::{COLUMNS, Case, Output, Trials, UNIT, batches, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for (name, kinds) in KINDS {
        trials.add(&format!("batches_{name}"), move |device| {
            kinds.iter().try_for_each(|&targets| {
                let sizes = COLUMNS.into_iter().flat_map(|columns| batches().map(move |size| (columns, size)));
                // Every width with some batches, and every batch with some widths.
                sizes.enumerate().filter(|(index, _)| index % 7 == 0).try_for_each(|(index, (columns, size))| {
                    // Single columns, all together, and in between.
                    let groups = [columns, 1, columns.min(4)][index % 3];
                    summed(LossCase::new(columns, size, targets, (0.0, 0.0)), groups).check(device)
                })
            })
        });
    }
    trials.add("more_rows_than_invocations", |device| {
        [255, 256, 257, 1024].iter().try_for_each(|&rows| {
            summed(LossCase::new(3, (rows, rows), Targets::Soft, (0.0, 0.0)), 3).check(device)
        })
    });
    trials.add("targets_far_from_zero", |device| {
        let mut case = LossCase::new(2, (129, 129), Targets::Soft, (0.0, 0.0));
        // The years of a century.
        for row in 0..129 {
            (0..2).for_each(|column| case.labels.set(3 * row + column, 1900.0 + (row * 7 % 100) as f32));
            (0..2).for_each(|column| case.z.set(4 * row + column, 1950.0));
        }
        summed(case, 2).check(device)
    });
    trials.add("nan", |device| {
        let mut case = LossCase::new(5, (5, 5), Targets::Soft, (0.0, 0.0));
        case.z.set(2 * padded(5) + 3, f32::NAN);
        summed(case, 5).check(device)
    });
}

fn summed(case: LossCase, groups: usize) -> Case {
    let (step, slots) = (step_of(case.rows), 7);
    let words = SumErrors::slot(groups);
    let slot = step.slot as usize % slots * words;
    let bounds: Vec<_> = (0..groups).flat_map(|group| bounds(&case, group, groups)).collect();
    let first = slot + words - SUMS * groups;
    let statistics = Output::list(0, 0, first)
        .then(first, Output::list(SUMS * groups, SUMS * groups, slots * words - first))
        .within(move |at, _| bounds[at - first]);
    Case {
        kernel: SumErrors { targets: case.layout, groups, slots }.into(),
        step,
        capacity: case.capacity,
        inputs: vec![case.z, case.labels],
        outputs: vec![statistics],
    }
}

fn bounds(case: &LossCase, group: usize, groups: usize) -> [f64; SUMS] {
    let elements = || (group..case.layout.columns).step_by(groups).flat_map(|c| (0..case.rows).map(move |row| (row, c)));
    let target = |row, column| case.layout.raw::<f64>(&case.labels.words, row, column);
    let n = elements().count();
    let (mut absolute, mut squares, mut sum, mut sizes) = (0.0, 0.0, 0.0, 0.0);
    for (row, column) in elements() {
        let (y, t) = (case.row(row).nth(column).unwrap(), target(row, column));
        absolute += (y - t).abs();
        squares += (y - t).powi(2);
        sum += t;
        sizes += t.abs();
    }
    let (rows, error) = (case.rows as f64, sum_error(n));
    let mean = sum / rows;
    let (mut apart, mut spread) = (0.0, 0.0);
    for (row, column) in elements() {
        apart += (target(row, column) - mean).abs();
        spread += (target(row, column) - mean).powi(2);
    }
    let off = error * sizes / rows;
    let spread = (error + 2.0 * UNIT) * spread + 2.0 * off * apart + n as f64 * off * off;
    [error * absolute, (error + 2.0 * UNIT) * squares, off, spread]
}
