//! A recorded case as it lies in its two files: the specification, not yet understood, and the tensors. What the
//! specification means is the concern of the two replays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

/// A tensor: its shape and its numbers, row-major.
#[derive(Clone)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The tensors of a case by name.
#[derive(Clone)]
pub struct Tensors(pub BTreeMap<String, Tensor>);

/// A case in memory.
#[derive(Clone)]
pub struct Recorded {
    /// The files' name without its ending.
    pub name: String,
    pub specification: Map<String, Value>,
    pub tensors: Tensors,
}

impl Tensors {
    pub fn get(&self, name: &str) -> Result<&Tensor, String> {
        self.0.get(name).ok_or_else(|| format!("no tensor {name}"))
    }

    /// The tensors of a kind, `initial` or `final`, by what follows the stroke.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().filter_map(move |(name, tensor)| {
            let (found, name) = name.split_once('/')?;
            (found == kind).then_some((name, tensor))
        })
    }
}

impl Recorded {
    /// Reads `NAME.json`, and `NAME.safetensors` beside it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let tensors = read_tensors(&path.with_extension("safetensors"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Recorded { name, specification: specification(path)?, tensors })
    }

    /// Which format the case is of. The first did not say so yet.
    pub fn format(&self) -> Result<u8, String> {
        match self.specification.get("format") {
            None => Ok(1),
            Some(Value::Number(format)) if format.as_u64() == Some(2) => Ok(2),
            Some(other) => Err(format!("unknown format {other}: it is 2, or left out")),
        }
    }
}

/// What `NAME.json` says.
pub fn specification(path: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_tensors(path: &Path) -> Result<Tensors, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| match view.dtype() {
        Dtype::F32 => {
            let values = bytemuck::pod_collect_to_vec(view.data());
            Ok((name, Tensor { shape: view.shape().to_vec(), values }))
        }
        other => Err(format!("{}: {name} is of {other:?} instead of F32", path.display())),
    };
    Ok(Tensors(file.tensors().into_iter().map(tensor).collect::<Result<_, _>>()?))
}

/// The cases that are kept with the tests.
pub fn own_cases() -> PathBuf {
    let root = std::env::var_os("WGRAD_GOLDEN_ROOT").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
}

/// Every case of `tests/golden` and of the directories of `WGRAD_GOLDEN_DIR`, which are separated as those of `PATH`
/// are. Where a name is there twice, the later directory's counts.
pub fn cases() -> Vec<PathBuf> {
    let further = std::env::var_os("WGRAD_GOLDEN_DIR").unwrap_or_default();
    let further = std::env::split_paths(&further).filter(|directory| !directory.as_os_str().is_empty());
    let mut found = BTreeMap::new();
    for directory in std::iter::once(own_cases()).chain(further) {
        found.extend(cases_in(&directory).into_iter().map(|path| (path.file_stem().map(ToOwned::to_owned), path)));
    }
    found.into_values().collect()
}

/// The cases of one directory, by name.
pub fn cases_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a directory entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    paths.sort();
    paths
}
