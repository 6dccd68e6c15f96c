//! What the CPU device computes with: its threads, and the matrix product that they share. Nothing here knows of kernels or
//! plans.

pub(crate) mod buffer;
pub(crate) mod machine;
pub(crate) mod pool;
pub(crate) mod product;
pub mod shares;
pub(crate) mod vector;

use machine::{Instructions, Processor};
use pool::Pool;
use product::Workspace;

/// The threads of a CPU device with the buffers that they pack matrices into.
pub struct Cpu {
    pub(crate) pool: Pool,
    pub(crate) workspace: Workspace,
    /// The gradient of a bias between its sums and its update; as long as the widest layer so far.
    pub(crate) scratch: Vec<f32>,
}

impl Cpu {
    /// For this many threads of such a processor.
    pub(crate) fn new(threads: usize, processor: Processor) -> Self {
        let pool = Pool::new(threads);
        let workspace = Workspace::new(pool.threads(), processor);
        Cpu { pool, workspace, scratch: Vec::new() }
    }

    /// What it computes with.
    pub(crate) fn instructions(&self) -> Instructions {
        self.workspace.processor.instructions
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu").field("threads", &self.pool.threads()).finish_non_exhaustive()
    }
}
