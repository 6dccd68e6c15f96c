//! The report as text for people.

use std::collections::BTreeMap;
use std::fmt;

use super::report::{Check, Inventory, Outcome, Part, Report, Speed};

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Passed => "ok",
            Outcome::Noted => "note",
            Outcome::Skipped => "skipped",
            Outcome::Failed => "FAILED",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        inventory(f, &self.device)?;
        for part in &self.parts {
            checks(f, part)?;
        }
        self.speed.iter().try_for_each(|found| speed(f, found))?;
        writeln!(f, "\nVerdict ({:.1} s)", self.seconds)?;
        self.verdict.sentences.iter().try_for_each(|sentence| writeln!(f, "  {sentence}"))?;
        self.verdict.report.iter().try_for_each(|sentence| writeln!(f, "  {sentence}"))
    }
}

fn inventory(f: &mut fmt::Formatter<'_>, device: &Inventory) -> fmt::Result {
    writeln!(f, "Device: {} ({}, {}, {})", device.name, device.kind, device.backend, device.driver)?;
    if device.others.len() > 1 {
        writeln!(f, "  This machine has {}", device.others.join("; "))?;
    }
    for limit in device.limits.iter().filter(|limit| !limit.costs.is_empty()) {
        writeln!(f, "  {} {} of {}: {}", limit.name, limit.found, limit.wanted, limit.costs)?;
    }
    for feature in &device.features {
        writeln!(f, "  {:<15} {:<3} {}", feature.name, if feature.on { "on" } else { "off" }, feature.what)?;
    }
    if device.tutorial.is_empty() {
        return Ok(());
    }
    writeln!(f, "  The tutorial's step (784-512-10, batches of 128):")?;
    for launch in &device.tutorial {
        let joins = if launch.joins { "+" } else { " " };
        write!(f, "  {joins} {:<34}", launch.label)?;
        match (&launch.tiling, &launch.why) {
            (Some(tiling), Some(why)) => writeln!(f, " {tiling}: {why}")?,
            _ => writeln!(f, " {}", launch.operation)?,
        }
    }
    Ok(())
}

fn checks(f: &mut fmt::Formatter<'_>, part: &Part) -> fmt::Result {
    let end = if part.finished { "" } else { ", not all of it" };
    writeln!(f, "\n{} ({:.1} s{end})", part.title(), part.seconds)?;
    for (form, together) in groups(part) {
        let launches: usize = together.iter().map(|check| check.launches).sum();
        let worst = together.iter().filter_map(|check| Some((check.share?, &check.name)));
        let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0));
        let worst = worst.map_or(String::new(), |(share, name)| {
            format!(", at most {:.1} % of the tolerance ({name})", 100.0 * share)
        });
        let count = together.len();
        writeln!(f, "  {:<7} {form}: {count} operations, {launches} launches{worst}", Outcome::Passed)?;
    }
    for check in part.checks.iter().filter(|check| check.launches == 0 || check.outcome != Outcome::Passed) {
        writeln!(f, "  {:<7} {}: {}", check.outcome, check.title(), check.detail)?;
    }
    Ok(())
}

/// Operations that are right, by their form; what is known of a tiling is one line for all tilings.
pub(super) fn groups(part: &Part) -> BTreeMap<String, Vec<&Check>> {
    let mut groups: BTreeMap<String, Vec<&Check>> = BTreeMap::new();
    for check in part.checks.iter().filter(|check| check.launches > 0 && check.outcome == Outcome::Passed) {
        groups.entry(group(check)).or_default().push(check);
    }
    groups
}

/// The first two words of a form, and whether there is a tiling.
fn group(check: &Check) -> String {
    let form = check.form.as_deref().unwrap_or_default();
    let mut words = form.splitn(3, ", ");
    let (precision, way) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match words.next() {
        Some(_) => format!("{precision}, {way}, by tiling"),
        None => format!("{precision}, {way}"),
    }
}

fn speed(f: &mut fmt::Formatter<'_>, speed: &Speed) -> fmt::Result {
    for (name, value) in speed.figures() {
        writeln!(f, "  {name:<64} {value}")?;
    }
    for found in &speed.threads {
        writeln!(f, "  {:<64} {}", format!("a step on {} threads", found.threads), time(found.step_seconds))?;
    }
    for step in &speed.steps {
        let predicted =
            step.predicted_seconds.map_or(String::new(), |seconds| format!(" (predicted {})", time(seconds)));
        let name = format!("the tutorial's step, {} in {}", step.device, step.precision);
        writeln!(f, "  {name:<64} {}{predicted}", time(step.seconds))?;
        for launch in &step.launches {
            let Some(seconds) = launch.seconds else { continue };
            let predicted =
                launch.predicted_seconds.map_or(String::new(), |seconds| format!(" (predicted {})", time(seconds)));
            writeln!(f, "    {:<62} {}{predicted}", launch.label, time(seconds))?;
        }
    }
    Ok(())
}

/// Seconds with a unit that suits them.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", 1e3 * s),
        s if s >= 1e-5 => format!("{:.0} us", 1e6 * s),
        s => format!("{:.1} us", 1e6 * s),
    }
}

/// An amount a second with a unit that suits it.
pub(super) fn rate(amount: f64, unit: &str) -> String {
    match amount {
        a if a >= 1e12 => format!("{:.1} T{unit}", 1e-12 * a),
        a => format!("{:.1} G{unit}", 1e-9 * a),
    }
}
