//! What an examination comes to, in a few plain sentences.

use super::report::{Check, LaunchTime, Outcome, Report, StepTime, Verdict};
use super::text::time;

/// Where reports go.
const WHERE: &str = "an issue of wgrad with the template \"A device that computes wrongly\"";

pub(super) fn of(report: &Report) -> Verdict {
    let failed: Vec<_> = report.failed().collect();
    let mut sentences = Vec::new();
    if report.device.kind == "not opened" {
        sentences.push(unopened(report));
    } else {
        sentences.push(summary(report, failed.len()));
        sentences.extend(failures(&failed));
        sentences.extend(unfinished(report));
        sentences.extend(advice(report, &failed));
    }
    let healthy = failed.is_empty();
    Verdict { healthy, sentences, report: (!healthy).then(|| what_to_report(report, &failed)) }
}

fn unopened(report: &Report) -> String {
    let reason = report.failed().next().map_or("no reason was given", |check| check.detail.as_str());
    let others = report.device.others.join("; ");
    format!("{} could not be opened: {reason}. This machine has {others}.", report.device.name)
}

fn summary(report: &Report, failed: usize) -> String {
    let made = report.checks().filter(|check| check.outcome != Outcome::Skipped).count();
    let launches: usize = report.checks().map(|check| check.launches).sum();
    match failed {
        0 => {
            format!("{} is all right: {made} checks, {launches} launches beside their references.", report.device.name)
        }
        1 => format!("1 of {made} checks failed on {}.", report.device.name),
        _ => format!("{failed} of {made} checks failed on {}.", report.device.name),
    }
}

/// What failed, by name; of many the first.
fn failures(failed: &[&Check]) -> Vec<String> {
    const MOST: usize = 5;
    let mut sentences: Vec<_> =
        failed.iter().take(MOST).map(|check| format!("{}: {}.", check.title(), check.detail)).collect();
    if failed.len() > MOST {
        sentences.push(format!("{} more are in the list of checks.", failed.len() - MOST));
    }
    sentences
}

fn unfinished(report: &Report) -> Option<String> {
    let parts: Vec<_> = report.parts.iter().filter(|part| !part.finished).map(|part| part.name.as_str()).collect();
    let which = parts.join(", ");
    (!parts.is_empty()).then(|| format!("Not all was examined, for want of time or of an answer: {which}."))
}

/// What not to trust, where something failed.
fn advice(report: &Report, failed: &[&Check]) -> Vec<String> {
    let mut sentences = Vec::new();
    let all = |holds: &dyn Fn(&Check, &str) -> bool| {
        !failed.is_empty() && failed.iter().all(|check| holds(check, check.form.as_deref().unwrap_or_default()))
    };
    let named = |name: &str| failed.iter().any(|check| check.name.starts_with(name));
    if all(&|check, form| form.contains("cooperative") || check.name.starts_with("matrix units")) {
        sentences.push("Leave the matrix units off (DeviceOptions::cooperative_matrices).".into());
    } else if all(&|_, form| form.starts_with("f16")) {
        sentences.push("Stay in Precision::F32: what is wrong is wrong in half precision alone.".into());
    } else if all(&|_, form| form.contains("sharing a dispatch")) {
        sentences.push("Model::set_fusion(false) avoids what is wrong: launches that share a dispatch.".into());
    } else if !failed.is_empty() {
        let sentence = "Do not trust results of this device; take the CPU device (Device::cpu) until this is mended.";
        sentences.push(sentence.into());
    }
    if named("indexes beyond") {
        sentences.push("Open it with DeviceOptions::index_checks(true).".into());
    }
    if failed.is_empty() {
        sentences.extend(choices(report));
    }
    sentences
}

/// What is hardly more than two measurements differ by.
const WORTHWHILE: f64 = 0.9;

/// How much longer than predicted a launch takes that may have a better tiling.
const SLOW: f64 = 4.0;

/// Which device to take and what to switch on, where nothing is wrong.
fn choices(report: &Report) -> Vec<String> {
    let software = report.device.kind == "software GPU";
    let Some(speed) = &report.speed else {
        let sentence = "It runs shaders on the CPU: it is for tests, and the CPU device (Device::cpu) is for training.";
        return software.then(|| sentence.to_string()).into_iter().collect();
    };
    let own = |precision: &str| {
        speed.steps.iter().find(|step| step.device == report.device.name && step.precision == precision)
    };
    let mut sentences = Vec::new();
    if let (Some(own), Some(other)) = (own("f32"), speed.steps.iter().find(|step| step.device != report.device.name)) {
        sentences.push(which(own, other, software));
    }
    if let (Some(single), Some(half)) = (own("f32"), own("f16")) {
        let units = report.device.features.iter().any(|feature| feature.name == "matrix units" && feature.on);
        sentences.push(in_half(single, half, units));
    }
    if let Some(threads) = speed.enough_threads.filter(|&enough| Some(enough) < report.device.threads) {
        let enough = if threads == 1 { "1 thread is".into() } else { format!("{threads} threads are") };
        sentences.push(format!("{enough} enough for the tutorial's net (Device::cpu_with_threads)."));
    }
    sentences.extend(own("f32").filter(|_| report.device.threads.is_none() && !software).and_then(slow));
    sentences
}

/// Which of two devices to take.
fn which(own: &StepTime, other: &StepTime, software: bool) -> String {
    let (take, call) = match (own.seconds <= other.seconds, software) {
        (true, true) => (own, "Device::gpu"),
        (true, false) => (own, "Device::best"),
        (false, _) => (other, "Device::cpu"),
    };
    let (mine, theirs) = (time(own.seconds), time(other.seconds));
    let (take, own, other) = (&take.device, &own.device, &other.device);
    format!("For nets as small as the tutorial's take {take} ({call}): a step is {mine} on {own}, {theirs} on {other}.")
}

/// Whether half precision is worth switching on.
fn in_half(single: &StepTime, half: &StepTime, units: bool) -> String {
    let units = if units { ", on matrix units (DeviceOptions::cooperative_matrices)" } else { "" };
    let (halves, singles) = (time(half.seconds), time(single.seconds));
    match half.seconds < WORTHWHILE * single.seconds {
        true => format!("Precision::F16 is right here{units}, and faster: {halves} a step instead of {singles}."),
        false => format!("Precision::F16 is right here{units}, but no faster for this net: {halves} a step."),
    }
}

/// A launch that takes much longer than it must: tuning may help.
fn slow(step: &StepTime) -> Option<String> {
    let excess = |launch: &LaunchTime| Some(launch.seconds? / launch.predicted_seconds.filter(|&least| least > 0.0)?);
    let products = step.launches.iter().filter(|launch| launch.flops > 0);
    let worst = products.filter_map(|launch| Some((excess(launch)?, launch))).max_by(|a, b| a.0.total_cmp(&b.0));
    let (times, launch) = worst.filter(|worst| worst.0 > SLOW)?;
    let label = &launch.label;
    Some(format!("Model::tune may help: {label} takes {times:.0} times what dispatch, memory and arithmetic must."))
}

fn what_to_report(report: &Report, failed: &[&Check]) -> String {
    let first = failed.first().map_or(String::new(), |check| check.title());
    format!(
        "Please open {WHERE}, name {} with driver {} and the check \"{first}\", and attach this report as JSON.",
        report.device.name,
        if report.device.driver.is_empty() { "unknown" } else { &report.device.driver },
    )
}
