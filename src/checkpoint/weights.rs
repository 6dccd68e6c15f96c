//! Weights from anybody's safetensors file: which tensor is whose, and numbers of other types as f32. A file has this crate's
//! names, `dense_0.kernel`, or PyTorch's, `0.weight` or `fc1.bias`; the rule for those is at [`Names`].

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::wrong;
use crate::error::Result;
use crate::layout::Tensor;

/// What PyTorch calls a layer's tensors.
const TORCH: [(&str, &str); 6] = [
    ("kernel", "weight"),
    ("bias", "bias"),
    ("gamma", "weight"),
    ("beta", "bias"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
];

/// How the tensors of a file are called. PyTorch's names are tried where none of the model's is there and some end in
/// `.weight`. What stands before that is a module, and each layer with parameters is one. Where modules differ in a number
/// alone, that is their order; else their shapes must say which is which. `nn.Linear`'s weight is \[out, in\].
pub(super) enum Names {
    Own,
    /// PyTorch's name of each of the model's tensors.
    Torch(BTreeMap<String, String>),
}

/// A layer with its tensors.
struct Layer<'a> {
    name: &'a str,
    tensors: Vec<&'a Tensor>,
}

impl Names {
    pub fn of(file: &SafeTensors<'_>, tensors: &[&Tensor], path: &Path) -> Result<Self> {
        let own = tensors.iter().any(|tensor| file.tensor(&tensor.name).is_ok());
        let mut modules: Vec<_> = file.names().into_iter().filter_map(|name| name.strip_suffix(".weight")).collect();
        if own || modules.is_empty() {
            return Ok(Names::Own);
        }
        modules.sort_unstable();
        let mut layers: Vec<Layer<'_>> = Vec::new();
        for &tensor in tensors {
            let name = tensor.name.rsplit_once('.').map_or("", |(layer, _)| layer);
            match layers.iter_mut().find(|layer| layer.name == name) {
                Some(layer) => layer.tensors.push(tensor),
                None => layers.push(Layer { name, tensors: vec![tensor] }),
            }
        }
        let found = || format!("{} in names as PyTorch gives them", modules.join(", "));
        if layers.len() != modules.len() {
            let expected = format!("{} modules with a weight, one for each layer with parameters", layers.len());
            return Err(wrong(path, expected, format!("{}: {}", modules.len(), found())));
        }
        let chosen = match in_order(&modules) {
            Some(ordered) => ordered,
            None => by_shape(file, &layers, &modules, path)?,
        };
        let pairs = layers.iter().zip(chosen);
        Ok(Names::Torch(pairs.flat_map(|(layer, module)| layer.names(module)).collect()))
    }

    /// A tensor's numbers, in the model's order.
    pub fn values(&self, file: &SafeTensors<'_>, tensor: &Tensor, path: &Path) -> Result<Vec<f32>> {
        match self {
            Names::Own => {
                let view = super::named(file, &tensor.name, &tensor.shape, path)?;
                let reversed: Vec<_> = tensor.shape.iter().rev().copied().collect();
                if view.shape() != tensor.shape {
                    let hint =
                        if view.shape() == reversed { ", the other way round: kernels are [in, out]" } else { "" };
                    let expected = format!("tensor {} of shape {:?}", tensor.name, tensor.shape);
                    return Err(wrong(path, expected, format!("shape {:?}{hint}", view.shape())));
                }
                numbers(&view, &tensor.name, path)
            }
            Names::Torch(names) => {
                let name = names.get(&tensor.name).map_or("", String::as_str);
                let shape: Vec<_> = tensor.shape.iter().rev().copied().collect();
                let view = super::named(file, name, &shape, path)?;
                if view.shape() != shape {
                    let expected = format!("tensor {name} of shape {shape:?} for {}", tensor.name);
                    return Err(wrong(path, expected, format!("shape {:?}", view.shape())));
                }
                let values = numbers(&view, name, path)?;
                Ok(if shape.len() == 2 { transposed(&values, tensor) } else { values })
            }
        }
    }
}

