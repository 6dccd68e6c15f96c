//! `load_weights` on the files of others: PyTorch's names, numbers of other types, and what is refused.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use wgrad::{Activation, BatchNormalization, Dense, Device, LayerNormalization, Loss, Model, Sequential, Sgd};

use crate::common::{Outcome, Suite, bits, numbers, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere: names_as_pytorch_gives_them);
    trials!(suite.on_cpu:
        numbers_of_other_types_are_converted,
        whose_a_tensor_is_must_be_clear,
        norms_of_pytorch,
        kernels_the_other_way_round,
    );
}

type Tensors<'a> = &'a [(&'a str, &'a [usize], Vec<f32>)];

fn write(path: &Path, dtype: Dtype, tensors: Tensors<'_>) -> Outcome {
    let bytes = |value: f32| match dtype {
        Dtype::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f32(value).to_le_bytes().to_vec(),
        Dtype::F64 => f64::from(value).to_le_bytes().to_vec(),
        Dtype::I32 => (value as i32).to_le_bytes().to_vec(),
        _ => value.to_le_bytes().to_vec(),
    };
    let data: Vec<Vec<u8>> =
        tensors.iter().map(|(.., values)| values.iter().flat_map(|&value| bytes(value)).collect()).collect();
    let views = tensors.iter().zip(&data);
    let views = views.map(|((name, shape, _), data)| Ok((*name, TensorView::new(dtype, shape.to_vec(), data)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(std::fs::write(path, safetensors::serialize(views, None)?)?)
}

fn compile(device: &Device, widths: &[usize]) -> wgrad::Result<Model> {
    let net = widths[1..]
        .iter()
        .fold(Sequential::new(widths[0]), |net, &units| net.add(Dense::new(units).activation(Activation::Relu)));
    net.compile(device, Sgd::default(), Loss::MeanSquaredError)
}

/// [in, out] of an [out, in].
fn transposed(values: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    (0..inputs).flat_map(|i| (0..outputs).map(move |o| values[o * inputs + i])).collect()
}

fn names_as_pytorch_gives_them(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("torch.safetensors");
    let [a, b, c] = [numbers(12, 1), numbers(9, 2), numbers(6, 3)];
    let [d, e, f] = [numbers(3, 4), numbers(3, 5), numbers(2, 6)];
    // By number, 2 before 10, though two layers are of one shape; by shape where names are words.
    for [first, second, third] in [["0", "2", "10"], ["fc1", "fc2", "fc3"], ["net.2.lin", "net.9.lin", "net.11.lin"]] {
        let name = |module: &str, tensor: &str| format!("{module}.{tensor}");
        let tensors = [
            (name(third, "weight"), vec![2, 3], c.clone()),
            (name(first, "weight"), vec![3, 4], a.clone()),
            (name(second, "weight"), vec![3, 3], b.clone()),
            (name(first, "bias"), vec![3], d.clone()),
            (name(second, "bias"), vec![3], e.clone()),
            (name(third, "bias"), vec![2], f.clone()),
        ];
        let tensors: Vec<_> = tensors.iter().map(|(n, s, v)| (n.as_str(), s.as_slice(), v.clone())).collect();
        write(&path, Dtype::F32, &tensors)?;
        let mut model = compile(device, &[4, 3, 3, 2])?;
        model.load_weights(&path)?;
        for (name, expected) in [
            ("dense_0.kernel", transposed(&a, 4, 3)),
            ("dense_0.bias", d.clone()),
            ("dense_1.kernel", transposed(&b, 3, 3)),
            ("dense_1.bias", e.clone()),
            ("dense_2.kernel", transposed(&c, 3, 2)),
            ("dense_2.bias", f.clone()),
        ] {
            assert_eq!(model.parameter(name)?, expected, "{name} of {first}");
        }
    }
    // What comes last in the alphabet is the first layer here.
    let words: Tensors<'_> = &[
        ("hidden.weight", &[3, 4], a.clone()),
        ("hidden.bias", &[3], d.clone()),
        ("class.weight", &[2, 3], c.clone()),
        ("class.bias", &[2], f.clone()),
    ];
    write(&path, Dtype::F32, words)?;
    let mut model = compile(device, &[4, 3, 2])?;
    model.load_weights(&path)?;
    assert_eq!(model.parameter("dense_1.kernel")?, transposed(&c, 3, 2));
    Ok(())
}

fn numbers_of_other_types_are_converted(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("weights.safetensors");
    // Exact in all of them.
    let (kernel, bias) = (vec![0.5, -1.25, 3.0, 0.0, 1e-3_f32.round(), -96.0], vec![2.0, -0.125]);
    let tensors: Tensors<'_> = &[("dense_0.kernel", &[3, 2], kernel.clone()), ("dense_0.bias", &[2], bias.clone())];
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
        write(&path, dtype, tensors)?;
        let mut model = compile(device, &[3, 2])?;
        model.load_weights(&path)?;
        assert_eq!(
            (model.parameter("dense_0.kernel")?, model.parameter("dense_0.bias")?),
            (kernel.clone(), bias.clone())
        );
    }
    let mut model = compile(device, &[3, 2])?;
    let before = bits(&model)?;
    let message = |what: &str| format!("checkpoint {}: expected {what}", path.display());
    write(&path, Dtype::I32, tensors)?;
    let refusal = message("tensor dense_0.kernel in F32, F16, BF16 or F64, found I32");
    refused(model.load_weights(&path), &refusal);
    let infinite: Tensors<'_> = &[("dense_0.kernel", &[3, 2], vec![f32::INFINITY; 6]), ("dense_0.bias", &[2], bias)];
    write(&path, Dtype::F16, infinite)?;
    let refusal = message("finite numbers of f32's range in dense_0.kernel, found inf at 0");
    refused(model.load_weights(&path), &refusal);
    // Finite in f64 alone: the message has the number that is in the file.
    let large: Vec<u8> =
        [1.0, 1e300_f64, 0.0, 0.0, 0.0, 0.0].iter().flat_map(|value: &f64| value.to_le_bytes()).collect();
    let zeros = [0; 16];
    let views = [
        ("dense_0.kernel", TensorView::new(Dtype::F64, vec![3, 2], &large)?),
        ("dense_0.bias", TensorView::new(Dtype::F64, vec![2], &zeros)?),
    ];
    std::fs::write(&path, safetensors::serialize(views, None)?)?;
    let refusal = message("finite numbers of f32's range in dense_0.kernel, found 1e300 at 1");
    refused(model.load_weights(&path), &refusal);
    assert_eq!(bits(&model)?, before);
    Ok(())
}

fn whose_a_tensor_is_must_be_clear(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("torch.safetensors");
    let refuse = |tensors: Tensors<'_>, message: &str| -> Outcome {
        write(&path, Dtype::F32, tensors)?;
        let mut model = compile(device, &[3, 3, 3])?;
        let before = bits(&model)?;
        refused(model.load_weights(&path), &format!("checkpoint {}: expected {message}", path.display()));
        assert_eq!(bits(&model)?, before);
        Ok(())
    };
    let (square, bias) = (numbers(9, 1), numbers(3, 2));
    let alike: Tensors<'_> = &[
        ("first.weight", &[3, 3], square.clone()),
        ("first.bias", &[3], bias.clone()),
        ("then.weight", &[3, 3], square.clone()),
        ("then.bias", &[3], bias.clone()),
    ];
    let numbered = "names that differ in a number alone, such as fc1.weight and fc2.weight, where layers are of one shape, \
                    found first, then";
    refuse(alike, numbered)?;
    let missing: Tensors<'_> =
        &[("0.weight", &[3, 3], square.clone()), ("1.weight", &[3, 3], square.clone()), ("0.bias", &[3], bias.clone())];
    refuse(missing, "tensor 1.bias of shape [3] in F32, found only 0.bias, 0.weight, 1.weight")?;
    let one: Tensors<'_> = &[("0.weight", &[3, 3], square.clone()), ("0.bias", &[3], bias.clone())];
    let modules =
        "2 modules with a weight, one for each layer with parameters, found 1: 0 in names as PyTorch gives them";
    refuse(one, modules)?;
    let other: Tensors<'_> = &[
        ("0.weight", &[3, 3], square.clone()),
        ("0.bias", &[3], bias.clone()),
        ("1.weight", &[4, 3], numbers(12, 3)),
        ("1.bias", &[4], numbers(4, 4)),
    ];
    refuse(other, "tensor 1.weight of shape [3, 3] for dense_1.kernel, found shape [4, 3]")
}

