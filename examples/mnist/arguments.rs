//! The command line: what each flag means, its default, and what is said where one is wrong. Whether a device or a file
//! exists is found out later, by those who open it.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lexopt::{Arg, Parser};
use wgrad::{Activation, MAX_BATCH_SIZE, Optimizer, Precision};

/// What `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// What is wrong with the command line: the message of exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        match error {
            lexopt::Error::MissingValue { option: Some(flag) } => wrong(&flag, "a value", "none"),
            lexopt::Error::UnexpectedValue { option, value } => wrong(&option, "no value", format!("{value:?}")),
            other => Usage(other.to_string()),
        }
    }
}

/// What the user wants.
#[derive(Debug)]
pub enum Request {
    Help,
    ListDevices,
    Train(Box<Arguments>),
}

/// One layer of `--layers`.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub units: usize,
    pub activation: Activation,
}

#[derive(Debug)]
pub struct Arguments {
    pub device: String,
    pub data: Option<PathBuf>,
    pub synthetic: bool,
    pub limit: Option<usize>,
    pub layers: Vec<Layer>,
    pub init: Option<PathBuf>,
    pub save: Option<PathBuf>,
    pub resume: Option<PathBuf>,
    /// By its name, since that is printed too.
    pub optimizer: String,
    pub learning_rate: Option<f32>,
    pub epochs: usize,
    pub batch_size: usize,
    pub seed: u64,
    pub precision: Precision,
    pub cooperative_matrices: bool,
    pub shuffle: bool,
    pub tune: bool,
    pub verify: bool,
    pub history: Option<PathBuf>,
    pub json: bool,
    pub quiet: bool,
}

impl Default for Arguments {
    /// The tutorial as it is.
    fn default() -> Self {
        Arguments {
            device: "best".into(),
            data: None,
            synthetic: false,
            limit: None,
            layers: vec![
                Layer { units: 512, activation: Activation::Relu },
                Layer { units: 10, activation: Activation::Softmax },
            ],
            init: None,
            save: None,
            resume: None,
            optimizer: "rmsprop".into(),
            learning_rate: None,
            epochs: 5,
            batch_size: 128,
            seed: 0,
            precision: Precision::F32,
            cooperative_matrices: false,
            shuffle: true,
            tune: false,
            verify: false,
            history: None,
            json: false,
            quiet: false,
        }
    }
}

impl Arguments {
    /// The optimizer that the flags describe.
    pub fn optimizer(&self) -> wgrad::Result<Optimizer> {
        let optimizer: Optimizer = self.optimizer.parse()?;
        Ok(match self.learning_rate {
            Some(rate) => optimizer.with_learning_rate(rate),
            None => optimizer,
        })
    }

    /// The flags that go on with this training from its file, which knows the net and how it is trained.
    pub fn resumption(&self, file: &Path) -> Vec<String> {
        let mut flags =
            vec!["--resume".to_owned(), file.display().to_string(), "--device".to_owned(), self.device.clone()];
        let mut with = |flag: &str, value: Option<String>| {
            flags.extend(value.map(|value| [format!("--{flag}"), value]).into_iter().flatten());
        };
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        with("data", text(&self.data));
        with("limit", self.limit.map(|limit| limit.to_string()));
        with("layers", self.data.as_ref().map(|_| format!("{}:softmax", self.outputs())));
        with("save", text(&self.save));
        with("history", text(&self.history));
        let switches = [
            ("synthetic", self.synthetic),
            ("cooperative-matrices", self.cooperative_matrices),
            ("json", self.json),
            ("quiet", self.quiet),
        ];
        flags.extend(switches.iter().filter(|(_, on)| *on).map(|(flag, _)| format!("--{flag}")));
        if self.cooperative_matrices {
            flags.extend(["--precision".to_owned(), self.precision.to_string()]);
        }
        flags
    }

    /// Outputs of the last layer, one a class.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    /// What no flag can be asked alone.
    fn check(&self) -> Result<(), Usage> {
        if self.synthetic && self.data.is_some() {
            return Err(Usage("expected --data or --synthetic, found both".into()));
        }
        if self.resume.is_some() && (self.init.is_some() || self.verify) {
            let found = if self.verify { "--verify" } else { "--init" };
            return Err(wrong("--resume", "neither --init nor --verify beside it", found));
        }
        if self.cooperative_matrices && self.precision != Precision::F16 {
            return Err(wrong("--cooperative-matrices", "--precision f16 beside it", self.precision));
        }
        match self.layers.last() {
            Some(Layer { activation: Activation::Softmax, .. }) => Ok(()),
            last => {
                let expected = "a last layer with softmax, which categorical cross-entropy needs";
                Err(wrong("--layers", expected, last.map_or("none".into(), |last| last.activation.to_string())))
            }
        }
    }
}

