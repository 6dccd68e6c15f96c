//! The tilings that the three matrix products are run with, and the shapes.

use wgrad::kernels::product::cooperative::Cooperative;
use wgrad::kernels::product::{CANDIDATES, SUBGROUP, Tiling};
use wgrad::kernels::shares::Shares;
use wgrad::{CooperativeMatrix, Device};

use super::{Case, Trials};
use crate::gpus;

const fn direct(rows: usize, columns: usize, workgroup: usize) -> Tiling {
    Tiling::Direct { rows, columns, workgroup }
}

const fn staged(group: [usize; 2], tile: [usize; 2], depth: usize, splits: usize) -> Tiling {
    Tiling::Staged { group_rows: group[0], group_columns: group[1], rows: tile[0], columns: tile[1], depth, splits }
}

/// Every tiling, with tiles that divide the shapes below and tiles that do not.
const TILINGS: [(&str, Tiling); 12] = [
    ("direct_1x1", direct(1, 1, 64)),
    ("direct_2x1", direct(2, 1, 32)),
    ("direct_1x2", direct(1, 2, 32)),
    ("direct_2x2", direct(2, 2, 32)),
    ("direct_2x3", direct(2, 3, 8)),
    ("staged_8x8", staged([8, 8], [2, 2], 4, 1)),
    ("staged_4x2", staged([4, 2], [1, 2], 3, 1)),
    ("split_4x32", Tiling::Split { blocks: 4, splits: 32 }),
    ("split_8x16", Tiling::Split { blocks: 8, splits: 16 }),
    ("subgroup_4", Tiling::Subgroup { rows: 4, workgroup: 32 }),
    ("subgroup_8", Tiling::Subgroup { rows: 8, workgroup: 32 }),
    ("staged_2x4_split", staged([2, 4], [2, 1], 3, 4)),
];

/// Tilings that need more than 65,535 workgroups for a batch of 65,537 rows and 65 columns: the grid is folded.
const FOLDED: [(&str, Tiling); 3] = [
    ("direct_1x1", direct(1, 1, 4)),
    ("staged_2x2", staged([2, 2], [1, 1], 1, 1)),
    ("split_4x4", Tiling::Split { blocks: 4, splits: 4 }),
];

/// Features in and out of a layer: every remainder of four, one less and one more than the edges of the direct tiles (4 and
/// 8 numbers), the small staged tile (16) and the large one (64), one output, ten, and MNIST's two layers in narrow.
/// Each pair is a shader to compile for each tiling, which is most of the time that these tests take.
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

/// Adds a case on the CPU device, which has one tiling of its own, and on the GPU with every tiling.
pub fn add<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &TILINGS, body);
}

/// [`add`] with every other tiling, which ones depending on `turn`: for an operation whose loops another one has too. Each
/// tiling has half of the shapes, and each shape half of the tilings.
pub fn add_every_other<B>(trials: &mut Trials, case: &str, turn: usize, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let tilings: Vec<_> = TILINGS.iter().copied().skip(turn % 2).step_by(2).collect();
    add_with(trials, case, &tilings, body);
}

/// One tiling of each kind.
const KINDS: [(&str, Tiling); 5] = [TILINGS[0], TILINGS[6], TILINGS[8], TILINGS[10], TILINGS[11]];

/// [`add`] with one tiling of each kind: for what follows the loops, in whatever tiling has made the sums.
pub fn add_briefly<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &KINDS, body);
}

/// [`add`] with tilings of two kinds, which ones depending on `turn`: for an option of what follows the loops. An option
/// meets two kinds, and each kind two options of five.
pub fn add_in_turn<B>(trials: &mut Trials, case: &str, turn: usize, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &[KINDS[turn % KINDS.len()], KINDS[(turn + 2) % KINDS.len()]], body);
}

/// Cases on the CPU device with every way of sharing out memory.
pub fn add_shared<B>(trials: &mut Trials, body: B)
where
    B: Fn(&Device, Tiling, Shares) -> Result<(), String> + Clone + Send + 'static,
{
    for shares in SHARES {
        let body = body.clone();
        let name = format!("shares_{}_{}", shares.kernel, shares.input);
        trials.on_cpu(&name, move |device| body(device, direct(1, 1, 64), shares));
    }
}

/// What the tilings for matrix units are called, in the order of [`Cooperative::candidates`].
const COOPERATIVE: [&str; 5] = ["32x32", "64x64", "64x128", "128x64", "128x128"];

/// Subgroups and tiles that are not square, and a slice that divides nothing.
fn odd(matrix: CooperativeMatrix) -> Tiling {
    Tiling::Cooperative(Cooperative { matrix, group: [1, 2], tile: [2, 1], depth: 3 })
}

/// One tiling of each kind once more, for half precision.
const HALF_KINDS: [(&str, Tiling); 6] = [TILINGS[3], TILINGS[5], TILINGS[7], TILINGS[9], TILINGS[10], TILINGS[11]];

/// Cases in half precision with one tiling of each kind.
pub fn add_half<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    add_half_with(trials, case, &HALF_KINDS, body);
}

