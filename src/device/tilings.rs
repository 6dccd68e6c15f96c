//! Tilings that were chosen by measurement, kept on disk from one run to the next. It owns the file;
//! `tuning.rs` measures.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::info::DeviceInfo;
use super::options::DeviceOptions;
use crate::cache;
use crate::digest::sha256;
use crate::error::Result;
use crate::files::user_cache;
use crate::kernels::REGISTRY;
use crate::kernels::product::{Choices, Product, Size, Tiling, Traits};
use crate::kernels::storage::Precision;

/// The kind of file.
const KIND: &str = "tilings";

/// Room for thousands of products. A larger file is not read, and the next one starts anew.
const MOST_BYTES: u64 = 1 << 20;

/// The file for one adapter, driver and version of wgrad.
#[derive(Debug)]
pub(super) struct KeptTilings {
    path: PathBuf,
    /// What the choices hold for: adapter, driver and its version, traits.
    device: String,
    traits: Traits,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    device: String,
    products: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    operation: String,
    #[serde(flatten)]
    size: Size,
    precision: Precision,
    tiling: Tiling,
}

impl KeptTilings {
    /// Where it is not switched off and there is a place for it.
    pub fn new(info: &DeviceInfo, traits: Traits, options: &DeviceOptions) -> Option<Self> {
        if options.forgets_tilings {
            return None;
        }
        let directory = options.directory.clone().or_else(user_cache)?.join(KIND);
        // What it is for stands inside in full; a file's name had better be short.
        // The same card in another place is the same to a tiling.
        let info = DeviceInfo { pci_bus_id: None, ..info.clone() };
        let device = format!("{info}, {traits:?}");
        let name = format!("{}-wgrad-{}", &sha256(&[device.as_bytes()])[..16], env!("CARGO_PKG_VERSION"));
        Some(KeptTilings { path: directory.join(name), device, traits })
    }

    /// What was chosen earlier. Entries that this version would not choose are left out, whoever wrote them.
    pub fn load(&self) -> Choices {
        cache::load(&self.path, KIND, MOST_BYTES).map(|json| self.parse(&json)).unwrap_or_default()
    }

    fn parse(&self, json: &[u8]) -> Choices {
        let content = serde_json::from_slice::<Content>(json).ok();
        let products = content.filter(|content| content.device == self.device).map(|content| content.products);
        Choices(products.into_iter().flatten().filter_map(|entry| self.accept(entry)).collect())
    }

    fn accept(&self, Entry { operation, size, precision, tiling }: Entry) -> Option<(Product, Tiling)> {
        let operation = REGISTRY.iter().find(|definition| definition.name == operation)?.name;
        let product = Product { operation, size, precision };
        Tiling::candidates(product, self.traits).contains(&tiling).then_some((product, tiling))
    }

    /// Adds choices to those that the file has, or puts them in their place; returns where it is.
    pub fn store(&self, fresh: &Choices) -> Result<PathBuf> {
        // Another process may have added some since this one started.
        let mut all = self.load();
        all.0.extend(fresh.0.iter());
        let entry = |(product, &tiling): (&Product, _)| Entry {
            operation: product.operation.into(),
            size: product.size,
            precision: product.precision,
            tiling,
        };
        let content = Content { device: self.device.clone(), products: all.0.iter().map(entry).collect() };
        // Names and numbers alone: there is nothing in it that JSON could not hold.
        let json = serde_json::to_vec_pretty(&content).unwrap_or_default();
        cache::store(&self.path, KIND, &json)?;
        Ok(self.path.clone())
    }
}

