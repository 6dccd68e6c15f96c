//! Matrix units by themselves: products of small whole numbers, which must come out exactly, written in the ways in
//! which compilers have got them wrong. One engine saw exactly twice the sums where an accumulator is carried through a
//! loop.

use serde_json::json;
use wgrad::doctor::kit::{PATTERNS, TERMS, compare, numbers, shader};
use wgrad::kernels::product::cooperative::CooperativeMatrix;
use wgrad::kernels::storage::pack_halves;
use wgrad::{Device, wgpu};

use crate::gpu::{self, Gpu};
use crate::record::Records;
use crate::{Outcome, print};

/// All patterns; an error where one is wrong, when all have been tried.
pub fn run(cooperative: Option<Device>, records: &mut Records) -> Outcome<()> {
    let Some(device) = cooperative else { return print("matrix units: ignored, this GPU has none that wgrad can use") };
    let Some(matrix) = device.info().cooperative_matrix else { return Ok(()) };
    let gpu = gpu::open(&device)?;
    let (a, b, expected) = numbers(matrix.size);
    let mut wrong = Vec::new();
    for (name, body) in PATTERNS {
        let outcome = product(&gpu, matrix, body, &a, &b).map(|found| compare(&found, &expected));
        let problem = match &outcome {
            Ok(None) => None,
            Ok(Some(problem)) => Some(problem.clone()),
            Err(error) => Some(error.to_string()),
        };
        records.write("matrix", json!({ "pattern": name, "problem": problem }))?;
        print(&format!("matrix units, {name}: {}", problem.as_deref().unwrap_or("right")))?;
        wrong.extend(problem.map(|_| name));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("matrix units are wrong: {}", wrong.join("; ")).into()),
    }
}

fn product(gpu: &Gpu, matrix: CooperativeMatrix, body: &str, a: &[f32], b: &[f32]) -> Outcome<Vec<f32>> {
    let area = matrix.size * matrix.size;
    let bytes = [2 * a.len(), 2 * b.len(), 16, 4 * area].into_iter();
    let buffers: Vec<_> = bytes.map(|bytes| gpu.buffer(bytes as u64)).collect::<wgrad::Result<_>>()?;
    let write = |buffer: &wgpu::Buffer, words: &[u32]| gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(words));
    write(&buffers[0], &pack_halves(a));
    write(&buffers[1], &pack_halves(b));
    write(&buffers[2], &[TERMS as u32, 0, 0, 0]);
    let bound = gpu.bound(&shader(matrix, body), &buffers.iter().collect::<Vec<_>>())?;
    gpu.timed(|pass| {
        pass.set_pipeline(&bound.pipeline);
        pass.set_bind_group(0, &bound.group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    })?;
    Ok(gpu.read(&buffers[3])?.into_iter().map(f32::from_bits).collect())
}