/// Reads a whole command line.
pub fn parse(mut parser: Parser) -> Result<Request, Usage> {
    let mut chosen = Arguments::default();
    let mut list = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("list-devices") => list = true,
            Arg::Long("synthetic") => chosen.synthetic = true,
            Arg::Long("no-shuffle") => chosen.shuffle = false,
            Arg::Long("tune") => chosen.tune = true,
            Arg::Long("cooperative-matrices") => chosen.cooperative_matrices = true,
            Arg::Long("verify") => chosen.verify = true,
            Arg::Long("json") => chosen.json = true,
            Arg::Long("quiet") => chosen.quiet = true,
            Arg::Long(flag) => {
                let flag = flag.to_owned();
                set(&mut chosen, &flag, &mut parser)?;
            }
            Arg::Short(letter) => return Err(unknown(format!("-{letter}"))),
            Arg::Value(value) => return Err(unknown(value.display())),
        }
    }
    chosen.check()?;
    Ok(if list { Request::ListDevices } else { Request::Train(Box::new(chosen)) })
}

/// Takes a flag that has a value.
fn set(chosen: &mut Arguments, flag: &str, parser: &mut Parser) -> Result<(), Usage> {
    let name = format!("--{flag}");
    let mut value = || parser.value().map_err(Usage::from);
    match flag {
        "device" => chosen.device = text(&name, "best, cpu, gpu or a part of a name", value()?)?,
        "data" => chosen.data = Some(value()?.into()),
        "limit" => chosen.limit = Some(number(&name, 1.., value()?)?),
        "layers" => chosen.layers = layers(&name, &text(&name, "a list such as 512:relu,10:softmax", value()?)?)?,
        "init" => chosen.init = Some(value()?.into()),
        "save" => chosen.save = Some(value()?.into()),
        "resume" => chosen.resume = Some(value()?.into()),
        "optimizer" => {
            chosen.optimizer = text(&name, "a name such as rmsprop", value()?)?;
            chosen.optimizer.parse::<Optimizer>().map_err(|error| Usage(format!("--{error}")))?;
        }
        "learning-rate" => chosen.learning_rate = Some(rate(&name, value()?)?),
        "epochs" => chosen.epochs = number(&name, 0.., value()?)?,
        "batch-size" => chosen.batch_size = number(&name, 1..=MAX_BATCH_SIZE, value()?)?,
        "seed" => chosen.seed = number(&name, 0.., value()?)?,
        "precision" => {
            let name = text(&name, "f32 or f16", value()?)?;
            chosen.precision = name.parse().map_err(|error| Usage(format!("--{error}")))?;
        }
        "history" => chosen.history = Some(value()?.into()),
        _ => return Err(unknown(name)),
    }
    Ok(())
}

fn text(flag: &str, expected: &str, value: OsString) -> Result<String, Usage> {
    match value.into_string() {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(text) => Err(wrong(flag, expected, format!("{text:?}"))),
        Err(raw) => Err(wrong(flag, expected, format!("{raw:?}"))),
    }
}

fn number<T>(flag: &str, range: impl RangeBounds<T>, value: OsString) -> Result<T, Usage>
where
    T: FromStr + PartialOrd + Display,
{
    match value.to_str().and_then(|text| text.parse().ok()) {
        Some(number) if range.contains(&number) => Ok(number),
        _ => {
            let bound = |word: &str, bound| match bound {
                Bound::Included(limit) | Bound::Excluded(limit) => format!(" {word} {limit}"),
                Bound::Unbounded => String::new(),
            };
            let (from, to) = (bound("from", range.start_bound()), bound("to", range.end_bound()));
            Err(wrong(flag, &format!("a whole number{from}{to}"), format!("{value:?}")))
        }
    }
}

fn rate(flag: &str, value: OsString) -> Result<f32, Usage> {
    match value.to_str().and_then(|text| text.parse::<f32>().ok()) {
        Some(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err(wrong(flag, "a finite number that is not negative", format!("{value:?}"))),
    }
}

fn layers(flag: &str, list: &str) -> Result<Vec<Layer>, Usage> {
    let layer = |text: &str| {
        let (units, activation) = text.split_once(':').unwrap_or((text, "linear"));
        let activation = activation.parse().map_err(|error| Usage(format!("{flag}: {error}")))?;
        match units.parse() {
            Ok(units) if units > 0 => Ok(Layer { units, activation }),
            _ => Err(wrong(flag, "UNITS:ACTIVATION with at least one unit, as in 512:relu", format!("{text:?}"))),
        }
    };
    list.split(',').map(layer).collect()
}

fn unknown(found: impl Display) -> Usage {
    Usage(format!("expected one of the flags that --help lists, found {found}"))
}

fn wrong(flag: &str, expected: &str, found: impl Display) -> Usage {
    Usage(format!("{flag}: expected {expected}, found {found}"))
}
