//! What several operations share: the mirror of `shaders/parts`, so that a file of `src/kernels` is an operation and
//! nothing else.

pub mod activation;
pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod adamax;
pub mod columns;
pub mod ftrl;
pub mod gradients;
pub mod hash;
pub mod lanes;
pub mod lion;
pub mod loss;
pub mod nadam;
pub(crate) mod noise;
pub mod norm;
pub mod product;
pub mod rmsprop;
pub mod scale;
pub mod sgd;
pub mod storage;
pub mod targets;
pub mod update;
