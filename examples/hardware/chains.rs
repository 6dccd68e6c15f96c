//! What a dispatch costs: chains of them, dependent and independent, through wgpu and through Vulkan itself, fitted as
//! a + b·n. The shader does next to nothing, so that n dispatches take n times what a dispatch takes.

use serde_json::json;
use wgrad::doctor::kit::{Line, chain, fit};
use wgrad::wgpu;

use crate::costs::Scale;
use crate::gpu::Gpu;
use crate::record::{Records, short};
use crate::vulkan::{self, Barrier, Kind};
use crate::{Outcome, spirv};

/// Passes of each length; the least counts.
const PASSES: usize = 3;

/// Sets of buffers that dispatches which do not depend on each other take in turns, through Vulkan.
const PLACES: usize = 32;

/// What chains are measured: workgroups, buffers, and whether each dispatch depends on the last.
#[derive(Clone, Copy)]
struct Case {
    groups: u32,
    buffers: usize,
    dependent: bool,
}

fn cases(scale: &Scale) -> Vec<Case> {
    let mut found = Vec::new();
    for &groups in scale.groups {
        for &buffers in scale.buffers {
            found.extend([true, false].map(|dependent| Case { groups, buffers, dependent }));
        }
    }
    // One of each kind first, should time run out.
    found.sort_by_key(|case| (case.groups != 132 && case.buffers != 8, case.groups, case.buffers));
    found
}

/// All of it, until `share` of the time is gone; returns lines for the summary.
pub fn measure(
    gpu: &Gpu,
    own: &[&vulkan::Gpu],
    scale: &Scale,
    records: &mut Records,
    share: f64,
) -> Outcome<Vec<String>> {
    let mut summary = Vec::new();
    let mut left_out = 0;
    for case in cases(scale) {
        if records.past(share) {
            left_out += 1;
            continue;
        }
        let line = through_wgpu(gpu, case, scale, records)?;
        let mut text = describe(case, "wgpu", line);
        for gpu in own {
            for barrier in barriers(case) {
                let line = through_vulkan(gpu, case, barrier, scale, records)?;
                let robust = if gpu.about.robust { "robust" } else { "plain" };
                text += &format!("; {barrier:?} {robust} {}", short(1e6 * line.b)).to_lowercase();
            }
        }
        let shown = [1, 132, 1056].contains(&case.groups) || scale.groups.len() < 4;
        if shown && [1, 8, 33].contains(&case.buffers) {
            summary.push(text);
        }
    }
    if left_out > 0 {
        summary.push(format!("chains: {left_out} cases were left out for want of time"));
    }
    Ok(summary)
}

fn describe(case: Case, way: &str, line: Line) -> String {
    let kind = if case.dependent { "dependent" } else { "independent" };
    let Line { a, b, worst } = line;
    format!(
        "chain {kind:<11} {:>4} workgroups {:>2} buffers, us a dispatch: {way} {} (a {} us, off by {:.0} %)",
        case.groups,
        case.buffers,
        short(1e6 * b),
        short(1e6 * a),
        100.0 * worst
    )
}

fn barriers(case: Case) -> Vec<Barrier> {
    if case.dependent { vec![Barrier::Compute, Barrier::Buffers] } else { vec![Barrier::None] }
}

fn through_wgpu(gpu: &Gpu, case: Case, scale: &Scale, records: &mut Records) -> Outcome<Line> {
    let bytes = 4 * u64::from(case.groups);
    let pipeline = gpu.pipeline(&chain(case.buffers, case.dependent))?;
    let shared: Vec<_> = (0..case.buffers).map(|_| gpu.buffer(bytes)).collect::<wgrad::Result<_>>()?;
    let sets = if case.dependent { 1 } else { scale.longest() };
    // A dispatch depends on none of the others where it alone writes its first buffer, and all only read the rest.
    let groups: Vec<_> = (0..sets)
        .map(|_| {
            let own = gpu.buffer(bytes)?;
            let mut buffers: Vec<_> = shared.iter().collect();
            if !case.dependent {
                buffers[0] = &own;
            }
            gpu.group(&pipeline, &buffers)
        })
        .collect::<wgrad::Result<_>>()?;
    let mut all = Vec::new();
    for &length in scale.lengths {
        let mut passes = Vec::new();
        for _ in 0..PASSES {
            let pass = gpu.timed(|pass| {
                for index in 0..length {
                    pass.set_pipeline(&pipeline);
                    pass.set_bind_group(0, &groups[index % sets], &[]);
                    pass.dispatch_workgroups(case.groups, 1, 1);
                }
            })?;
            passes.push(pass);
        }
        all.push((length, passes));
    }
    let points: Vec<_> = all.iter().map(|(length, passes)| (*length, passes.iter().map(|pass| pass.seconds))).collect();
    let points: Vec<_> = points.into_iter().map(|(length, seconds)| (length as f64, least(seconds))).collect();
    let line = fit(&points);
    let host = |of: fn(&crate::gpu::Pass) -> f64| -> Vec<f64> {
        all.iter().map(|(_, passes)| least(passes.iter().map(of))).collect()
    };
    let ticks: Vec<Vec<u64>> = all.iter().map(|(_, passes)| passes.iter().map(|pass| pass.ticks).collect()).collect();
    records.write(
        "chain",
        json!({
            "through": "wgpu", "dependent": case.dependent, "workgroups": case.groups, "buffers": case.buffers,
            "robust": true, "lengths": scale.lengths, "ticks": ticks, "record_seconds": host(|pass| pass.record),
            "submit_seconds": host(|pass| pass.submit), "wait_seconds": host(|pass| pass.wait),
            "a_seconds": line.a, "b_seconds": line.b, "worst": line.worst,
        }),
    )?;
    Ok(line)
}

