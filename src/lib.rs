//! wgrad

mod error;
mod random;
pub mod data;

pub use error::{Error, Result};
