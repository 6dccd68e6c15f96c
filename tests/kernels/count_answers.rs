//! count_answers: tables of counts.
//!
//! Counts are exact. The tables start from numbers of their own, as in the middle of a pass.

use wgrad::kernels::count_answers::{BUCKETS, CountAnswers, Tables};
use wgrad::kernels::padded;
use wgrad::kernels::targets::TargetLayout;

use crate::harness::losses::{KINDS, LossCase, Targets};
use crate::harness::{Array, COLUMNS, Case, Output, Trials, batches, step_of};

pub fn cases(trials: &mut Trials) {
    for (name, kinds) in KINDS {
        let each = move |check: &dyn Fn(Targets) -> Result<(), String>| kinds.iter().try_for_each(|&kind| check(kind));
        trials.add(&format!("all_{name}"), move |device| {
            each(&|targets| {
                let sizes = COLUMNS.into_iter().flat_map(|columns| batches().map(move |size| (columns, size)));
                // Every width with some batches, and every batch with some widths.
                let some = sizes.enumerate().filter(|(index, _)| index % 7 == 0);
                some.map(|(_, (columns, size))| counted(columns, size, targets, all(columns))).try_for_each(|case| {
                    case.check(device)
                })
            })
        });
        trials.add(&format!("alone_{name}"), move |device| {
            each(&|targets| {
                let sizes = [1, 5, 40].into_iter().flat_map(|columns| each_alone(columns).map(move |one| (columns, one)));
                sizes.map(|(columns, one)| counted(columns, (7, 9), targets, one)).into_iter().try_for_each(|case| {
                    case.check(device)
                })
            })
        });
    }
    trials.add("on_the_edges_of_buckets", |device| edges().check(device));
    trials.add("ties_and_infinities", |device| {
        [5, 40].iter().try_for_each(|&columns| {
            let mut case = LossCase::new(columns, (6, 6), Targets::Ids, (0.0, 0.0));
            let stride = padded(columns);
            for row in 0..6 {
                case.labels.words[2 * row] = row as u32 % 3;
                (0..columns).for_each(|column| case.z.set(row * stride + column, 0.25));
            }
            case.z.set(2, f32::INFINITY);
            case.z.set(stride + 1, f32::INFINITY);
            case.z.set(2 * stride + 2, f32::NEG_INFINITY);
            finish(case, all(columns)).check(device)
        })
    });
    // A row beyond the batch must not be counted, whatever stands there.
    trials.add("no_rows", |device| {
        let mut case = counted(5, (3, 9), Targets::Ids, all(5));
        case.step.rows = 0;
        case.check(device)
    });
}

fn all(columns: usize) -> Tables {
    Tables { ranks: columns.min(3), classes: true, matrix: true, thresholds: vec![0.5, -1.25, 1.0], curve: true }
}

fn each_alone(columns: usize) -> impl Iterator<Item = Tables> {
    let Tables { ranks, thresholds, .. } = all(columns);
    let none = Tables::default;
    [
        Tables { ranks, ..none() },
        Tables { classes: true, ..none() },
        Tables { matrix: true, ..none() },
        Tables { thresholds, ..none() },
        Tables { curve: true, ..none() },
    ]
    .into_iter()
}

fn counted(columns: usize, size: (usize, usize), targets: Targets, tables: Tables) -> Case {
    finish(LossCase::new(columns, size, targets, (0.0, 0.0)), tables)
}

fn finish(case: LossCase, tables: Tables) -> Case {
    let words = tables.words(case.layout.columns);
    let before = (0..words as u32).map(|at| at.wrapping_mul(2_654_435_761) % 1000).collect();
    Case {
        kernel: CountAnswers { targets: case.layout, tables, threshold: 0.25 }.into(),
        step: step_of(case.rows),
        capacity: case.capacity,
        inputs: vec![case.z, case.labels],
        outputs: vec![Output::list(words, words, words).from(before)],
    }
}

/// Outputs on every threshold of the curve and on both sides of it, and beyond its ends.
fn edges() -> Case {
    let mut outputs: Vec<f32> = vec![-1.0, -0.0, 0.0, 1.5, f32::MIN_POSITIVE, f32::INFINITY];
    for edge in 0..=BUCKETS {
        let edge = edge as f32 / BUCKETS as f32;
        outputs.extend([edge.next_down(), edge, edge.next_up()]);
    }
    let (rows, columns) = (outputs.len(), 1);
    let z = Array::matrix(rows, columns, rows, |row, _| outputs[row]);
    let labels = (0..2 * padded(rows) as u32).map(|at| if at % 2 == 0 { at / 2 % 2 } else { 1.0_f32.to_bits() });
    let layout = TargetLayout { ids: true, columns, smoothing: 0.0, smoothing_share: 0.0 };
    let labels = Array::words(labels.collect());
    finish(LossCase { layout, rows, capacity: rows, z, labels, gradient: false }, all(columns))
}
