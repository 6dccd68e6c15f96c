//! The report as a page: one file that needs nothing from elsewhere, light or dark as the reader has it, narrow or wide.

use std::fmt::Write;

use super::report::{Check, Inventory, Outcome, Part, Report, Speed, StepTime};
use super::text::{groups, rate, time};

const STYLE: &str = include_str!("page.css");

impl Report {
    /// The report as one page of HTML that needs nothing from elsewhere: what to send to somebody who reads.
    ///
    /// ```
    /// use wgrad::{Device, doctor::Doctor};
    ///
    /// let page = Doctor::new().quick(true).measure(false).examine(&Device::cpu()).to_html();
    /// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("CPU is all right"));
    /// ```
    pub fn to_html(&self) -> String {
        let mut page = Page(String::new());
        page.verdict(self);
        page.device(&self.device);
        if let Some(speed) = &self.speed {
            page.speed(speed);
        }
        for part in &self.parts {
            page.part(part);
        }
        let title = format!("wgrad's doctor: {}", escaped(&self.device.name));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
             </head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            page.0
        )
    }
}

/// The page so far.
struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn heading(&mut self, text: &str, aside: &str) {
        self.line(format_args!("<h2>{} <small>{}</small></h2>", escaped(text), escaped(aside)));
    }

    fn verdict(&mut self, report: &Report) {
        let (class, word) = if report.verdict.healthy { ("passed", "all right") } else { ("failed", "not all right") };
        self.line(format_args!("<header class=\"{class}\">"));
        self.line(format_args!("<p class=\"what\">wgrad {}, doctor</p>", escaped(&report.wgrad)));
        self.line(format_args!("<h1>{} <span class=\"pill {class}\">{word}</span></h1>", escaped(&report.device.name)));
        self.line(format_args!("<ul>"));
        for sentence in report.verdict.sentences.iter().chain(&report.verdict.report) {
            self.line(format_args!("<li>{}</li>", escaped(sentence)));
        }
        self.line(format_args!("</ul>"));
        let quick = if report.quick { "a quick examination" } else { "a whole examination" };
        self.line(format_args!("<p class=\"aside\">{quick}, {:.1} s</p>\n</header>", report.seconds));
    }

    fn device(&mut self, device: &Inventory) {
        self.heading("What there is", &device.kind);
        self.line(format_args!("<dl>"));
        for (name, value) in [("backend", &device.backend), ("driver", &device.driver), ("system", &device.system)] {
            self.line(format_args!("<dt>{name}</dt><dd>{}</dd>", escaped(value)));
        }
        for feature in &device.features {
            let class = if feature.on { "passed" } else { "skipped" };
            let state = if feature.on { "on" } else { "off" };
            let (name, what) = (escaped(&feature.name), escaped(&feature.what));
            self.line(format_args!("<dt>{name}</dt><dd><span class=\"pill {class}\">{state}</span> {what}</dd>"));
        }
        self.line(format_args!("</dl>"));
        if !device.limits.is_empty() {
            self.table(&["limit", "here", "needed", "wanted", "what the lack costs"]);
            for limit in &device.limits {
                let numbers = [limit.found, limit.needed, limit.wanted].map(amount);
                self.row(&[&limit.name, &numbers[0], &numbers[1], &numbers[2], &limit.costs]);
            }
            self.end();
        }
        if !device.tutorial.is_empty() {
            self.heading("The tutorial's step", "784-512-10, batches of 128");
            self.table(&["launch", "operation", "tiling", "why"]);
            for launch in &device.tutorial {
                let label = format!("{}{}", if launch.joins { "+ " } else { "" }, launch.label);
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                self.row(&[&label, &launch.operation, &text(&launch.tiling), &text(&launch.why)]);
            }
            self.end();
        }
    }

    fn speed(&mut self, speed: &Speed) {
        self.heading("How fast", "");
        self.line(format_args!("<dl>"));
        for (name, value) in speed.figures() {
            self.line(format_args!("<dt>{}</dt><dd>{}</dd>", escaped(&name), escaped(&value)));
        }
        self.line(format_args!("</dl>"));
        if !speed.steps.is_empty() {
            self.heading("A step of the tutorial's net", "shorter is faster");
            let longest = speed.steps.iter().map(|step| step.seconds).fold(0.0, f64::max);
            for step in &speed.steps {
                let name = format!("{}, {}", step.device, step.precision);
                self.bar(&name, step.seconds, step.predicted_seconds, longest);
            }
        }
        if speed.threads.len() > 1 {
            self.heading("Threads", "a step by the number of threads");
            let longest = speed.threads.iter().map(|time| time.step_seconds).fold(0.0, f64::max);
            for time in &speed.threads {
                self.bar(&format!("{} threads", time.threads), time.step_seconds, None, longest);
            }
        }
        for step in &speed.steps {
            self.launches(step);
        }
    }

    fn launches(&mut self, step: &StepTime) {
        if step.launches.iter().all(|launch| launch.seconds.is_none()) {
            return;
        }
        self.heading(
            "Launch by launch",
            &format!("{}, {}; the mark is what was predicted", step.device, step.precision),
        );
        let times = step.launches.iter().flat_map(|launch| launch.seconds.into_iter().chain(launch.predicted_seconds));
        let longest = times.fold(0.0, f64::max);
        for launch in &step.launches {
            let seconds = launch.seconds.unwrap_or(0.0);
            self.bar(&launch.label, seconds, launch.predicted_seconds, longest);
        }
    }

    /// A bar, and a mark where it was predicted to end.
    fn bar(&mut self, name: &str, seconds: f64, predicted: Option<f64>, longest: f64) {
        let share = |seconds: f64| (100.0 * seconds / longest.max(f64::MIN_POSITIVE)).clamp(0.0, 100.0);
        let mark = predicted.map_or(String::new(), |seconds| {
            format!("<i style=\"left:{:.1}%\" title=\"predicted: {}\"></i>", share(seconds), time(seconds))
        });
        let text = match predicted {
            Some(predicted) => format!("{}, predicted {}", time(seconds), time(predicted)),
            None => time(seconds),
        };
        self.line(format_args!(
            "<div class=\"bar\"><span class=\"name\">{}</span><span class=\"track\"><b style=\"width:{:.1}%\"></b>{mark}</span>\
             <span class=\"figure\">{}</span></div>",
            escaped(name),
            share(seconds),
            escaped(&text)
        ));
    }

    fn part(&mut self, part: &Part) {
        let end = if part.finished { "" } else { ", not all of it" };
        self.heading(&part.title(), &format!("{:.1} s{end}", part.seconds));
        for check in part.checks.iter().filter(|check| check.outcome == Outcome::Failed) {
            self.failure(check);
        }
        for (form, together) in groups(part) {
            let launches: usize = together.iter().map(|check| check.launches).sum();
            let worst = together.iter().filter_map(|check| check.share).fold(0.0, f64::max);
            let (count, width) = (together.len(), (100.0 * worst).clamp(0.0, 100.0));
            self.line(format_args!(
                "<div class=\"bar\"><span class=\"name\">{}</span><span class=\"track\"><b style=\"width:{width:.1}%\"></b></span>\
                 <span class=\"figure\">{count} operations, {launches} launches, {:.1} % of the tolerance</span></div>",
                escaped(&form),
                100.0 * worst
            ));
        }
        let others = part.checks.iter().filter(|check| check.outcome != Outcome::Failed && check.launches == 0);
        let others: Vec<_> = others.collect();
        if !others.is_empty() {
            self.table(&["check", "", "found"]);
            for check in others {
                let (class, outcome) = (class(check.outcome), check.outcome);
                let (name, detail) = (escaped(&check.title()), escaped(&check.detail));
                self.line(format_args!(
                    "<tr><td>{name}</td><td><span class=\"pill {class}\">{outcome}</span></td><td>{detail}</td></tr>"
                ));
            }
            self.end();
        }
    }

    fn failure(&mut self, check: &Check) {
        let (title, detail) = (escaped(&check.title()), escaped(&check.detail));
        self.line(format_args!(
            "<div class=\"failure\"><p><span class=\"pill failed\">FAILED</span> <b>{title}</b></p>"
        ));
        self.line(format_args!("<p>{detail}</p>"));
        if let Some(wrong) = &check.mismatch {
            self.line(format_args!("<dl>"));
            let element = wrong.element.to_string();
            let lines = [
                ("launch", &wrong.launch),
                ("output", &wrong.output),
                ("element", &element),
                ("expected", &wrong.expected),
                ("found", &wrong.found),
                ("tolerance", &wrong.tolerance),
            ];
            for (name, value) in lines {
                self.line(format_args!("<dt>{name}</dt><dd>{}</dd>", escaped(value)));
            }
            self.line(format_args!("</dl>"));
        }
        self.line(format_args!("</div>"));
    }

    fn table(&mut self, columns: &[&str]) {
        self.line(format_args!("<div class=\"wide\"><table><thead><tr>"));
        for column in columns {
            self.line(format_args!("<th>{column}</th>"));
        }
        self.line(format_args!("</tr></thead><tbody>"));
    }

    fn row(&mut self, cells: &[&str]) {
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        self.line(format_args!("<tr>{cells}</tr>"));
    }

    fn end(&mut self) {
        self.line(format_args!("</tbody></table></div>"));
    }
}

