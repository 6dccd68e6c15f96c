//! One tiling in a race: whether it computes what it should, and how long a launch takes.

use serde_json::{Value, json};
use wgrad::kernels::product::Tiling;
use wgrad::kernels::storage::unpack_halves;

use super::describe;
use super::task::{Compiled, Task};
use super::track::{SAMPLED, Track};
use crate::Outcome;
use crate::record::Records;
use crate::vulkan::{Barrier, Bound};

/// What a pass should take: a thousand ticks of a coarse clock.
const PASS_SECONDS: f64 = 4e-4;
const MOST_REPEATS: f64 = 200.0;

/// How far results may be from the default's, of an element's size and of the largest one's each; the second where they
/// are rounded to halves. As `Model::tune` has them.
const TOLERANCE: f32 = 1e-4;
const HALF_TOLERANCE: f32 = 1.0 / 512.0;

/// A turn of a tiling.
pub struct Turn {
    pub number: usize,
    pub repeats: u32,
    pub ticks: u64,
    pub seconds: f64,
    pub clock: Value,
}

pub struct Runner<'c> {
    pub compiled: &'c Compiled<'c>,
    pub robust: bool,
    pub bound: Option<Bound<'c>>,
    pub error: Option<String>,
    pub turns: Vec<Turn>,
}

impl<'c> Runner<'c> {
    pub fn new(compiled: &'c Compiled<'c>, track: &Track<'_>, task: &Task) -> Self {
        let bound = match &compiled.pipeline {
            Ok(pipeline) => pipeline.bind(&track.buffers(task)).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        let error = bound.as_ref().err().cloned();
        Runner { compiled, robust: track.gpu.about.robust, bound: bound.ok(), error, turns: Vec::new() }
    }

    /// The least seconds of a launch; infinite where it computes something else.
    pub fn best(&self) -> f64 {
        let seconds = self.turns.iter().map(|turn| turn.seconds).filter(|_| self.error.is_none());
        seconds.fold(f64::INFINITY, f64::min)
    }

    /// Three pieces of what it computes, poisoned before.
    pub fn results(&self, track: &Track<'_>, task: &Task) -> Outcome<Vec<f32>> {
        let bound = self.bound.as_ref().ok_or("not compiled")?;
        track.gpu.timed(|recorder| {
            task.places().iter().for_each(|&(at, length)| recorder.copy(&track.poison, 0, &track.result, at, length));
            recorder.barrier(Barrier::Everything);
            recorder.dispatch(bound, self.compiled.groups());
            recorder.barrier(Barrier::Everything);
            for (index, (at, length)) in task.places().into_iter().enumerate() {
                recorder.copy(&track.result, at, &track.sample, index as u64 * SAMPLED, length);
            }
        })?;
        let words = track.sample.read();
        let mut all = Vec::new();
        for (index, (_, length)) in task.places().into_iter().enumerate() {
            let start = index * (SAMPLED / 4) as usize;
            let piece = &words[start..start + (length / 4) as usize];
            match task.halves {
                true => all.extend(unpack_halves(piece)),
                false => all.extend(piece.iter().map(|&word| f32::from_bits(word))),
            }
        }
        Ok(all)
    }

    /// Whether it computes what the default computes; if not, that is its error.
    pub fn qualify(&mut self, track: &Track<'_>, task: &Task, expected: &[f32]) {
        if self.error.is_some() {
            return;
        }
        let rounds = task.halves || matches!(self.compiled.tiling, Tiling::Cooperative(_));
        let tolerance = if rounds { HALF_TOLERANCE } else { TOLERANCE };
        self.error = match self.results(track, task) {
            Err(error) => Some(error.to_string()),
            Ok(found) => disagreement(&found, expected, tolerance),
        };
    }

    /// One pass; a failure is its error, and the last of its turns.
    pub fn turn(&mut self, track: &Track<'_>, numbers: &mut impl Iterator<Item = usize>, records: &Records) {
        let Some(bound) = self.bound.as_ref().filter(|_| self.error.is_none()) else { return };
        let groups = self.compiled.groups();
        let pass = |repeats: u32| {
            track.gpu.timed(|recorder| {
                for _ in 0..repeats {
                    recorder.dispatch(bound, groups);
                    recorder.barrier(Barrier::Compute);
                }
            })
        };
        let timed = pass(1).and_then(|once| {
            let repeats = (PASS_SECONDS / once.seconds.max(1e-7)).ceil().clamp(1.0, MOST_REPEATS) as u32;
            Ok((repeats, if repeats > 1 { pass(repeats)? } else { once }))
        });
        match timed {
            Ok((repeats, timing)) => self.turns.push(Turn {
                number: numbers.next().unwrap_or_default(),
                repeats,
                ticks: timing.ticks,
                seconds: timing.seconds / f64::from(repeats),
                clock: records.clock().get("mhz").cloned().unwrap_or(Value::Null),
            }),
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    pub fn line(&self, task: &Task, default: bool) -> Value {
        let Compiled { tiling, order, hash, spirv, workgroups, naga_seconds, pipeline, .. } = self.compiled;
        let turns: Vec<_> = self
            .turns
            .iter()
            .map(|turn| {
                json!({ "turn": turn.number, "repeats": turn.repeats, "ticks": turn.ticks, "seconds": turn.seconds,
                    "clock_mhz": turn.clock })
            })
            .collect();
        json!({
            "operation": task.product.operation, "shape": describe(task.shape), "size": task.product.size,
            "precision": task.precision, "tiling": tiling, "name": tiling.to_string(), "robust": self.robust,
            "order": order.name(), "default": default, "workgroups": workgroups, "invocations": tiling.workgroup(),
            "flops": 2 * task.shape.batch * task.shape.inputs * task.shape.outputs,
            "naga_seconds": naga_seconds, "compile_seconds": pipeline.as_ref().ok().map(|made| made.seconds),
            "statistics": pipeline.as_ref().ok().map(|made| &made.statistics), "words": spirv.len(), "shader": hash,
            "error": self.error, "passes": turns,
        })
    }
}

/// What is wrong with results, if anything is.
fn disagreement(found: &[f32], expected: &[f32], tolerance: f32) -> Option<String> {
    if found.len() != expected.len() || expected.is_empty() {
        return Some(format!("{} numbers, the default has {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= tolerance * (expected.abs() + largest);
    let wrong = found.iter().zip(expected).position(|pair| !close(pair))?;
    Some(format!("number {wrong} is {}, the default has {}", found[wrong], expected[wrong]))
}

#[cfg(test)]
mod tests {
    use super::disagreement;

    #[test]
    fn results_that_differ_are_found() {
        assert_eq!(disagreement(&[1.0, 2.0], &[1.0, 2.00001], 1e-4), None);
        for wrong in [[1.0, 2.1], [1.0, f32::NAN]] {
            assert!(disagreement(&wrong, &[1.0, 2.0], 1e-4).is_some_and(|text| text.starts_with("number 1")));
        }
        assert!(disagreement(&[], &[], 1e-4).is_some());
        assert!(disagreement(&[1.0], &[1.0, 2.0], 1e-4).is_some());
    }
}
