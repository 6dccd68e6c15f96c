//! The schedules that the three matrix products are run with, and the shapes.

use wgrad::kernels::product::cooperative::Cooperative;
use wgrad::kernels::product::{CANDIDATES, SUBGROUP, Schedule};
use wgrad::kernels::shares::Shares;
use wgrad::{CooperativeMatrix, Device};

use super::{Case, Trials};
use crate::gpus;

const fn direct(rows: usize, columns: usize, workgroup: usize) -> Schedule {
    Schedule::Direct { rows, columns, workgroup }
}

const fn staged(group: [usize; 2], tile: [usize; 2], depth: usize, splits: usize) -> Schedule {
    Schedule::Staged { group_rows: group[0], group_columns: group[1], rows: tile[0], columns: tile[1], depth, splits }
}

/// Every schedule, with tiles that divide the shapes below and tiles that do not.
const SCHEDULES: [(&str, Schedule); 12] = [
    ("direct_1x1", direct(1, 1, 64)),
    ("direct_2x1", direct(2, 1, 32)),
    ("direct_1x2", direct(1, 2, 32)),
    ("direct_2x2", direct(2, 2, 32)),
    ("direct_2x3", direct(2, 3, 8)),
    ("staged_8x8", staged([8, 8], [2, 2], 4, 1)),
    ("staged_4x2", staged([4, 2], [1, 2], 3, 1)),
    ("split_4x32", Schedule::Split { blocks: 4, splits: 32 }),
    ("split_8x16", Schedule::Split { blocks: 8, splits: 16 }),
    ("subgroup_4", Schedule::Subgroup { rows: 4, workgroup: 32 }),
    ("subgroup_8", Schedule::Subgroup { rows: 8, workgroup: 32 }),
    ("staged_2x4_split", staged([2, 4], [2, 1], 3, 4)),
];

/// Schedules that need more than 65,535 workgroups for a batch of 65,537 rows and 65 columns: the grid is folded.
const FOLDED: [(&str, Schedule); 3] = [
    ("direct_1x1", direct(1, 1, 4)),
    ("staged_2x2", staged([2, 2], [1, 1], 1, 1)),
    ("split_4x4", Schedule::Split { blocks: 4, splits: 4 }),
];

/// Features in and out of a layer: every remainder of four, one less and one more than the edges of the direct tiles (4 and
/// 8 numbers), the small staged tile (16) and the large one (64), one output, ten, and MNIST's two layers in narrow.
/// Each pair is a shader to compile for each schedule, which is most of the time that these tests take.
pub const SHAPES: [(usize, usize); 13] = [
    (1, 1),
    (1, 10),
    (3, 2),
    (4, 5),
    (7, 8),
    (9, 4),
    (17, 15),
    (31, 1),
    (33, 10),
    (63, 31),
    (64, 65),
    (127, 64),
    (784, 10),
];

/// Ways of sharing out memory on the CPU device.
const SHARES: [Shares; 4] = [
    Shares { kernel: 2, input: 1 },
    Shares { kernel: 2, input: 2 },
    Shares { kernel: 3, input: 3 },
    Shares { kernel: 4, input: 1 },
];

/// Shapes for half precision, whose storage no loop depends on: both remainders of a pair, and tiles with an edge.
pub const HALF_SHAPES: [(usize, usize); 4] = [(1, 1), (7, 10), (33, 66), (130, 31)];

/// Features in and out for what only tuning chooses: on both sides of the edges of all tiles up to 128 numbers, together
/// with the batches of up to 129 rows.
pub const TUNED_SHAPES: [(usize, usize); 2] = [(31, 130), (129, 66)];

/// Adds a case on the CPU device, which has one schedule of its own, and on the GPU with every schedule.
pub fn add<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &SCHEDULES, body);
}

/// [`add`] with one schedule of each kind: for what stands in the operation's own file and not in the loops.
pub fn add_briefly<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &[SCHEDULES[0], SCHEDULES[6], SCHEDULES[8], SCHEDULES[10], SCHEDULES[11]], body);
}

/// Cases on the CPU device with every way of sharing out memory.
pub fn add_shared<B>(trials: &mut Trials, body: B)
where
    B: Fn(&Device, Schedule, Shares) -> Result<(), String> + Clone + Send + 'static,
{
    for shares in SHARES {
        let body = body.clone();
        let name = format!("shares_{}_{}", shares.kernel, shares.input);
        trials.on_cpu(&name, move |device| body(device, direct(1, 1, 64), shares));
    }
}

/// What the schedules for matrix units are called, in the order of [`Cooperative::candidates`].
const COOPERATIVE: [&str; 5] = ["32x32", "64x64", "64x128", "128x64", "128x128"];

/// Subgroups and tiles that are not square, and a slice that divides nothing.
fn odd(matrix: CooperativeMatrix) -> Schedule {
    Schedule::Cooperative(Cooperative { matrix, group: [1, 2], tile: [2, 1], depth: 3 })
}

