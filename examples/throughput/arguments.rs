//! The command line: what each flag means, its default, and what is said where one is wrong.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::{Arg, Parser};
use wgrad::mnist;
use wgrad::{Activation, Device, DeviceInfo, DeviceOptions, InstructionSet, MAX_BATCH_SIZE, Model, Precision};

use crate::Outcome;
use crate::workload::{Between, Layer, Workload};

/// What `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// What is wrong with the command line: the message of exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Usage(error.to_string())
    }
}

#[derive(Debug)]
pub struct Arguments {
    pub help: bool,
    pub devices: Vec<String>,
    pub workloads: Vec<Workload>,
    pub samples: usize,
    pub seconds: f64,
    pub repeats: usize,
    pub ceiling: usize,
    pub profile: bool,
    pub pipeline_cache: bool,
    pub tune: bool,
    pub precision: Precision,
    pub threads: Option<usize>,
    pub instructions: Option<InstructionSet>,
    pub cooperative_matrices: bool,
    pub plot: Option<PathBuf>,
    pub batches: Vec<usize>,
    pub widths: Vec<usize>,
    pub stream_gb: Option<f64>,
    pub first_step: Option<Vec<usize>>,
    pub json: Option<PathBuf>,
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments {
            help: false,
            devices: Vec::new(),
            workloads: Vec::new(),
            samples: 60_000,
            seconds: 1.0,
            repeats: 5,
            ceiling: 2048,
            profile: false,
            pipeline_cache: false,
            tune: false,
            precision: Precision::F32,
            threads: None,
            instructions: None,
            cooperative_matrices: false,
            plot: None,
            batches: vec![32, 128, 512, 2048, 8192],
            widths: vec![64, 128, 256, 512, 1024, 2048],
            stream_gb: None,
            first_step: None,
            json: None,
        }
    }
}

impl Arguments {
    fn options(&self) -> DeviceOptions {
        let mut options =
            Device::options().pipeline_cache(self.pipeline_cache).cooperative_matrices(self.cooperative_matrices);
        if let Some(threads) = self.threads {
            options = options.threads(threads);
        }
        match self.instructions {
            Some(set) => options.instruction_set(set),
            None => options,
        }
    }

    /// Opens a device as the flags say.
    pub fn open(&self, name: &str) -> Outcome<Device> {
        let device = self.options().named(name)?;
        let info = device.info();
        if self.cooperative_matrices && info.cooperative_matrix.is_none() {
            let expected = "matrix units that wgrad can use";
            return Err(format!("--cooperative-matrices: expected {expected}, found none on {info}").into());
        }
        Ok(device)
    }

    /// Whether `--device all` passes over a device, because it has not what other flags ask for.
    pub fn passes_over(&self, info: &DeviceInfo) -> bool {
        let lacks_units = |device: Device| device.info().cooperative_matrix.is_none();
        // Matrix units show when a device is opened. One that does not open is not passed over: that is an error.
        self.precision == Precision::F16 && !info.has_half_precision()
            || self.cooperative_matrices && self.options().gpu_named(&info.name).is_ok_and(lacks_units)
    }

    /// A workload's net on a device, as the flags say.
    pub fn compile(&self, workload: &Workload, device: &Device) -> wgrad::Result<Model> {
        let mut model = workload.compile(device)?;
        model.set_precision(self.precision)?;
        Ok(model)
    }
}

/// Flags that only make sense together.
#[derive(Default)]
struct Net {
    layers: Option<Vec<Layer>>,
    batch_size: Option<usize>,
    between: Option<Between>,
    accumulate: Option<usize>,
}

/// Reads a whole command line.
pub fn parse(mut parser: Parser) -> Result<Arguments, Usage> {
    let (mut chosen, mut net) = (Arguments::default(), Net::default());
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => chosen.help = true,
            Arg::Long("profile") => chosen.profile = true,
            Arg::Long("pipeline-cache") => chosen.pipeline_cache = true,
            Arg::Long("tune") => chosen.tune = true,
            Arg::Long("cooperative-matrices") => chosen.cooperative_matrices = true,
            Arg::Long(flag) => {
                let flag = flag.to_owned();
                set(&mut chosen, &mut net, &flag, parser.value()?)?;
            }
            other => return Err(Usage(other.unexpected().to_string())),
        }
    }
    finish(chosen, net)
}

