//! Every operation on every device against its own reference in f64. One file an operation, of the operation's name;
//! what they share is in `harness`.
//!
//! A trial is named `operation::case::device`, for the matrix products `operation::case::tiling::device`. Where no
//! driver offers a GPU, the GPU's trials are shown as ignored. `WGRAD_TRIALS_FIRST` may name a file of trials, one a line,
//! that are to come first: where time may run out, those that no other machine has run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

#[path = "../common/gpus.rs"]
mod gpus;
mod harness;

use harness::Trials;

macro_rules! operations {
    ($($name:ident,)*) => {
        $(mod $name;)*

        fn add_all(trials: &mut Trials) {
            $(trials.operation(stringify!($name), $name::cases);)*
        }
    };
}

operations! {
    activation_backward,
    activation_forward,
    advance_step,
    augmentation_forward,
    average_weights,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference_backward,
    batch_norm_inference_forward,
    constrain,
    count_answers,
    dense_backward_input,
    dense_backward_update,
    dense_backward_weights,
    dense_forward,
    dense_loss,
    dropout_backward,
    dropout_forward,
    gather_batch,
    gaussian_noise_forward,
    gradient_scales,
    layer_norm_backward,
    layer_norm_backward_parameters,
    layer_norm_forward,
    optimizer_update,
    output_loss,
    prelu_backward,
    prelu_backward_parameters,
    prelu_forward,
    relu_backward,
    relu_forward,
    rescale_backward,
    rescale_forward,
    rmsprop_update,
    softmax_backward,
    softmax_cross_entropy,
    softmax_forward,
    sum_errors,
    sum_squares,
}

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Trials::default();
    add_all(&mut trials);
    let conclusion = libtest_mimic::run(&arguments, trials.finish());
    if !arguments.list {
        eprintln!("{} pipelines were made", harness::pipelines_made());
    }
    conclusion.exit();
}
