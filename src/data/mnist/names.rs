//! The names of the four files of a set in MNIST's form, as it is published and as other tools unpack it, and finding them
//! in a directory. What is in the files is not looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// MNIST's own names, the file first that takes longest to inflate.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Where in a directory the files are looked for: torchvision has folders of its own.
const FOLDERS: [&str; 7] = ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw", "QMNIST/raw"];

/// Names that a message lists, at most.
const MOST_LISTED: usize = 8;

/// The environment variable that names a directory with the four files.
pub(super) const VARIABLE: &str = "MNIST_DIR";

/// The one message for a set that is nowhere, with what a user can do about it.
pub(super) fn not_found(reason: impl fmt::Display) -> Error {
    let reason = format!("{reason}; {VARIABLE} can name a directory that has its four files");
    Error::DataNotFound { what: "MNIST".to_owned(), reason }
}

/// The four files in the order of [`NAMES`]. A plain file is preferred to a gzipped one, since it needs no inflating, and
/// a set without a prefix to one with, unless that is asked for.
pub(super) fn find(directory: &Path, prefix: Option<&str>) -> Result<[PathBuf; 4]> {
    // First without listing anything, which not every directory allows.
    if let (None, Some(paths)) = (prefix, exact(directory)) {
        return Ok(paths);
    }
    let missing =
        |reason: &str| Error::DataNotFound { what: directory.display().to_string(), reason: reason.to_owned() };
    match fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => return Err(missing("it is no directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing("there is no such directory")),
        _ => {}
    }
    let mut first = None;
    for folder in FOLDERS {
        let folder = directory.join(folder);
        let Ok(sets) = Sets::in_folder(&folder) else { continue };
        if let Some(paths) = sets.choose(&folder, prefix)? {
            return Ok(paths);
        }
        first.get_or_insert(sets);
    }
    Err(incomplete(directory, first.unwrap_or_default(), prefix))
}

fn exact(directory: &Path) -> Option<[PathBuf; 4]> {
    let path = |name: &str| {
        let (plain, zipped) = (directory.join(name), directory.join(format!("{name}.gz")));
        [plain, zipped].into_iter().find(|path| path.is_file())
    };
    let [a, b, c, d] = NAMES.map(path);
    Some([a?, b?, c?, d?])
}

/// What was found in one folder: by prefix, the best file for each of the four.
#[derive(Default)]
struct Sets {
    by_prefix: BTreeMap<String, [Option<(Rank, PathBuf)>; 4]>,
    /// All names in it, sorted.
    names: Vec<String>,
}

/// The lower the better: in a folder of its own, gzipped.
type Rank = (bool, bool);

impl Sets {
    fn in_folder(folder: &Path) -> std::io::Result<Self> {
        let mut sets = Sets::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            sets.add(&name, &entry.path(), None);
            sets.names.push(name);
        }
        sets.names.sort();
        Ok(sets)
    }

    /// Takes a file in, or the file of the same meaning within a folder that is named like one.
    fn add(&mut self, name: &str, path: &Path, within: Option<&(String, usize)>) {
        let Some(meaning) = meaning(name).filter(|meaning| within.is_none_or(|within| within == meaning)) else {
            return;
        };
        // Metadata, which follows links: a link to a file is as good as the file.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let candidate = ((within.is_some(), name.ends_with(".gz")), path.to_owned());
                let best = &mut self.by_prefix.entry(meaning.0).or_default()[meaning.1];
                if best.as_ref().is_none_or(|best| candidate < *best) {
                    *best = Some(candidate);
                }
            }
            Ok(metadata) if metadata.is_dir() && within.is_none() => {
                for entry in fs::read_dir(path).into_iter().flatten().filter_map(std::result::Result::ok) {
                    self.add(&entry.file_name().to_string_lossy(), &entry.path(), Some(&meaning));
                }
            }
            _ => {}
        }
    }

    /// The four files of the set that is meant, if it is there whole.
    fn choose(&self, folder: &Path, prefix: Option<&str>) -> Result<Option<[PathBuf; 4]>> {
        let whole = |files: &[Option<(Rank, PathBuf)>; 4]| {
            let [a, b, c, d] = files.each_ref().map(|file| file.as_ref().map(|(_, path)| path.clone()));
            Some([a?, b?, c?, d?])
        };
        if let Some(paths) = self.by_prefix.get(prefix.unwrap_or("")).and_then(whole) {
            return Ok(Some(paths));
        }
        if prefix.is_some() {
            return Ok(None);
        }
        let mut all: Vec<_> = self.by_prefix.iter().filter_map(|(name, files)| Some((name, whole(files)?))).collect();
        match all.len() {
            0 | 1 => Ok(all.pop().map(|(_, paths)| paths)),
            _ => {
                let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
                let found = format!("{}; Loader::prefix says which is meant", names.join(", "));
                Err(Error::invalid_file(folder, "the files of one set", format!("those of several: {found}")))
            }
        }
    }
}

/// The prefix of the set that a file belongs to, without the dash before MNIST's own name, and which of the four it is.
/// `test` counts as `t10k`, a dot as the dash that other tools make it, and `int` stands for QMNIST's labels.
fn meaning(name: &str) -> Option<(String, usize)> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let rest = name.strip_suffix("-ubyte").or_else(|| name.strip_suffix("-int"))?;
    let rest = rest.strip_suffix(['1', '2', '3'])?.strip_suffix("idx")?.strip_suffix(['-', '.'])?;
    let (rest, labels) = match rest.strip_suffix("-images") {
        Some(rest) => (rest, false),
        None => (rest.strip_suffix("-labels")?, true),
    };
    let (rest, test) = match rest.strip_suffix("train") {
        Some(rest) => (rest, false),
        None => (rest.strip_suffix("t10k").or_else(|| rest.strip_suffix("test"))?, true),
    };
    let prefix = if rest.is_empty() { rest } else { rest.strip_suffix('-')? };
    Some((prefix.to_owned(), 2 * usize::from(test) + usize::from(labels)))
}

/// What is missing of the set that came closest, or what there is instead.
fn incomplete(directory: &Path, sets: Sets, prefix: Option<&str>) -> Error {
    let closest = match prefix {
        Some(prefix) => sets.by_prefix.get_key_value(prefix),
        None => sets.by_prefix.iter().max_by_key(|(_, files)| files.iter().flatten().count()),
    };
    let prefix = prefix.or_else(|| closest.map(|(prefix, _)| prefix.as_str())).unwrap_or_default();
    let missing = closest.and_then(|(_, files)| files.iter().position(Option::is_none)).unwrap_or(0);
    let name = if prefix.is_empty() { NAMES[missing].to_owned() } else { format!("{prefix}-{}", NAMES[missing]) };
    let listed = sets.names.iter().take(MOST_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let found = match sets.names.len() {
        _ if closest.is_some() => String::new(),
        0 => "; it is empty".to_owned(),
        count if count > MOST_LISTED => format!("; it has {listed} and {} more", count - MOST_LISTED),
        _ => format!("; it has {listed}"),
    };
    let reason = format!("{} has neither it nor {name}{found}", directory.display());
    Error::DataNotFound { what: format!("{name}.gz"), reason }
}

#[cfg(test)]
mod tests;
