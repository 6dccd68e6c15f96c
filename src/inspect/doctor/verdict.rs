//! What an examination comes to, in a few plain sentences.

use super::report::{Check, Outcome, Report, Verdict};

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
    let form = |check: &&&Check, part: &str| check.form.as_ref().is_some_and(|form| form.contains(part));
    let operations: Vec<_> = failed.iter().filter(|check| check.form.is_some()).collect();
    let mut sentences = Vec::new();
    let named = |name: &str| failed.iter().any(|check| check.name.starts_with(name));
    if !operations.is_empty() && operations.iter().all(|check| form(check, "cooperative")) || named("matrix units") {
        sentences.push("Leave the matrix units off (DeviceOptions::cooperative_matrices).".into());
    } else if !operations.is_empty() && operations.iter().all(|check| form(check, "f16")) {
        sentences.push("Stay in Precision::F32: what is wrong is wrong in half precision alone.".into());
    } else if !operations.is_empty() && operations.iter().all(|check| form(check, "sharing a dispatch")) {
        sentences.push("Model::set_fusion(false) avoids what is wrong: launches that share a dispatch.".into());
    } else if !failed.is_empty() {
        sentences.push(
            "Do not trust results of this device; take the CPU device (Device::cpu) until this is mended.".into(),
        );
    }
    if named("indexes beyond") {
        sentences.push("Open it with DeviceOptions::index_checks(true).".into());
    }
    if failed.is_empty() && report.device.kind == "software GPU" {
        sentences
            .push("It runs shaders on the CPU, so the CPU device (Device::cpu) is faster: it is for tests.".into());
    }
    sentences
}

fn what_to_report(report: &Report, failed: &[&Check]) -> String {
    let first = failed.first().map_or(String::new(), |check| check.title());
    format!(
        "Please open {WHERE}, name {} with driver {} and the check \"{first}\", and attach this report as JSON.",
        report.device.name,
        if report.device.driver.is_empty() { "unknown" } else { &report.device.driver },
    )
}
