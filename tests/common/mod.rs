//! What the programs that test the library share: a suite whose trials run on every device, small data sets, and
//! comparisons. A trial that needs a GPU is shown as ignored where there is none, never as passed.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod gpus;

use libtest_mimic::{Arguments, Failed, Trial};
use wgrad::data::{Inputs, Targets};
use wgrad::{Activation, Dataset, Dense, Device, Error, Model, Sequential, wgpu};

/// What a trial's body returns: assertions panic, which the harness reports; the rest is an error.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

type Body = fn(&Device) -> Outcome;

/// Trials in the making, and the one GPU device that they share, so that each pipeline is compiled once.
pub struct Suite {
    gpu: Option<Device>,
    /// The same GPU with its matrix units switched on, if it has some.
    cooperative: Option<Device>,
    trials: Vec<Trial>,
}

impl Suite {
    pub fn new() -> Self {
        Suite { gpu: gpus::gpu(), cooperative: gpus::cooperative_gpu(), trials: Vec::new() }
    }

    pub fn everywhere(&mut self, name: &str, body: Body) {
        self.on_cpu(name, body);
        self.on_gpu(name, body);
    }

    pub fn on_cpu(&mut self, name: &str, body: Body) {
        self.add(format!("{}::cpu", short(name)), Some(Device::cpu()), body);
    }

    pub fn on_gpu(&mut self, name: &str, body: Body) {
        self.add(format!("{}::gpu", short(name)), self.gpu.clone(), body);
    }

    /// On the GPU, if it has half precision.
    pub fn in_half(&mut self, name: &str, body: Body) {
        let device = self.gpu.clone().filter(|gpu| gpu.info().has_half_precision());
        self.add(format!("{}::half", short(name)), device, body);
    }

    /// On the GPU's matrix units, if it has some, in half precision as well.
    pub fn on_matrix_units(&mut self, name: &str, body: Body) {
        self.add(format!("{}::cooperative", short(name)), self.cooperative.clone(), body);
    }

    fn add(&mut self, name: String, device: Option<Device>, body: Body) {
        let missing = device.is_none();
        let run = move || match &device {
            Some(device) => body(device).map_err(|error| Failed::from(error.to_string())),
            None => Err("no GPU adapter".into()),
        };
        self.trials.push(Trial::test(name, run).with_ignored_flag(missing));
    }

    /// For trials that measure the whole process.
    pub fn run_one_by_one(self) -> ! {
        let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
        libtest_mimic::run(&arguments, self.trials).exit()
    }

    pub fn run(self) -> ! {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit()
    }
}

/// Without the test program's own name.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// `trials!(suite.everywhere: this, that)` registers the functions under their names.
macro_rules! trials {
    ($suite:ident.$devices:ident: $($body:ident),* $(,)?) => {
        $($suite.$devices(concat!(module_path!(), "::", stringify!($body)), $body);)*
    };
}
pub(crate) use trials;

/// A wgpu device of the test's own, with these limits and features: what a host program brings along.
pub fn host_device(
    required_limits: wgpu::Limits,
    required_features: wgpu::Features,
) -> Result<(wgpu::Device, wgpu::Queue), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let descriptor = wgpu::DeviceDescriptor { required_limits, required_features, ..Default::default() };
    Ok(pollster::block_on(adapter.request_device(&descriptor))?)
}

/// Numbers in ±1 that look random: a Weyl sequence through a mixing function, the same on every machine.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mix = |index: u64| {
        let mut z = (index + 1).wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count as u64).map(mix).collect()
}

/// Class ids that a net can learn: which of the first numbers of a row is the largest.
pub fn ids(inputs: &[f32], features: usize, classes: usize) -> Vec<u32> {
    let largest = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0) as u32;
    inputs.chunks_exact(features).map(largest).collect()
}

/// Floats with class ids.
pub fn labelled(samples: usize, features: usize, classes: usize) -> Dataset {
    let inputs = numbers(samples * features, 1);
    let ids = ids(&inputs, features, classes);
    Dataset::from_classes(inputs, features, ids, classes).expect("a valid data set")
}

/// Floats with target rows between 0 and 1, which every loss can take.
pub fn with_rows(samples: usize, features: usize, width: usize) -> Dataset {
    let targets = numbers(samples * width, 2).iter().map(|x| 0.5 + 0.5 * x).collect();
    Dataset::from_rows(numbers(samples * features, 1), features, targets, width).expect("a valid data set")
}