impl Layer<'_> {
    /// The model's names with those in a module of PyTorch's. One that has no counterpart keeps its own.
    fn names(&self, module: &str) -> Vec<(String, String)> {
        let name = |tensor: &&Tensor| {
            let own = tensor.name.rsplit('.').next().unwrap_or("");
            let theirs = TORCH.iter().find(|(ours, _)| *ours == own).map_or(own, |(_, theirs)| theirs);
            (tensor.name.clone(), format!("{module}.{theirs}"))
        };
        self.tensors.iter().map(name).collect()
    }

    fn fits(&self, file: &SafeTensors<'_>, module: &str) -> bool {
        self.tensors.iter().zip(self.names(module)).all(|(tensor, (_, theirs))| {
            file.tensor(&theirs).is_ok_and(|view| view.shape().iter().eq(tensor.shape.iter().rev()))
        })
    }
}

/// Modules by their numbers, where these alone tell them apart.
fn in_order<'m>(modules: &[&'m str]) -> Option<Vec<&'m str>> {
    let mut numbered = Vec::new();
    for module in modules {
        let end = module.rfind(|letter: char| letter.is_ascii_digit())? + 1;
        let start = module[..end]
            .rfind(|letter: char| !letter.is_ascii_digit())
            .map_or(0, |at| at + module[at..].chars().next().map_or(1, char::len_utf8));
        numbered.push((module[start..end].parse::<u32>().ok()?, (&module[..start], &module[end..]), *module));
    }
    let (_, around, _) = numbered.first()?;
    if numbered.iter().any(|(_, other, _)| other != around) {
        return None;
    }
    numbered.sort_unstable();
    numbered.windows(2).all(|pair| pair[0].0 < pair[1].0).then(|| numbered.iter().map(|(.., module)| *module).collect())
}

/// The one module of each layer's shapes.
fn by_shape<'m>(
    file: &SafeTensors<'_>,
    layers: &[Layer<'_>],
    modules: &[&'m str],
    path: &Path,
) -> Result<Vec<&'m str>> {
    let mut chosen = Vec::new();
    for layer in layers {
        let fitting: Vec<_> = modules.iter().copied().filter(|module| layer.fits(file, module)).collect();
        let kernel = layer.tensors.first().map_or(&[][..], |tensor| &tensor.shape);
        match fitting[..] {
            [one] if !chosen.contains(&one) => chosen.push(one),
            [] => {
                let expected = format!("a module that fits {}, whose shape is {kernel:?}, with [out, in]", layer.name);
                return Err(wrong(path, expected, format!("none among {}", modules.join(", "))));
            }
            _ => {
                let expected = "names that differ in a number alone, such as fc1.weight and fc2.weight, where layers are of \
                                one shape";
                return Err(wrong(path, expected, fitting.join(", ")));
            }
        }
    }
    Ok(chosen)
}

fn transposed(values: &[f32], tensor: &Tensor) -> Vec<f32> {
    let (rows, columns) = (tensor.rows, tensor.columns);
    (0..rows * columns).map(|at| values[at % columns * rows + at / columns]).collect()
}

/// Numbers as f32, if they are finite in it.
fn numbers(view: &TensorView<'_>, name: &str, path: &Path) -> Result<Vec<f32>> {
    let bytes = view.data();
    let (halves, words, longs) = (bytes.as_chunks().0, bytes.as_chunks().0, bytes.as_chunks().0);
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => words.iter().map(|&word| f32::from_le_bytes(word)).collect(),
        Dtype::F16 => halves.iter().map(|&half| f16::from_le_bytes(half).to_f32()).collect(),
        Dtype::BF16 => halves.iter().map(|&half| bf16::from_le_bytes(half).to_f32()).collect(),
        Dtype::F64 => longs.iter().map(|&long| f64::from_le_bytes(long) as f32).collect(),
        other => {
            let expected = format!("tensor {name} in F32, F16, BF16 or F64");
            return Err(wrong(path, expected, format!("{other:?}")));
        }
    };
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
    let found = match longs.get(at).filter(|_| view.dtype() == Dtype::F64) {
        Some(&long) => format!("{:e} at {at}", f64::from_le_bytes(long)),
        None => format!("{} at {at}", values[at]),
    };
    Err(wrong(path, format!("finite numbers of f32's range in {name}"), found))
}
