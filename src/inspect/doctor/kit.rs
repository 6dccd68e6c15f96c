//! What the doctor shares with the programs that measure more of the same, `examples/hardware` and `examples/throughput`. Not
//! for anybody else: it may change in any release.

mod gpu;
mod line;
mod registers;
mod shaders;

pub use super::matrix::{PATTERNS, TERMS, compare, numbers, shader};
pub use gpu::{Bound, Gpu, Pass};
pub use line::{Line, fit};
pub use registers::measure as registers;
pub use shaders::{CHAINS, WORKGROUP, chain, multiplications, multiply_adds, stream};
