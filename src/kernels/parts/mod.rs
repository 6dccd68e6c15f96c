//! What several operations share: the mirror of `shaders/parts`, so that a file of `src/kernels` is an operation and
//! nothing else.

pub mod activation;
pub mod lanes;
pub mod product;
pub mod targets;
pub mod update;