/// A norm's weight and bias are γ and β, its running averages the moving ones.
fn norms_of_pytorch(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("torch.safetensors");
    let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|seed| numbers(3, seed));
    let variance: Vec<_> = variance.iter().map(|value| value.abs()).collect();
    let tensors: Tensors<'_> = &[
        ("0.weight", &[3, 2], numbers(6, 5)),
        ("0.bias", &[3], numbers(3, 6)),
        ("1.weight", &[3], gamma.clone()),
        ("1.bias", &[3], beta.clone()),
        ("1.running_mean", &[3], mean.clone()),
        ("1.running_var", &[3], variance.clone()),
        ("2.weight", &[3], beta.clone()),
        ("2.bias", &[3], gamma.clone()),
    ];
    write(&path, Dtype::F32, tensors)?;
    let net = Sequential::new(2).add(Dense::new(3)).add(BatchNormalization::new()).add(LayerNormalization::new());
    let mut model = net.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    model.load_weights(&path)?;
    for (name, expected) in [
        ("batch_normalization_0.gamma", &gamma),
        ("batch_normalization_0.beta", &beta),
        ("batch_normalization_0.moving_mean", &mean),
        ("batch_normalization_0.moving_variance", &variance),
        ("layer_normalization_0.gamma", &beta),
        ("layer_normalization_0.beta", &gamma),
    ] {
        assert_eq!(&model.parameter(name)?, expected, "{name}");
    }
    Ok(())
}

fn kernels_the_other_way_round(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("weights.safetensors");
    let tensors: Tensors<'_> = &[("dense_0.kernel", &[2, 3], numbers(6, 1)), ("dense_0.bias", &[2], numbers(2, 2))];
    write(&path, Dtype::F32, tensors)?;
    let message = "expected tensor dense_0.kernel of shape [3, 2], found shape [2, 3], the other way round: kernels are \
                   [in, out]";
    let mut model = compile(device, &[3, 2])?;
    refused(model.load_weights(&path), &format!("checkpoint {}: {message}", path.display()));
    Ok(())
}