/// Takes a flag that has a value.
fn set(chosen: &mut Arguments, net: &mut Net, flag: &str, value: OsString) -> Result<(), Usage> {
    let name = format!("--{flag}");
    let text = value.to_str().ok_or_else(|| wrong(&name, "text", format!("{value:?}")))?;
    match flag {
        "device" => chosen.devices.push(text.into()),
        "workload" => chosen.workloads.extend(workloads(&name, text)?),
        "layers" => net.layers = Some(layers(&name, text)?),
        "between" => net.between = Some(text.parse().map_err(|error| Usage(format!("{name}: {error}")))?),
        "accumulate" => net.accumulate = Some(number(&name, 1, text)?),
        "batch-size" => net.batch_size = Some(batch_size(&name, text)?),
        "samples" => chosen.samples = number(&name, 1, text)?,
        "threads" => chosen.threads = Some(number(&name, 1, text)?),
        "instructions" => {
            let set = text.parse().map_err(|error| Usage(format!("{name}: {error}")))?;
            chosen.instructions = Some(set);
        }
        "seconds" => chosen.seconds = above_zero(&name, text)?,
        "repeats" => chosen.repeats = number(&name, 1, text)?,
        "ceiling" => chosen.ceiling = number(&name, 0, text)?,
        "plot" => chosen.plot = Some(text.into()),
        "batches" => chosen.batches = text.split(',').map(|text| batch_size(&name, text)).collect::<Result<_, _>>()?,
        "widths" => chosen.widths = text.split(',').map(|text| number(&name, 1, text)).collect::<Result<_, _>>()?,
        "stream-gb" => chosen.stream_gb = Some(above_zero(&name, text)?),
        "first-step" => {
            let depths = text.split(',').map(|text| number(&name, 1, text));
            chosen.first_step = Some(depths.collect::<Result<_, _>>()?);
        }
        "precision" => chosen.precision = text.parse().map_err(|error| Usage(format!("--{error}")))?,
        "json" => chosen.json = Some(text.into()),
        _ => return Err(Usage(format!("expected one of the flags that --help lists, found {name}"))),
    }
    Ok(())
}

/// What depends on several flags.
fn finish(mut chosen: Arguments, net: Net) -> Result<Arguments, Usage> {
    if let Some(layers) = net.layers {
        if !chosen.workloads.is_empty() {
            return Err(Usage("expected --workload or --layers, found both".into()));
        }
        let batch_size = net.batch_size.unwrap_or(Workload::tutorial().batch_size);
        chosen.workloads = vec![Workload { layers, ..Workload::with_hidden("custom", &[], batch_size) }];
    }
    if chosen.cooperative_matrices && chosen.precision != Precision::F16 {
        return Err(wrong("--cooperative-matrices", "--precision f16 beside it", chosen.precision));
    }
    let off_pixels = chosen.workloads.iter().find(|workload| workload.inputs != mnist::PIXELS);
    if let (Some(_), Some(workload)) = (chosen.stream_gb, off_pixels) {
        return Err(wrong("--stream-gb", "a net on 784 inputs", &workload.name));
    }
    if chosen.workloads.is_empty() {
        chosen.workloads = vec![Workload::tutorial(), Workload::wide()];
    }
    for workload in &mut chosen.workloads {
        workload.between = net.between;
        workload.accumulate = net.accumulate.unwrap_or(1) as u32;
    }
    if let Some(batch_size) = net.batch_size {
        chosen.workloads.iter_mut().for_each(|workload| workload.batch_size = batch_size);
    }
    if chosen.devices.is_empty() {
        chosen.devices.push("best".into());
    }
    Ok(chosen)
}

fn workloads(flag: &str, name: &str) -> Result<Vec<Workload>, Usage> {
    let all = Workload::all();
    match name {
        "all" => Ok(all),
        "small" => Ok(Workload::small().into()),
        name => match all.iter().find(|workload| workload.name == name) {
            Some(workload) => Ok(vec![workload.clone()]),
            None => {
                let names: Vec<_> = all.iter().map(|workload| workload.name.as_str()).collect();
                Err(wrong(flag, &format!("{}, small or all", names.join(", ")), format!("{name:?}")))
            }
        },
    }
}

fn layers(flag: &str, list: &str) -> Result<Vec<Layer>, Usage> {
    let layer = |text: &str| {
        let (units, activation) = text.split_once(':').unwrap_or((text, "linear"));
        let activation = activation.parse().map_err(|error| Usage(format!("{flag}: {error}")))?;
        Ok(Layer { units: number(flag, 1, units)?, activation })
    };
    let layers: Vec<Layer> = list.split(',').map(layer).collect::<Result<_, Usage>>()?;
    match layers.last() {
        Some(Layer { activation: Activation::Softmax, .. }) => Ok(layers),
        _ => Err(wrong(flag, "a last layer with softmax, as in 512:relu,10:softmax", format!("{list:?}"))),
    }
}

fn batch_size(flag: &str, text: &str) -> Result<usize, Usage> {
    match number(flag, 1, text)? {
        size if size <= MAX_BATCH_SIZE => Ok(size),
        size => Err(wrong(flag, &format!("at most {MAX_BATCH_SIZE}"), size)),
    }
}

fn above_zero(flag: &str, text: &str) -> Result<f64, Usage> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err(wrong(flag, "a number above 0", format!("{text:?}"))),
    }
}

fn number<T: FromStr + PartialOrd + Display>(flag: &str, least: T, text: &str) -> Result<T, Usage> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(wrong(flag, &format!("a whole number from {least}"), format!("{text:?}"))),
    }
}

fn wrong(flag: &str, expected: &str, found: impl Display) -> Usage {
    Usage(format!("{flag}: expected {expected}, found {found}"))
}
