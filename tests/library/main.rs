//! Tests of the library as its users see it: one body for every device. Kernels have their own tests, and so have the
//! recorded trainings of `tests/golden.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod callbacks;
mod checkpoint;
mod custom_loss;
mod devices;
mod embed;
mod fusion;
mod kept;
mod keras;
mod layers;
mod losses;
mod metrics;
mod optimizers;
mod precision;
mod prediction;
mod recovery;
mod reproducible;
mod resume;
mod snapshot;
mod streamed;
mod targets;
mod training;
mod transfer;
mod weights;

fn main() {
    if let Some(directory) = std::env::var_os(resume::CHILD) {
        return resume::child(directory).expect("a training that is gone on with");
    }
    let mut suite = common::Suite::new();
    reproducible::add(&mut suite);
    training::add(&mut suite);
    streamed::add(&mut suite);
    prediction::add(&mut suite);
    losses::add(&mut suite);
    custom_loss::add(&mut suite);
    metrics::add(&mut suite);
    optimizers::add(&mut suite);
    targets::add(&mut suite);
    checkpoint::add(&mut suite);
    bad_input::add(&mut suite);
    devices::add(&mut suite);
    embed::add(&mut suite);
    fusion::add(&mut suite);
    kept::add(&mut suite);
    keras::add(&mut suite);
    precision::add(&mut suite);
    layers::add(&mut suite);
    snapshot::add(&mut suite);
    callbacks::add(&mut suite);
    recovery::add(&mut suite);
    resume::add(&mut suite);
    transfer::add(&mut suite);
    weights::add(&mut suite);
    suite.run()
}
