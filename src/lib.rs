//! wgrad

mod error;
// Temporary, until the CPU device uses them.
#[allow(dead_code, unused_imports, reason = "the CPU device is not wired yet")]
mod executor {
    mod cpu {
        mod pool;
        mod product;
    }
}
pub mod data;
mod random;

pub use error::{Error, Result};
