//! Every product by every tiling, as raw data: a line of JSON for each operation, shape, precision, tiling, robustness
//! and order, from which `scripts/refit` makes the table of tilings. Shapes are in `sweep/shapes.rs`, tilings in
//! `sweep/candidates.rs`, how one is measured in `sweep/race.rs`. This file is the order of events: the shapes that
//! matter most first, until the time is gone. What tilings earlier products leave to be tried is in `sweep/learned.rs`.

mod candidates;
mod learned;
mod race;
mod runner;
mod shapes;
mod task;
mod track;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use wgrad::Device;
use wgrad::kernels::product::Traits;
use wgrad::kernels::storage::Precision;

use crate::record::Records;
use crate::vulkan::{Gpu, Kind};
use crate::{Outcome, print};
use learned::Learned;
use race::Race;
use shapes::{Operation, Shape};

/// Shaders that are written down whole: of each product the default's and the fastest's.
const MOST_SHADERS: usize = 400;

/// Of these, how many go through the pipeline cache whose content is kept.
const MOST_CACHED: usize = 48;

/// What is wanted.
pub struct Wanted {
    /// Which part of how many: each takes other shapes first, and the other's when its own are done.
    pub part: usize,
    pub parts: usize,
    pub size: Size,
    /// Where shaders go, and the pipeline cache's content.
    pub shaders: Option<PathBuf>,
    pub cache: Option<PathBuf>,
}

/// How large the shapes are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Whole,
    Rehearsal,
    Shortest,
}

/// A shader that is written down.
pub struct Kept {
    pub hash: String,
    pub wgsl: String,
    pub spirv: Vec<u32>,
    pub kinds: Vec<Kind>,
}

/// Races until the time is gone.
pub fn run(device: Device, cooperative: Option<Device>, wanted: &Wanted, records: &mut Records) -> Outcome<()> {
    let info = device.info();
    let mut traits = Traits::of(wgrad::kernels::product::Family::Hardware);
    traits.matrix = cooperative.and_then(|device| device.info().cooperative_matrix);
    let [robust, plain] = [Gpu::open(&info.name, true)?, Gpu::open(&info.name, false)?];
    let shapes = shapes::in_order(wanted.size, wanted.part, wanted.parts);
    let largest = shapes::Bytes::of_all(&shapes);
    let race = Race::new([&robust, &plain], largest, traits, wanted.size)?;
    let precisions: &[Precision] =
        if info.has_half_precision() { &[Precision::F32, Precision::F16] } else { &[Precision::F32] };
    let (mut kept, mut done, mut lines, mut failed) = (Vec::new(), 0, 0, 0);
    let mut learned = Learned::default();
    let all: Vec<_> = shapes
        .iter()
        .flat_map(|&shape| {
            precisions.iter().flat_map(move |&precision| Operation::ALL.map(|op| (shape, precision, op)))
        })
        .collect();
    for &(shape, precision, operation) in &all {
        // What is left goes to writing down what was found.
        if records.past(0.92) {
            break;
        }
        let outcome = race.run((operation, shape, precision), &mut learned, records)?;
        (done, lines, failed) = (done + 1, lines + outcome.lines, failed + outcome.failed);
        if kept.len() < MOST_SHADERS {
            kept.extend(outcome.kept);
        }
        if done <= 4 || done % 50 == 0 {
            print(&outcome.summary)?;
        }
    }
    let hashes = write_shaders(wanted, &kept)?;
    let cached = write_cache(wanted, &robust, &kept)?;
    records.write("swept", json!({ "done": done, "of": all.len(), "shaders": hashes, "cache_bytes": cached }))?;
    print(&format!(
        "sweep: {done} of {} products of {} shapes, {lines} lines, {failed} of them with an error; {hashes} shaders and \
         {cached} bytes of the pipeline cache written",
        all.len(),
        shapes.len()
    ))?;
    if done > 0 { Ok(()) } else { Err("not one product was swept in the time".into()) }
}

/// A line for each shader: its hash, its text, and its binary in hexadecimal.
fn write_shaders(wanted: &Wanted, kept: &[Kept]) -> Outcome<usize> {
    let Some(path) = &wanted.shaders else { return Ok(0) };
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    for Kept { hash, wgsl, spirv, .. } in kept {
        let binary: String = spirv.iter().map(|word| format!("{word:08x}")).collect();
        writeln!(file, "{}", json!({ "shader": hash, "wgsl": wgsl, "spirv_words": binary })).map_err(failed)?;
    }
    Ok(kept.len())
}

fn write_cache(wanted: &Wanted, gpu: &Gpu, kept: &[Kept]) -> Outcome<usize> {
    let Some(path) = &wanted.cache else { return Ok(0) };
    let shaders: Vec<_> = kept.iter().take(MOST_CACHED).map(|kept| (kept.spirv.clone(), kept.kinds.clone())).collect();
    let content = gpu.cache_of(&shaders)?;
    std::fs::write(path, &content).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(content.len())
}

/// What a line says of a shape.
fn describe(shape: Shape) -> serde_json::Value {
    json!([shape.batch, shape.inputs, shape.outputs])
}