fn through_vulkan(
    gpu: &vulkan::Gpu,
    case: Case,
    barrier: Barrier,
    scale: &Scale,
    records: &mut Records,
) -> Outcome<Line> {
    let bytes = (4 * u64::from(case.groups)).next_multiple_of(256);
    let mut kinds = vec![Kind::Storage; case.buffers.min(32)];
    if case.buffers > 32 {
        kinds.push(Kind::Uniform);
    }
    let code = spirv::compile(&chain(case.buffers, case.dependent), &gpu.about, false)?;
    let pipeline = gpu.pipeline(&code, &kinds)?;
    let zeros = vec![0; (bytes / 4) as usize];
    let own = gpu.filled_buffer(bytes * PLACES as u64, &zeros)?;
    let others: Vec<_> = kinds.iter().map(|_| gpu.filled_buffer(bytes, &zeros)).collect::<Outcome<_>>()?;
    let sets = if case.dependent { 1 } else { PLACES };
    let bound: Vec<_> = (0..sets)
        .map(|place| {
            let mut buffers: Vec<_> = others.iter().map(|buffer| (buffer, 0)).collect();
            buffers[0] = (&own, place as u64 * bytes);
            pipeline.bind(&buffers)
        })
        .collect::<Outcome<_>>()?;
    let written: Vec<_> = std::iter::once(&own).chain(others.iter().skip(1)).collect();
    let (mut points, mut ticks) = (Vec::new(), Vec::new());
    for &length in scale.lengths {
        let mut passes = Vec::new();
        for _ in 0..PASSES {
            passes.push(gpu.timed(|recorder| {
                for index in 0..length {
                    recorder.dispatch(&bound[index % sets], [case.groups, 1]);
                    recorder.barrier_over(barrier, &written);
                }
            })?);
        }
        points.push((length as f64, least(passes.iter().map(|pass| pass.seconds))));
        ticks.push(passes.iter().map(|pass| pass.ticks).collect::<Vec<_>>());
    }
    let line = fit(&points);
    records.write(
        "chain",
        json!({
            "through": "vulkan", "dependent": case.dependent, "workgroups": case.groups, "buffers": case.buffers,
            "barrier": format!("{barrier:?}").to_lowercase(), "robust": gpu.about.robust, "lengths": scale.lengths,
            "ticks": ticks, "a_seconds": line.a, "b_seconds": line.b, "worst": line.worst,
        }),
    )?;
    Ok(line)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

/// Host times of one dispatch and of an empty pass, for the summary: record, submit, wait.
pub fn host(gpu: &Gpu, records: &mut Records) -> Outcome<Vec<String>> {
    const ROUNDS: usize = 20;
    let bound = gpu.bound(&chain(1, true), &[&gpu.buffer(4)?])?;
    let mut summary = Vec::new();
    for dispatches in [0u32, 1] {
        let mut passes = Vec::new();
        for _ in 0..ROUNDS {
            passes.push(gpu.timed(|pass: &mut wgpu::ComputePass<'_>| {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                (0..dispatches).for_each(|_| pass.dispatch_workgroups(1, 1, 1));
            })?);
        }
        let middle = |of: fn(&crate::gpu::Pass) -> f64| crate::record::median(passes.iter().map(of).collect());
        let [gpu_seconds, record, submit, wait] = [
            middle(|pass| pass.seconds),
            middle(|pass| pass.record),
            middle(|pass| pass.submit),
            middle(|pass| pass.wait),
        ];
        let smallest = passes.iter().map(|pass| pass.ticks).filter(|&ticks| ticks > 0).min();
        records.write(
            "host",
            json!({
                "dispatches": dispatches, "tick_nanoseconds": gpu.tick(), "smallest_ticks": smallest,
                "gpu_seconds": gpu_seconds, "record_seconds": record, "submit_seconds": submit, "wait_seconds": wait,
            }),
        )?;
        summary.push(format!(
            "pass of {dispatches} dispatches: {} us on the GPU; host: record {} us, submit {} us, wait {} us \
             (tick {} ns)",
            short(1e6 * gpu_seconds),
            short(1e6 * record),
            short(1e6 * submit),
            short(1e6 * wait),
            short(gpu.tick()),
        ));
    }
    Ok(summary)
}
