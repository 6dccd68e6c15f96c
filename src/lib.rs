//! wgrad

pub mod data;
mod error;
mod random;

pub use data::{Dataset, mnist};
pub use error::{Error, Result};