/// A limit: bytes beyond a million as MiB.
fn amount(limit: u64) -> String {
    match limit {
        limit if limit >= 1 << 20 => format!("{:.0} MiB", limit as f64 / f64::from(1 << 20)),
        limit => limit.to_string(),
    }
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Noted => "noted",
        Outcome::Skipped => "skipped",
        Outcome::Failed => "failed",
    }
}

/// Text as HTML has it: drivers name themselves as they like.
fn escaped(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => found.push_str("&amp;"),
            '<' => found.push_str("&lt;"),
            '>' => found.push_str("&gt;"),
            '"' => found.push_str("&quot;"),
            '\'' => found.push_str("&#39;"),
            letter => found.push(letter),
        }
    }
    found
}

impl Speed {
    /// Single figures with their names, as text.
    pub(super) fn figures(&self) -> Vec<(String, String)> {
        let seconds = [
            ("a dispatch that waits for the last", self.dispatch_seconds),
            ("recording a dispatch", self.record_seconds),
            ("a submission", self.submit_seconds),
            ("a readback", self.readback_seconds),
        ];
        let bytes =
            [("uploads", self.upload_bytes_per_second), ("copies, read and written", self.copy_bytes_per_second)];
        let mut figures: Vec<(String, String)> =
            seconds.into_iter().filter_map(|(name, value)| Some((name.into(), time(value?)))).collect();
        figures.extend(bytes.into_iter().filter_map(|(name, value)| Some((name.into(), rate(value?, "B/s")))));
        figures.extend(self.ceilings.iter().map(|found| (found.what.clone(), rate(found.flops_per_second, "FLOP/s"))));
        figures.extend(self.enough_threads.map(|threads| ("threads that are enough".into(), threads.to_string())));
        figures
    }
}
