//! Where the samples come from: a directory, the cache, a download, or the drawn digits where nothing else can be had.
//! What the user named is never replaced by something else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use wgrad::mnist::{Loader, Mnist, Progress};
use wgrad::{Error, Result, data::synthetic};

use crate::arguments::Arguments;

/// The drawn digits are the same whatever `--seed` says, as MNIST is.
const SYNTHETIC_SEED: u64 = 0;

/// As many drawn digits as MNIST has.
const SYNTHETIC_SAMPLES: (usize, usize) = (60_000, 10_000);

/// The set that the flags ask for, all of its test samples and the first `--limit` of the others.
pub fn load(arguments: &Arguments) -> Result<Mnist> {
    let mut set = match &arguments.data {
        _ if arguments.synthetic => draw(arguments)?,
        // A set of one's own may have other classes than ten; the last layer says how many.
        Some(directory) => Loader::new().directory(directory).classes(arguments.outputs()).load()?,
        None => find(arguments)?,
    };
    if let Some(limit) = arguments.limit {
        set.train = set.train.take(limit);
    }
    Ok(set)
}

/// MNIST from this machine, else from the network, else the drawn digits.
fn find(arguments: &Arguments) -> Result<Mnist> {
    match Loader::new().offline().load() {
        Err(Error::DataNotFound { .. }) if !directory_named() => fetch(arguments),
        found => found,
    }
}

/// A directory that the environment names counts as one that a flag names: what is wrong with it is an error.
fn directory_named() -> bool {
    std::env::var_os("MNIST_DIR").is_some_and(|value| !value.is_empty())
}

fn fetch(arguments: &Arguments) -> Result<Mnist> {
    if !arguments.quiet {
        // Said before the first byte, since a network that answers nothing takes a while to be given up.
        eprintln!("MNIST is not on this machine yet: downloading it, 11.6 MB");
    }
    match Loader::new().on_progress(Download::new(arguments.quiet).observer()).load() {
        Err(error @ Error::DataNotFound { .. }) => {
            eprintln!("{error}");
            draw(arguments)
        }
        found => found,
    }
}

/// The drawn digits, announced on standard error even with `--quiet`: their results must not pass for others.
fn draw(arguments: &Arguments) -> Result<Mnist> {
    eprintln!("*** SYNTHETIC DIGITS, NOT MNIST: drawn by this program; losses and accuracies on them do not compare");
    eprintln!("*** with any on MNIST.");
    let (train, test) = SYNTHETIC_SAMPLES;
    // A smaller set is the start of a larger one, so nothing need be drawn that --limit leaves out.
    let train = arguments.limit.map_or(train, |limit| limit.min(train));
    synthetic::digits(train, test, SYNTHETIC_SEED)
}

/// A bar for each file on a terminal, a line for each file elsewhere.
struct Download {
    bar: ProgressBar,
    url: String,
    quiet: bool,
    waits: bool,
}

impl Download {
    fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target)
            .with_style(style.progress_chars("=> "))
            .with_finish(ProgressFinish::AndClear);
        Download { bar, url: String::new(), quiet, waits: false }
    }

    fn observer(mut self) -> impl FnMut(Progress<'_>) + Send {
        move |progress| {
            if let Some(holder) = progress.waiting_for {
                self.wait(holder);
                return;
            }
            // The next file, or the same from the next mirror.
            if self.url != progress.url {
                self.start(progress);
            }
            self.bar.set_position(progress.received);
        }
    }

    /// Said once: how long it takes is for others to say.
    fn wait(&mut self, holder: &str) {
        if !self.waits && !self.quiet {
            eprintln!("waiting for {holder} to have it");
        }
        self.waits = true;
    }

    fn start(&mut self, progress: Progress<'_>) {
        self.url = progress.url.to_owned();
        if self.bar.is_hidden() && !self.quiet {
            eprintln!("downloading {} from {}", progress.file, progress.url);
        }
        self.bar.reset();
        self.bar.set_prefix(progress.file.to_owned());
        match progress.total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
    }
}