/// Reads these bytes as a file of tilings and as what stands in one, for tests with inputs of all kinds. Whatever is
/// accepted is among the candidates.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_bytes(bytes: &[u8]) {
    use crate::kernels::product::Family;
    let (device, traits) = ("a device".to_owned(), Traits::of(Family::Hardware));
    let kept = KeptTilings { path: PathBuf::new(), device, traits };
    let content = cache::whole(bytes.to_vec(), KIND, MOST_BYTES);
    for json in [Some(bytes), content.as_deref()].into_iter().flatten() {
        for (product, tiling) in kept.parse(json).0 {
            assert!(Tiling::candidates(product, traits).contains(&tiling));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::device::Device;
    use crate::kernels::product::Family;
    use crate::kernels::product::cooperative::{Cooperative, CooperativeMatrix};

    const HARDWARE: Traits = Traits::of(Family::Hardware);

    /// The file of the CPU device's name and other traits: these tests need no GPU.
    fn kept(directory: &Path, traits: Traits) -> KeptTilings {
        let options = Device::options().cache_directory(directory);
        KeptTilings::new(&Device::cpu().info(), traits, &options).unwrap()
    }

    fn product(operation: &'static str, precision: Precision) -> Product {
        Product { operation, size: Size { rows: 32, columns: 128, depth: 196 }, precision }
    }

    fn choice(operation: &'static str, index: usize) -> (Product, Tiling) {
        let product = product(operation, Precision::F32);
        (product, Tiling::candidates(product, HARDWARE)[index])
    }

    #[test]
    fn choices_are_kept_and_added_to() {
        let directory = tempfile::tempdir().unwrap();
        let file = kept(directory.path(), HARDWARE);
        assert_eq!(file.load(), Choices::default());
        let (first, second) = (choice("dense_forward", 1), choice("dense_backward_input", 2));
        let path = file.store(&Choices([first].into())).unwrap();
        assert!(path.starts_with(directory.path()));
        file.store(&Choices([second].into())).unwrap();
        assert_eq!(file.load(), Choices([first, second].into()));
        let again = choice("dense_forward", 3);
        file.store(&Choices([again].into())).unwrap();
        assert_eq!(kept(directory.path(), HARDWARE).load(), Choices([again, second].into()));
    }

    #[test]
    fn each_kind_of_device_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = kept(directory.path(), HARDWARE);
        let path = file.store(&Choices([choice("dense_forward", 1)].into())).unwrap();
        let other = kept(directory.path(), Traits::of(Family::Software));
        assert_eq!(other.load(), Choices::default());
        // Not even under the other's name.
        fs::copy(path, &other.path).unwrap();
        assert_eq!(other.load(), Choices::default());
    }

    #[test]
    fn what_is_damaged_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = kept(directory.path(), HARDWARE);
        let choices = Choices([choice("dense_forward", 1)].into());
        let path = file.store(&choices).unwrap();
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], b"{}", b"", &[0xff; 100]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(file.load(), Choices::default());
            file.store(&choices).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        cache::store(&path, KIND, b"[]").unwrap();
        assert_eq!(file.load(), Choices::default());
    }

    #[test]
    fn a_tiling_that_would_not_be_chosen_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = kept(directory.path(), HARDWARE);
        let product = product("dense_forward", Precision::F32);
        let foreign = [
            Tiling::Direct { rows: 0, columns: 0, workgroup: 0 },
            Tiling::Staged { group_rows: 64, group_columns: 64, rows: 8, columns: 8, depth: 8, splits: 1 },
            Tiling::Subgroup { rows: 4, workgroup: 32 },
        ];
        for tiling in foreign {
            file.store(&Choices([(product, tiling)].into())).unwrap();
            assert_eq!(file.load(), Choices::default(), "{tiling:?}");
        }
        file.store(&Choices([(Product { operation: "no such operation", ..product }, foreign[0])].into())).unwrap();
        assert_eq!(file.load(), Choices::default());
    }

    #[test]
    fn each_precision_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let matrix = CooperativeMatrix { size: 16, subgroup: 32 };
        let file = kept(directory.path(), Traits { matrix: Some(matrix), ..HARDWARE });
        let half = product("dense_forward", Precision::F16);
        let tiling = Tiling::Cooperative(Cooperative::candidates(matrix)[1]);
        let choices = Choices([(half, tiling), choice("dense_forward", 1)].into());
        file.store(&choices).unwrap();
        assert_eq!(file.load(), choices);
        // Matrix units multiply halves alone.
        let single = (product("dense_backward_input", Precision::F32), tiling);
        file.store(&Choices([single].into())).unwrap();
        assert_eq!(file.load(), choices);
    }

    #[test]
    fn it_can_be_switched_off() {
        let options = Device::options().cache_directory("anywhere").tuned_tilings(false);
        assert!(KeptTilings::new(&Device::cpu().info(), HARDWARE, &options).is_none());
    }
}
