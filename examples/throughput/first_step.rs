//! How long the first step of a deep net takes on a device that is new: 2-64-…-64-1 with tanh and Adam, 256 rows in batches of
//! 32. On a GPU that is the compilation of its shaders; drivers keep what they compiled, unless told otherwise.

use std::time::Instant;

use serde::Serialize;
use wgrad::{Activation, Adam, Dataset, Dense, Fit, Loss, Sequential};

use crate::Outcome;
use crate::arguments::Arguments;

/// Units of each hidden layer.
const UNITS: usize = 64;

/// One net on one device.
#[derive(Debug, Serialize)]
pub struct FirstStep {
    device: String,
    layers: usize,
    /// Of a first epoch, compilation included.
    first_seconds: f64,
    /// Of a second one.
    second_seconds: f64,
    launches: usize,
    dispatches: usize,
}

pub fn measure(name: &str, layers: usize, arguments: &Arguments) -> Outcome<FirstStep> {
    eprintln!("measuring the first step of {layers} layers on {name}");
    // A device of its own: another one's pipelines are not there.
    let device = arguments.open(name)?;
    let inputs: Vec<f32> = (0..512).map(|index| ((index * 37) % 101) as f32 / 101.0).collect();
    let targets: Vec<f32> = inputs.chunks(2).map(|row| row[0] - row[1]).collect();
    let data = Dataset::from_rows(inputs, 2, targets, 1)?;
    let dense = || Dense::new(UNITS).activation(Activation::Tanh);
    let net = (0..layers).fold(Sequential::new(2), |net, _| net.add(dense())).add(Dense::new(1));
    let mut model = net.compile(&device, Adam::default(), Loss::MeanSquaredError)?;
    model.set_precision(arguments.precision)?;
    let mut epoch = || -> Outcome<f64> {
        let clock = Instant::now();
        model.fit(&data, Fit::new())?;
        Ok(clock.elapsed().as_secs_f64())
    };
    let (first_seconds, second_seconds) = (epoch()?, epoch()?);
    let plan = model.plan_summary(&data, 32)?;
    let shared = plan.lines().filter(|line| line.starts_with('+')).count();
    let launches = plan.lines().count();
    let device = device.info().to_string();
    Ok(FirstStep { device, layers, first_seconds, second_seconds, launches, dispatches: launches - shared })
}

impl FirstStep {
    /// One line.
    pub fn text(&self) -> String {
        format!(
            "{} layers of {UNITS} on {}: first epoch {:.3} s, second {:.3} s; {} launches in {} dispatches\n",
            self.layers, self.device, self.first_seconds, self.second_seconds, self.launches, self.dispatches
        )
    }
}