/// [`add_half`] with tilings of two kinds, which ones depending on `turn`: for what does not stand in the loops.
pub fn add_half_in_turn<B>(trials: &mut Trials, case: &str, turn: usize, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let kinds = [HALF_KINDS[turn % HALF_KINDS.len()], HALF_KINDS[(turn + 1) % HALF_KINDS.len()]];
    add_half_with(trials, case, &kinds, body);
}

fn add_half_with<B>(trials: &mut Trials, case: &str, tilings: &[(&str, Tiling)], body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    for &(name, tiling) in tilings {
        let body = body.clone();
        trials.in_half(&format!("{case}::{name}"), move |device| match tiling {
            // Without such subgroups the tiling is tried nowhere, in single precision neither.
            Tiling::Subgroup { .. } if device.info().subgroup_size != Some(SUBGROUP) => Ok(()),
            _ => body(device, tiling),
        });
    }
    let on_units = body.clone();
    trials.on_matrix_units(&format!("{case}::cooperative_odd"), move |device, matrix| on_units(device, odd(matrix)));
    add_cooperative(trials, case, 1, body);
}

/// [`add_half`] with every tiling for matrix units.
pub fn add_half_tuned<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    for index in 0..COOPERATIVE.len() {
        add_cooperative(trials, case, index, body.clone());
    }
}

fn add_cooperative<B>(trials: &mut Trials, case: &str, index: usize, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Send + 'static,
{
    trials.on_matrix_units(&format!("{case}::cooperative_{}", COOPERATIVE[index]), move |device, matrix| {
        body(device, Tiling::Cooperative(Cooperative::candidates(matrix)[index]))
    });
}

/// [`add`] for a batch of so many rows that the grid must be folded.
pub fn add_folded<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    add_with(trials, case, &FOLDED, body);
}

/// [`add`] for a sum of tens of thousands of terms. llvmpipe ends all loops of an invocation together after 65,535
/// iterations, without a word. The staged tiling takes more for such a sum (one for each k), so no plan uses it on a
/// software driver, and its trials are for hardware.
pub fn add_long<B>(trials: &mut Trials, case: &str, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let (staged, others): (Vec<_>, Vec<_>) =
        TILINGS.iter().copied().partition(|(_, tiling)| matches!(tiling, Tiling::Staged { .. }));
    add_with(trials, case, &others, body.clone());
    for (name, tiling) in staged {
        let body = body.clone();
        trials.on_hardware(&format!("{case}::{name}"), move |device| body(device, tiling));
    }
}

/// [`add`] with every other of the tilings that tuning may choose beyond those, which ones depending on `turn`: with two
/// shapes, each has one.
pub fn add_tuned<B>(trials: &mut Trials, case: &str, turn: usize, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let tested = |tiling| TILINGS.iter().any(|&(_, tested)| tested == tiling);
    for tiling in CANDIDATES.into_iter().filter(|&tiling| !tested(tiling)).skip(turn % 2).step_by(2) {
        add_on_gpu(trials, &format!("{case}::{}", slug(tiling)), tiling, body.clone());
    }
}

/// A trial that all tilings which do not split sums give the same bits, since their order is that of k, in turns with checks
/// of indexes and without.
pub fn add_same_bits(trials: &mut Trials, case: impl Fn(Tiling) -> Case + Send + 'static) {
    trials.on_gpu("same_bits", move |device| {
        let subgroups = device.info().subgroup_size == Some(SUBGROUP);
        let whole_sums = CANDIDATES.into_iter().filter(|tiling| match tiling {
            Tiling::Direct { .. } => true,
            Tiling::Staged { splits, .. } => *splits == 1,
            Tiling::Subgroup { .. } => subgroups,
            Tiling::Split { .. } | Tiling::Cooperative(_) => false,
        });
        let [_, expected] = case(direct(1, 1, 64)).launched(device)?;
        let unchecked = gpus::unchecked_gpu().ok_or("the GPU is gone")?;
        for (turn, tiling) in whole_sums.enumerate() {
            let device = if turn % 2 == 0 { device } else { &unchecked };
            let [_, found] = case(tiling).launched(device)?;
            if found != expected {
                return Err(format!("{tiling} gives other bits than {} on {}", direct(1, 1, 64), device.info()));
            }
        }
        Ok(())
    });
}

/// A tiling's description as a trial's name: `staged_64x64_16_deep_by_8x8`.
fn slug(tiling: Tiling) -> String {
    tiling.to_string().replace(" × ", "x").replace(", ", "_").replace(' ', "_")
}

fn add_with<B>(trials: &mut Trials, case: &str, tilings: &[(&str, Tiling)], body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let on_cpu = body.clone();
    trials.on_cpu(case, move |device| on_cpu(device, direct(1, 1, 64)));
    for &(name, tiling) in tilings {
        add_on_gpu(trials, &format!("{case}::{name}"), tiling, body.clone());
    }
}

fn add_on_gpu<B>(trials: &mut Trials, name: &str, tiling: Tiling, body: B)
where
    B: Fn(&Device, Tiling) -> Result<(), String> + Clone + Send + 'static,
{
    let run = move |device: &Device| body(device, tiling);
    match tiling {
        Tiling::Subgroup { .. } => trials.on_subgroups(name, SUBGROUP, run),
        _ => trials.on_gpu(name, run),
    }
}
