//! One product by all its tilings: compiled side by side, each compared with the default's result, and timed in turns.
//! Those that are far behind after the first turn have no other. The fastest are tried in other orders of their tiles,
//! and without robust access.

use wgrad::kernels::product::Traits;
use wgrad::kernels::storage::Precision;

use super::candidates::{Order, tilings};
use super::learned::{self, Learned};
use super::runner::Runner;
use super::shapes::{Bytes, Operation, Shape};
use super::task::Task;
use super::track::Track;
use super::{Kept, Size};
use crate::Outcome;
use crate::record::{Records, short};
use crate::vulkan::Gpu;

/// Tilings that take so many times as long as the best in the first turn have no other.
const HOPELESS: f64 = 1.5;

/// How many of the fastest are tried in other orders and without robust access; one alone in the shortest form.
const FINALISTS: usize = 2;

/// Fewer workgroups than this are all there at once, in whatever order.
const WORTH_ORDERING: usize = 64;

/// What races are run on.
pub struct Race<'g> {
    /// With robust access and without.
    tracks: [Track<'g>; 2],
    traits: Traits,
    size: Size,
}

/// What came of a product.
pub struct Raced {
    pub lines: usize,
    pub failed: usize,
    pub kept: Vec<Kept>,
    pub summary: String,
}

impl<'g> Race<'g> {
    pub fn new(gpus: [&'g Gpu; 2], largest: Bytes, traits: Traits, size: Size) -> Outcome<Self> {
        let [robust, plain] = gpus;
        Ok(Race { tracks: [Track::new(robust, largest)?, Track::new(plain, largest)?], traits, size })
    }

    /// Races the tilings that are worth it, as far as earlier products tell.
    pub fn run(
        &self,
        (operation, shape, precision): (Operation, Shape, Precision),
        learned: &mut Learned,
        records: &mut Records,
    ) -> Outcome<Raced> {
        let task = Task::new(operation, shape, precision)?;
        let kind = learned::Kind { operation, precision, large: task.flops() >= learned::LARGE };
        self.tracks.iter().try_for_each(|track| track.begin(shape))?;
        let [track, plain] = &self.tracks;
        let all = tilings(task.product, self.traits, self.size);
        let wanted: Vec<_> = learned.worth_trying(kind, all).into_iter().map(|tiling| (tiling, Order::Rows)).collect();
        let compiled = task.compile(track.gpu, &wanted);
        let mut numbers = 0..;
        let mut runners: Vec<_> = compiled.iter().map(|compiled| Runner::new(compiled, track, &task)).collect();
        let expected = runners.first_mut().and_then(|default| default.results(track, &task).ok()).unwrap_or_default();
        for runner in &mut runners {
            runner.qualify(track, &task, &expected);
            runner.turn(track, &mut numbers, records);
        }
        let best = fastest(&runners).first().map_or(f64::INFINITY, |&index| runners[index].best());
        learned.learn(kind, runners.iter().map(|runner| (runner.compiled.tiling, runner.best() / best)));
        for turn in 0..2 {
            let mut order: Vec<_> =
                (0..runners.len()).filter(|&index| runners[index].best() <= HOPELESS * best).collect();
            if turn == 0 {
                order.reverse();
            }
            order.into_iter().for_each(|index| runners[index].turn(track, &mut numbers, records));
        }
        let count = if self.size == Size::Shortest { 1 } else { FINALISTS };
        let finalists: Vec<_> = fastest(&runners).into_iter().take(count).collect();
        let others: Vec<_> = finalists
            .iter()
            .filter(|&&index| compiled[index].workgroups >= WORTH_ORDERING || self.size != Size::Whole)
            .flat_map(|&index| Order::OTHERS.map(|order| (compiled[index].tiling, order)))
            .collect();
        let ordered = task.compile(track.gpu, &others);
        let final_tilings: Vec<_> = finalists.iter().map(|&index| (compiled[index].tiling, Order::Rows)).collect();
        let unchecked = task.compile(plain.gpu, &final_tilings);
        let mut more: Vec<_> = ordered.iter().map(|compiled| Runner::new(compiled, track, &task)).collect();
        more.extend(unchecked.iter().map(|compiled| Runner::new(compiled, plain, &task)));
        let track_of = |runner: &Runner<'_>| if runner.robust { track } else { plain };
        for runner in &mut more {
            runner.qualify(track_of(runner), &task, &expected);
        }
        // In turns with what they are compared with.
        for _ in 0..3 {
            finalists.iter().for_each(|&index| runners[index].turn(track, &mut numbers, records));
            more.iter_mut().for_each(|runner| runner.turn(track_of(runner), &mut numbers, records));
        }
        for (index, runner) in runners.iter().chain(&more).enumerate() {
            records.write("tiling", runner.line(&task, index == 0))?;
        }
        let kept = finalists.iter().chain(Some(&0).filter(|_| !finalists.contains(&0)));
        Ok(Raced {
            lines: runners.len() + more.len(),
            failed: runners.iter().chain(&more).filter(|runner| runner.error.is_some()).count(),
            kept: kept.filter_map(|&index| compiled.get(index)).map(|compiled| compiled.keep(&task)).collect(),
            summary: summary(&task, &runners, &more, &finalists),
        })
    }
}

/// The places of those that compute what they should, the fastest first.
fn fastest(runners: &[Runner<'_>]) -> Vec<usize> {
    let mut order: Vec<_> = (0..runners.len()).filter(|&index| runners[index].best().is_finite()).collect();
    order.sort_by(|&a, &b| runners[a].best().total_cmp(&runners[b].best()));
    order
}

fn summary(task: &Task, runners: &[Runner<'_>], more: &[Runner<'_>], finalists: &[usize]) -> String {
    let (Shape { batch, inputs, outputs }, flops) = (task.shape, task.flops());
    let mut text =
        format!("sweep {:?} {batch} x {inputs} x {outputs} {}:", task.operation, task.precision).to_lowercase();
    let one = |runner: &Runner<'_>| {
        format!("{} us ({} GFLOP/s)", short(1e6 * runner.best()), short(1e-9 * flops / runner.best()))
    };
    if let Some(&best) = finalists.first() {
        text += &format!(" best {} {}", runners[best].compiled.tiling, one(&runners[best]));
    }
    if let Some(default) = runners.first() {
        text += &format!(", default {} {}", default.compiled.tiling, one(default));
    }
    let plain = more.iter().filter(|runner| !runner.robust).map(Runner::best).fold(f64::INFINITY, f64::min);
    let ordered = more.iter().filter(|runner| runner.robust).map(Runner::best).fold(f64::INFINITY, f64::min);
    text += &format!(", without robust access {} us", short(1e6 * plain));
    if ordered.is_finite() {
        text += &format!(", in another order {} us", short(1e6 * ordered));
    }
    text
}
