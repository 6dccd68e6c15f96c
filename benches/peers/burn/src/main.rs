//! The benchmark's nets in burn: samples and the epoch's order on the device, nothing read back within an epoch.

mod data;
mod peer;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use burn::tensor::Device;
use peer::Peer;
use serde_json::{Value, json};

/// What the command line says.
struct Arguments {
    workload: String,
    hidden: Vec<usize>,
    batch_size: usize,
    device: String,
    samples: usize,
    seconds: f64,
    repeats: usize,
}

fn main() {
    let began = seconds_since_1970();
    let started = std::env::var("PEER_STARTED").ok().and_then(|text| text.parse().ok()).unwrap_or(began);
    let arguments = arguments();
    let samples = data::load(arguments.samples);
    let source = samples.source;
    let mut peer = Peer::new(&samples, &arguments.hidden, arguments.batch_size, &device(&arguments.device));
    peer.first_step();
    let first_step = seconds_since_1970() - started;
    let training = rates(&arguments, |count| peer.epochs(count));
    let evaluation = rates(&arguments, |count| (0..count).map(|_| peer.evaluate()).last().unwrap_or_default());
    let (loss, accuracy) = training.1;
    let report = json!({
        "peer": "burn",
        "version": "0.22.1",
        "device": if arguments.device == "cpu" { "flex (CPU)" } else { "wgpu" },
        "workload": arguments.workload,
        "batch_size": arguments.batch_size,
        "samples": arguments.samples,
        "data": source,
        "samples_per_second": training.0,
        "since_start_seconds": first_step,
        "evaluate_samples_per_second": evaluation.0,
        "peak_rss_bytes": peak_rss_bytes(),
        "loss": loss,
        "accuracy": accuracy,
    });
    println!("{report}");
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// `--NAME VALUE` pairs.
fn arguments() -> Arguments {
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
        // Whole batches only, as wgrad's benchmark has them.
        samples: (samples / batch_size).max(1) * batch_size,
        seconds: value("seconds", "1").parse().expect("--seconds S"),
        repeats: value("repeats", "5").parse().expect("--repeats N"),
    }
}

fn device(name: &str) -> Device {
    match name {
        #[cfg(feature = "cpu")]
        "cpu" => Device::flex(),
        #[cfg(feature = "gpu")]
        "gpu" => Device::wgpu(Default::default()),
        other => panic!("--device {other}: not built in; see this crate's features"),
    }
}

/// Samples a second over the repeats, and what the last call returned. The first call only warms up.
fn rates(arguments: &Arguments, mut call: impl FnMut(usize) -> (f64, f64)) -> (Value, (f64, f64)) {
    call(1);
    let clock = Instant::now();
    let mut result = call(1);
    let count = (arguments.seconds / clock.elapsed().as_secs_f64()).round().max(1.0) as usize;
    let mut rates: Vec<f64> = Vec::new();
    for _ in 0..arguments.repeats {
        let clock = Instant::now();
        result = call(count);
        rates.push((count * arguments.samples) as f64 / clock.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let last = rates.len() - 1;
    // The mean of the two in the middle, which are the same one where the count is odd.
    let median = (rates[rates.len() / 2] + rates[last / 2]) / 2.0;
    (json!({"median": median, "min": rates[0], "max": rates[last], "repeats": rates.len()}), result)
}

/// Known on Linux only.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}