/// Positive numbers in rows of so many, each row divided by its sum: soft labels.
pub fn shares(numbers: &[f32], width: usize) -> Vec<f32> {
    let whole = |row: &[f32]| row.iter().map(|x| x.abs()).sum::<f32>();
    numbers.chunks_exact(width).flat_map(|row| row.iter().map(move |x| x.abs() / whole(row))).collect()
}

/// A set with soft labels, which suit every loss.
pub fn with_shares(samples: usize, features: usize, width: usize) -> Dataset {
    let targets = shares(&numbers(samples * width, 2), width);
    Dataset::from_rows(numbers(samples * features, 1), features, targets, width).expect("a valid data set")
}

/// Bytes or floats, ids or rows, weighted or not.
pub fn every_format(samples: usize, features: usize, classes: usize) -> wgrad::Result<Vec<Dataset>> {
    let floats = numbers(samples * features, 3);
    let bytes: Vec<u8> = floats.iter().map(|x| (127.5 * (x + 1.0)) as u8).collect();
    let inputs = [Inputs::Floats(floats.clone().into()), Inputs::Bytes { values: bytes.into(), scale: 1.0 / 255.0 }];
    let targets = [
        Targets::Classes { ids: ids(&floats, features, classes).into(), classes },
        Targets::Rows { values: shares(&numbers(samples * classes, 4), classes).into(), width: classes },
    ];
    let mut sets = Vec::new();
    for inputs in inputs {
        for targets in &targets {
            let plain = Dataset::new(inputs.clone(), features, targets.clone())?;
            let weights = numbers(samples, 6).iter().map(|x| x.abs()).collect();
            sets.extend([plain.clone(), plain.with_sample_weights(weights)?]);
        }
    }
    Ok(sets)
}

/// Features, one hidden layer of tanh, softmax.
pub fn classifier(features: usize, hidden: usize, classes: usize) -> Sequential {
    Sequential::new(features)
        .add(Dense::new(hidden).activation(Activation::Tanh))
        .add(Dense::new(classes).activation(Activation::Softmax))
}

/// Every parameter, by name.
pub fn parameters(model: &Model) -> wgrad::Result<Vec<(String, Vec<f32>)>> {
    model.parameter_names().map(|(name, _)| Ok((name.to_string(), model.parameter(name)?))).collect()
}

/// Every parameter's bits, so that NaN and −0 count too.
pub fn bits(model: &Model) -> wgrad::Result<Vec<u32>> {
    Ok(parameters(model)?.into_iter().flat_map(|(_, values)| values).map(f32::to_bits).collect())
}

/// The error of a call that is refused with a message that says this among other things.
#[track_caller]
pub fn refused_for<T>(result: wgrad::Result<T>, part: &str) -> Error {
    let Err(error) = result else { panic!("accepted, expected: {part}") };
    let found = error.to_string();
    assert!(found.contains(part), "{found}\nshould say\n{part}");
    error
}

/// |found − expected| ≤ tolerance · (1 + |expected|) for every number.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(close, "{what}: number {index} is {found}, expected {expected}");
    }
}

/// The parameters of two models agree as in [`assert_close`].
#[track_caller]
pub fn assert_same_net(what: &str, found: &Model, expected: &Model, tolerance: f32) -> wgrad::Result<()> {
    for ((name, found), (_, expected)) in parameters(found)?.iter().zip(&parameters(expected)?) {
        assert_close(&format!("{what}: {name}"), found, expected, tolerance);
    }
    Ok(())
}

/// The call failed with exactly this message, or with one that begins so, where it ends in `…`: what an operating system
/// or a driver says differs.
#[track_caller]
pub fn refused<T>(result: wgrad::Result<T>, message: &str) -> Error {
    let Err(error) = result else { panic!("accepted, expected: {message}") };
    let found = error.to_string();
    match message.strip_suffix('…') {
        Some(start) => assert!(found.starts_with(start), "{found}\nshould begin with\n{start}"),
        None => assert_eq!(found, message),
    }
    error
}

/// A model's file as versions wrote it that knew no digests: it loads, whatever is changed in it.
pub fn without_digests(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (length, rest) = bytes.split_at(8);
    let (header, numbers) = rest.split_at(u64::from_le_bytes(length.try_into()?) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header)?;
    let text = header["__metadata__"]["wgrad"].as_str().expect("a description");
    let mut description: serde_json::Value = serde_json::from_str(text)?;
    description.as_object_mut().expect("an object").remove("sha256").expect("digests");
    header["__metadata__"]["wgrad"] = description.to_string().into();
    let header = serde_json::to_vec(&header)?;
    Ok([&(header.len() as u64).to_le_bytes()[..], &header, numbers].concat())
}
