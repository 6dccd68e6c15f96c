//! Steps whose dispatches are timed one by one, by timestamp queries at the ends of a pass for each.

use wgpu::BufferUsages as Usage;

use super::{Result, Run};
use crate::executor::gpu::read_buffer;

/// Queries of one set, at most: WebGPU's limit.
const MOST_QUERIES: usize = 4096;

impl Run {
    /// One step, each dispatch timed; `false`, and no step, where the device has no timestamps.
    pub async fn time_step(&mut self, seconds: &mut [Vec<f64>]) -> Result<bool> {
        let dispatches = self.program.dispatches.len();
        if !self.context.has_timestamps() || 2 * dispatches > MOST_QUERIES {
            return Ok(false);
        }
        let (_, fresh) = self.source.prepare(&self.context, 1, self.step.batch_size as usize)?;
        if let Some(rows) = fresh {
            self.step = self.step.start(rows as u32, self.step.batch_size);
            self.write_step()?;
        }
        self.fill_ring(1)?;
        let ticks = self.time_dispatches(dispatches as u32).await?;
        self.recorded(1);
        for (pair, seconds) in ticks.chunks_exact(2).zip(seconds) {
            // A clock that is set between two reads could run backwards.
            seconds.push(self.context.seconds_of(pair[1].saturating_sub(pair[0])));
        }
        Ok(true)
    }

    /// Runs every dispatch in a pass of its own; returns the ticks before and after each.
    async fn time_dispatches(&self, dispatches: u32) -> Result<Vec<u64>> {
        let device = &self.context.device;
        let resolved = self.context.buffer("ticks", 4 * dispatches as usize, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        self.context.scoped("timing dispatches", || {
            let set = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("wgrad ticks"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * dispatches,
            });
            let mut encoder = device.create_command_encoder(&Default::default());
            for index in 0..dispatches {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some("wgrad timed dispatch"),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &set,
                        beginning_of_pass_write_index: Some(2 * index),
                        end_of_pass_write_index: Some(2 * index + 1),
                    }),
                });
                self.record_dispatch(&mut pass, index as usize);
            }
            encoder.resolve_query_set(&set, 0..2 * dispatches, &resolved, 0);
            self.context.queue.submit([encoder.finish()]);
        })?;
        let words = read_buffer(&self.context, &resolved).await?;
        Ok(bytemuck::pod_collect_to_vec(&words[..4 * dispatches as usize]))
    }
}
