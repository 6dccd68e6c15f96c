//! The command line, the clock and the line of JSON at the end, as scripts/compare wants them. burn's and
//! meganeura's peers use this file too.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// What the command line says.
pub struct Arguments {
    pub workload: String,
    pub hidden: Vec<usize>,
    pub batch_size: usize,
    pub device: String,
    /// Whole batches only, as wgrad's benchmark has them.
    pub samples: usize,
    seconds: f64,
    repeats: usize,
    /// When the process began, in seconds since 1970.
    started: f64,
}

/// What is measured. Each call returns when the device is done; the last two return loss and accuracy, which is `None`
/// where the engine does not count correct answers.
pub trait Peer {
    fn first_step(&mut self);
    fn epochs(&mut self, count: usize) -> (f64, Option<f64>);
    fn evaluate(&mut self) -> (f64, Option<f64>);
}

impl Arguments {
    /// `--NAME VALUE` pairs.
    pub fn read() -> Self {
        let now = seconds_since_1970();
        let words: Vec<String> = std::env::args().skip(1).collect();
        let value = |name: &str, default: &str| {
            let found = words.chunks_exact(2).find(|pair| pair[0] == format!("--{name}"));
            found.map_or_else(|| default.to_owned(), |pair| pair[1].clone())
        };
        let workload = value("workload", "tutorial");
        let (hidden, batch_size) = match workload.as_str() {
            "tutorial" => (vec![512], 128),
            "wide" => (vec![2048, 2048], 4096),
            other => panic!("--workload: expected tutorial or wide, found {other}"),
        };
        let samples: usize = value("samples", "60000").parse().expect("--samples N");
        Arguments {
            workload,
            hidden,
            batch_size,
            device: value("device", "cpu"),
            samples: (samples / batch_size).max(1) * batch_size,
            seconds: value("seconds", "1").parse().expect("--seconds S"),
            repeats: value("repeats", "5").parse().expect("--repeats N"),
            started: std::env::var("PEER_STARTED").ok().and_then(|text| text.parse().ok()).unwrap_or(now),
        }
    }

    /// Measures a peer and prints the report. `engine` is its name, version and device.
    pub fn measure(&self, mut peer: impl Peer, engine: [&str; 3], source: &str) {
        peer.first_step();
        let first_step = seconds_since_1970() - self.started;
        let (training, (loss, accuracy)) = self.rates(|count| peer.epochs(count));
        let (evaluation, _) = self.rates(|count| (0..count).map(|_| peer.evaluate()).last().unwrap_or_default());
        let report = json!({
            "peer": engine[0],
            "version": engine[1],
            "device": engine[2],
            "workload": self.workload,
            "batch_size": self.batch_size,
            "samples": self.samples,
            "data": source,
            "samples_per_second": training,
            "since_start_seconds": first_step,
            "evaluate_samples_per_second": evaluation,
            "peak_rss_bytes": peak_rss_bytes(),
            "loss": loss,
            "accuracy": accuracy,
        });
        println!("{report}");
    }

    /// Samples a second over the repeats, and what the last call returned. The first call only warms up.
    fn rates<T>(&self, mut call: impl FnMut(usize) -> T) -> (Value, T) {
        call(1);
        let clock = Instant::now();
        let mut result = call(1);
        let count = (self.seconds / clock.elapsed().as_secs_f64()).round().max(1.0) as usize;
        let mut rates: Vec<f64> = Vec::new();
        for _ in 0..self.repeats {
            let clock = Instant::now();
            result = call(count);
            rates.push((count * self.samples) as f64 / clock.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        let last = rates.len() - 1;
        // The mean of the two in the middle, which are the same one where the count is odd.
        let median = (rates[rates.len() / 2] + rates[last / 2]) / 2.0;
        (json!({"median": median, "min": rates[0], "max": rates[last], "repeats": rates.len()}), result)
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Known on Linux only.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}