/// Cases in half precision with one schedule of each kind.
pub fn add_half<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    for (name, schedule) in [SCHEDULES[3], SCHEDULES[5], SCHEDULES[7], SCHEDULES[9], SCHEDULES[10], SCHEDULES[11]] {
        let body = body.clone();
        trials.in_half(&format!("{case}::{name}"), move |device| match schedule {
            // Without such subgroups the schedule is tried nowhere, in single precision neither.
            Schedule::Subgroup { .. } if device.info().subgroup_size != Some(SUBGROUP) => Ok(()),
            _ => body(device, schedule),
        });
    }
    let on_units = body.clone();
    trials.on_matrix_units(&format!("{case}::cooperative_odd"), move |device, matrix| on_units(device, odd(matrix)));
    add_cooperative(trials, case, 1, body);
}

/// [`add_half`] with every schedule for matrix units.
pub fn add_half_tuned<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    for index in 0..COOPERATIVE.len() {
        add_cooperative(trials, case, index, body.clone());
    }
}

fn add_cooperative<B>(trials: &mut Trials, case: &str, index: usize, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Send + 'static,
{
    trials.on_matrix_units(&format!("{case}::cooperative_{}", COOPERATIVE[index]), move |device, matrix| {
        body(device, Schedule::Cooperative(Cooperative::candidates(matrix)[index]))
    });
}

/// [`add`] for a batch of so many rows that the grid must be folded.
pub fn add_folded<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &FOLDED, body);
}

/// [`add`] for a sum of tens of thousands of terms. llvmpipe ends all loops of an invocation together after 65,535
/// iterations, without a word. The staged schedule takes more for such a sum (one for each k), so no plan uses it on a
/// software driver, and its trials are for hardware.
pub fn add_long<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    let (staged, others): (Vec<_>, Vec<_>) =
        SCHEDULES.iter().copied().partition(|(_, schedule)| matches!(schedule, Schedule::Staged { .. }));
    add_with(trials, case, &others, body.clone());
    for (name, schedule) in staged {
        let body = body.clone();
        trials.on_hardware(&format!("{case}::{name}"), move |device| body(device, schedule));
    }
}

/// [`add`] with the schedules that tuning may choose beyond those.
pub fn add_tuned<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    let tested = |schedule| SCHEDULES.iter().any(|&(_, tested)| tested == schedule);
    for schedule in CANDIDATES.into_iter().filter(|&schedule| !tested(schedule)) {
        add_on_gpu(trials, &format!("{case}::{}", slug(schedule)), schedule, body.clone());
    }
}

/// A trial that all schedules which do not split sums give the same bits, since their order is that of k, with checks of
/// indexes and without.
pub fn add_same_bits(trials: &mut Trials, case: impl Fn(Schedule) -> Case + Send + 'static) {
    trials.on_gpu("same_bits", move |device| {
        let subgroups = device.info().subgroup_size == Some(SUBGROUP);
        let whole_sums = CANDIDATES.into_iter().filter(|schedule| match schedule {
            Schedule::Direct { .. } => true,
            Schedule::Staged { splits, .. } => *splits == 1,
            Schedule::Subgroup { .. } => subgroups,
            Schedule::Split { .. } | Schedule::Cooperative(_) => false,
        });
        let [_, expected] = case(direct(1, 1, 64)).launched(device)?;
        let unchecked = gpus::unchecked_gpu().ok_or("the GPU is gone")?;
        for schedule in whole_sums {
            for device in [device, &unchecked] {
                let [_, found] = case(schedule).launched(device)?;
                if found != expected {
                    return Err(format!("{schedule} gives other bits than {} on {}", direct(1, 1, 64), device.info()));
                }
            }
        }
        Ok(())
    });
}

/// A schedule's description as a trial's name: `staged_64x64_16_deep_by_8x8`.
fn slug(schedule: Schedule) -> String {
    schedule.to_string().replace(" × ", "x").replace(", ", "_").replace(' ', "_")
}

fn add_with<B>(trials: &mut Trials, case: &str, schedules: &[(&str, Schedule)], body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    let on_cpu = body.clone();
    trials.on_cpu(case, move |device| on_cpu(device, direct(1, 1, 64)));
    for &(name, schedule) in schedules {
        add_on_gpu(trials, &format!("{case}::{name}"), schedule, body.clone());
    }
}

fn add_on_gpu<B>(trials: &mut Trials, name: &str, schedule: Schedule, body: B)
where
    B: Fn(&Device, Schedule) -> Result<(), String> + Clone + Send + 'static,
{
    let run = move |device: &Device| body(device, schedule);
    match schedule {
        Schedule::Subgroup { .. } => trials.on_subgroups(name, SUBGROUP, run),
        _ => trials.on_gpu(name, run),
    }
}
