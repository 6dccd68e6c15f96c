//! Every shader that can be composed, as naga sees it: it is valid WGSL, its bindings are the registry's, it stays within
//! WebGPU's default limits, and its step block is laid out as Rust's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

mod backends;
mod taint;

use std::collections::BTreeSet;
use std::mem::offset_of;

use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use wgrad::kernels::dense_loss::{MOST_OUTPUTS, Tile};
use wgrad::kernels::gradients::Keep;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::loss::RowLoss;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::product::cooperative::{Cooperative, CooperativeMatrix};
use wgrad::kernels::product::{CANDIDATES, Family, Tiling};
use wgrad::kernels::scale::Gradients;
use wgrad::kernels::shares::Shares;
use wgrad::kernels::storage::Storage;
use wgrad::kernels::targets::TargetLayout;
use wgrad::kernels::update::{Common, Rule, TensorSettings};
use wgrad::kernels::{Access, Binding, Kernel, REGISTRY, Workgroup, blocks};
use wgrad::kernels::{
    activation_backward::ActivationBackward,
    activation_forward::ActivationForward,
    adadelta::Adadelta,
    adagrad::Adagrad,
    adam::Adam,
    adamax::Adamax,
    advance_step::AdvanceStep,
    augmentation_forward::{AugmentationForward, Elastic},
    average_weights::AverageWeights,
    batch_norm_backward::BatchNormBackward,
    batch_norm_forward::BatchNormForward,
    batch_norm_inference_backward::BatchNormInferenceBackward,
    batch_norm_inference_forward::BatchNormInferenceForward,
    constrain::{Bounds, Constrain},
    count_answers::{CountAnswers, Tables},
    dense_backward_input::DenseBackwardInput,
    dense_backward_update::DenseBackwardUpdate,
    dense_backward_weights::DenseBackwardWeights,
    dense_forward::DenseForward,
    dense_loss::DenseLoss,
    dropout_backward::DropoutBackward,
    dropout_forward::DropoutForward,
    ftrl::Ftrl,
    gather_batch::GatherBatch,
    gaussian_noise_forward::GaussianNoiseForward,
    gradient_scales::GradientScales,
    layer_norm_backward::LayerNormBackward,
    layer_norm_backward_parameters::LayerNormBackwardParameters,
    layer_norm_forward::LayerNormForward,
    lion::Lion,
    nadam::Nadam,
    optimizer_update::OptimizerUpdate,
    output_loss::OutputLoss,
    prelu_backward::PreluBackward,
    prelu_backward_parameters::PreluBackwardParameters,
    prelu_forward::PreluForward,
    relu_backward::ReluBackward,
    relu_forward::ReluForward,
    rescale_backward::RescaleBackward,
    rescale_forward::RescaleForward,
    rmsprop::Rmsprop,
    rmsprop_update::RmspropUpdate,
    sgd::Sgd,
    softmax_backward::SoftmaxBackward,
    softmax_cross_entropy::SoftmaxCrossEntropy,
    softmax_forward::SoftmaxForward,
    sum_errors::SumErrors,
    sum_squares::SumSquares,
};
use wgrad::{Activation, Betas, FillMode, Loss, Regularizer, StepBlock};

/// What WebGPU grants without being asked for more.
const STORAGE_BUFFERS: usize = 8;
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: usize = 16 * 1024;

const ACTIVATIONS: [Activation; 20] = Activation::ALL;

/// One output, one and several invocations a row, a whole workgroup a row.
const COLUMNS: [usize; 5] = [1, 10, 33, 512, 70_000];

/// Products are most of the shaders, so they are a test of their own, which runs beside the others'.
#[test]
fn every_product_keeps_the_contract() {
    keeps_the_contract(&products());
}

#[test]
fn every_other_operation_keeps_the_contract() {
    keeps_the_contract(&without_products());
}

#[test]
fn every_operation_is_looked_at() {
    let covered: BTreeSet<_> =
        products().iter().chain(&without_products()).map(|kernel| kernel.definition().name).collect();
    assert_eq!(covered, REGISTRY.iter().map(|definition| definition.name).collect());
}

/// Each shader is composed and validated once, and then held against all that is asked of it:
///
/// - its bindings, limits and step block are the registry's;
/// - no index outside of buffers is made of data. On hardware through Vulkan shaders do not check these indexes:
///   docs/safety.md says why each of them is within its array for every invocation, which holds for all data only if data
///   have no part in them;
/// - it can be said to Metal and DX12: the tests run shaders on Vulkan, and this is as near as they come to these. Matrix
///   units are left out, for which DX12 has no word.
fn keeps_the_contract(kernels: &[Kernel]) {
    let mut indexes = 0;
    for kernel in kernels {
        for storage in storages(kernel) {
            let source = kernel.shader(storage);
            let module = parse(&source).unwrap_or_else(|error| panic!("{kernel:?}, {storage:?}\n{error}"));
            check_bindings(kernel, storage, &module);
            check_limits(kernel, &module);
            check_step(kernel, &module);
            indexes += taint::check(&module).unwrap_or_else(|error| panic!("{kernel:?}, {storage:?}: {error}"));
            if !uses_matrix_units(&source) {
                let [metal, dx12] =
                    backends::write(&module).unwrap_or_else(|error| panic!("{kernel:?}, {storage:?}: {error}"));
                assert!(metal.contains("kernel void"), "{metal}");
                assert!(dx12.contains("[numthreads("), "{dx12}");
            }
        }
    }
    assert!(indexes > 5 * kernels.len(), "only {indexes} indexes were looked at");
}

#[test]
fn an_index_that_is_made_of_data_is_found() {
    let shader = |index: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
             var<workgroup> shared_values: array<u32, 64>;
             fn twice(i: u32) -> u32 {{ return 2u * i; }}
             fn first(values: ptr<function, array<u32, 4>>) -> u32 {{ return (*values)[0]; }}
             @compute @workgroup_size(32)
             fn main(@builtin(local_invocation_index) local: u32) {{
                 var own: array<u32, 4>;
                 own[0] = data[local];
                 var counter = 0u;
                 for (; counter < data[1]; counter++) {{ data[data[counter]] = 1u; }}
                 shared_values[{index}] = 1u;
             }}"
        )
    };
    for sound in ["local", "twice(local)", "counter % 64u", "min(local, 3u) + 1u"] {
        assert_eq!(taint::check(&parse(&shader(sound)).unwrap()), Ok(1), "{sound}");
    }
    for wrong in ["data[local]", "twice(data[0])", "own[0]", "first(&own)", "shared_values[0]", "min(data[2], 63u)"] {
        assert!(taint::check(&parse(&shader(wrong)).unwrap()).is_err(), "{wrong}");
    }
}

/// Names of shaders that share a dispatch end so, and no others.
#[test]
fn no_name_ends_like_a_side() {
    for kernel in products().into_iter().chain(without_products()) {
        assert!(!kernel.shader(Storage::default()).contains("_side"), "{kernel:?}");
    }
}

/// Updates of every tiling and rule beside an update of another shape, and the step's end: what a plan makes one dispatch.
#[test]
fn kernels_stand_side_by_side() {
    let updates: Vec<_> = products().into_iter().filter(|kernel| kernel.workgroup().is_some()).collect();
    for (index, kernel) in updates.iter().enumerate() {
        let invocations = kernel.workgroup().map_or(0, |workgroup| workgroup.invocations);
        let same_size = |other: &&Kernel| other.workgroup().is_some_and(|found| found.invocations == invocations);
        // Of the many that there are, a few with each.
        let others: Vec<_> = updates.iter().filter(same_size).collect();
        let other = others[index * 7 % others.len()];
        let end = Kernel::from(advance(if invocations.is_power_of_two() { invocations } else { 256 }, 3));
        for storage in [Storage::default(), Storage::default().with_half(1).with_half(2).with_scale()] {
            let all = [(&end, Storage::default(), 1), (other, storage, 7), (kernel, storage, 70_000)];
            let sides = if same_size(&&end) { &all[..] } else { &all[1..] };
            let source = Kernel::shader_side_by_side(sides);
            let module = parse(&source).unwrap_or_else(|error| panic!("{sides:?}\n{error}\n{source}"));
            taint::check(&module).unwrap_or_else(|error| panic!("{sides:?}: {error}"));
            if !uses_matrix_units(&source) {
                backends::write(&module).unwrap_or_else(|error| panic!("{sides:?}: {error}"));
            }
            let [entry] = module.entry_points.as_slice() else { panic!("{sides:?} have not one entry point") };
            assert_eq!(entry.workgroup_size, [invocations as u32, 1, 1], "{sides:?}");
            let mut found: Vec<_> = module
                .global_variables
                .iter()
                .filter_map(|(_, variable)| {
                    Some((variable.binding.as_ref()?.binding, variable.name.clone()?, variable.space))
                })
                .collect();
            found.sort_by_key(|(number, ..)| *number);
            let bindings = sides.iter().enumerate().flat_map(|(side, &(kernel, storage, _))| {
                let named = move |binding: Binding| (format!("{}_side{side}", binding.name), space(binding.access));
                // The step block is the first side's.
                kernel.bindings(storage).into_iter().skip(usize::from(side > 0)).map(named)
            });
            let expected: Vec<_> = (0..).zip(bindings).map(|(number, (name, space))| (number, name, space)).collect();
            assert_eq!(found, expected, "{sides:?}");
            let sizes: Vec<_> = sides.iter().filter_map(|(kernel, ..)| kernel.workgroup()).collect();
            let own = (0..sizes.len()).filter(|&side| {
                sizes[..side].iter().all(|other| other.tiling.is_none() || other.tiling != sizes[side].tiling)
            });
            assert_eq!(workgroup_bytes(&module), own.map(|side| sizes[side].bytes).sum::<usize>(), "{sides:?}");
        }
    }
}

fn advance(workgroup: usize, penalties: usize) -> AdvanceStep {
    AdvanceStep { penalties, slots: 16, slot: 4, betas: Betas::NONE, workgroup }
}

/// Everything in single precision, everything that may be in half, and each binding alone.
fn storages(kernel: &Kernel) -> Vec<Storage> {
    let bindings = kernel.definition().bindings.iter().enumerate();
    let stored: Vec<_> = bindings.filter(|(_, binding)| binding.stored).map(|(index, _)| index).collect();
    let all = stored.iter().fold(Storage::default(), |storage, &index| storage.with_half(index));
    let mut storages = vec![Storage::default()];
    if all.has_halves() || kernel.gradients() != Gradients::None {
        storages.push(all.with_scale());
    }
    if stored.len() > 1 {
        storages.extend(stored.into_iter().map(|index| Storage::default().with_half(index)));
    }
    storages
}

fn uses_matrix_units(source: &str) -> bool {
    source.contains("enable wgpu_cooperative_matrix;")
}

fn parse(source: &str) -> Result<Module, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    // No capability for the default path, which asks for no feature; subgroups and matrix units for the tilings that use
    // them.
    let cooperative = uses_matrix_units(source);
    let subgroups = cooperative || source.contains("subgroupBroadcast");
    let mut capabilities = naga::valid::Capabilities::empty();
    capabilities.set(naga::valid::Capabilities::COOPERATIVE_MATRIX, cooperative);
    capabilities.set(naga::valid::Capabilities::SUBGROUP, subgroups);
    capabilities.set(naga::valid::Capabilities::SHADER_FLOAT16, source.starts_with("enable f16;"));
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    if subgroups {
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    validator.validate(&module).map_err(|error| error.emit_to_string(source))?;
    Ok(module)
}

/// The shader's bindings are the registry's, no more and no fewer, in the order of their numbers.
fn check_bindings(kernel: &Kernel, storage: Storage, module: &Module) {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let binding = variable.binding.as_ref()?;
            assert_eq!(binding.group, 0, "{kernel:?}");
            Some((binding.binding as usize, variable.name.clone().unwrap_or_default(), variable.space))
        })
        .collect();
    found.sort_by_key(|(number, ..)| *number);
    let expected: Vec<_> = kernel
        .bindings(storage)
        .iter()
        .enumerate()
        .map(|(number, binding)| (number, binding.name.to_string(), space(binding.access)))
        .collect();
    assert_eq!(found, expected, "{kernel:?}");
    let storage = found.iter().filter(|(.., space)| matches!(space, AddressSpace::Storage { .. })).count();
    assert!(storage <= STORAGE_BUFFERS, "{kernel:?} binds {storage} storage buffers");
}

fn space(access: Access) -> AddressSpace {
    match access {
        Access::Step => AddressSpace::Uniform,
        Access::Read => AddressSpace::Storage { access: StorageAccess::LOAD },
        Access::Write | Access::Update => AddressSpace::Storage { access: StorageAccess::LOAD | StorageAccess::STORE },
    }
}

fn check_limits(kernel: &Kernel, module: &Module) {
    let [entry] = module.entry_points.as_slice() else { panic!("{kernel:?} has not one entry point") };
    assert_eq!(entry.name, "main", "{kernel:?}");
    let invocations: u32 = entry.workgroup_size.iter().product();
    assert!(invocations <= INVOCATIONS, "{kernel:?} has {invocations} invocations");
    let bytes = workgroup_bytes(module);
    assert!(bytes <= WORKGROUP_BYTES, "{kernel:?} takes {bytes} bytes of workgroup memory");
    if let Some(workgroup) = kernel.workgroup() {
        let found = Workgroup { invocations: invocations as usize, bytes, ..workgroup };
        assert_eq!(workgroup, found, "{kernel:?}");
    }
}

fn workgroup_bytes(module: &Module) -> usize {
    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()) as usize).sum()
}

/// `struct Step` against [`StepBlock`]: names, offsets, size.
fn check_step(kernel: &Kernel, module: &Module) {
    let step = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Step"));
    let (_, step) = step.unwrap_or_else(|| panic!("{kernel:?} has no step block"));
    let TypeInner::Struct { members, span } = &step.inner else { panic!("Step is not a struct") };
    let found: Vec<_> =
        members.iter().map(|member| (member.name.as_deref().unwrap_or(""), member.offset as usize)).collect();
    let expected = [
        ("iteration", offset_of!(StepBlock, iteration)),
        ("position", offset_of!(StepBlock, position)),
        ("rows", offset_of!(StepBlock, rows)),
        ("samples", offset_of!(StepBlock, samples)),
        ("batch_size", offset_of!(StepBlock, batch_size)),
        ("slot", offset_of!(StepBlock, slot)),
        ("learning_rate", offset_of!(StepBlock, learning_rate)),
        ("beta_1_power", offset_of!(StepBlock, beta_1_power)),
        ("beta_2_power", offset_of!(StepBlock, beta_2_power)),
        ("batch", offset_of!(StepBlock, batch)),
        ("micro", offset_of!(StepBlock, micro)),
        ("accumulate", offset_of!(StepBlock, accumulate)),
        ("warmup", offset_of!(StepBlock, warmup)),
    ];
    assert_eq!(found, expected, "{kernel:?}");
    assert_eq!(*span as usize, size_of::<StepBlock>(), "{kernel:?}");
}

/// Operations with every setting that changes their text in more than a number.
fn without_products() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    for columns in COLUMNS {
        all.extend(losses(columns));
        all.extend(metrics(columns));
        all.extend(without_parameters(columns));
        all.extend(norms(columns));
        all.extend([
            ReluForward { columns }.into(),
            ReluBackward { columns }.into(),
            SoftmaxForward { columns }.into(),
            SoftmaxBackward { columns }.into(),
            RescaleForward { columns, scale: 1.0 / 127.5, offset: -1.0 }.into(),
            RescaleBackward { columns, scale: 1.0 / 127.5 }.into(),
        ]);
        for activation in ACTIVATIONS {
            all.push(ActivationForward { columns, activation }.into());
            all.push(ActivationBackward { columns, activation }.into());
        }
    }
    for flag in [false, true] {
        for target_words in [0, 1, 3] {
            let byte_scale = flag.then_some(1.0 / 255.0);
            let gather = |weighted| GatherBatch { features: 785, byte_scale, target_words, weighted, copies: 1 }.into();
            all.extend([gather(false), gather(true)]);
        }
        all.push(SumSquares { chunks: 7, of_gradients: flag }.into());
        all.push(GradientScales { tensors: 3, clip: 1.0, global: flag }.into());
        all.push(advance(256, 3 * usize::from(flag)).into());
    }
    all.extend(updates());
    all.extend(after_updates());
    all.extend(last_layers());
    all
}

/// Images of two rows of so many pixels, bent or not, with every fill mode.
fn augmentations(width: usize) -> Vec<Kernel> {
    let modes = [FillMode::Constant, FillMode::Nearest, FillMode::Reflect, FillMode::Wrap];
    let elastic = |bent: bool| bent.then_some(Elastic { amplitude: 2.0, nodes_a_pixel: 1.0 / width as f32 });
    let kernel = |(index, fill_mode): (usize, FillMode)| AugmentationForward {
        size: [width, 2],
        channels: 1 + index,
        translation: [2.5, 0.1],
        rotation: 0.1,
        zoom: 0.2,
        shear: [0.1, 0.0],
        elastic: elastic(index < 2),
        cutout: [width / 2, 1],
        fill_mode,
        fill_value: -1.0,
        draws: Draws { seed: 3, layer: 0 },
    };
    modes.into_iter().enumerate().map(|mode| kernel(mode).into()).collect()
}

/// Layers beside activations that have no parameters, and PReLU.
fn without_parameters(columns: usize) -> Vec<Kernel> {
    let draws = Draws { seed: u64::MAX, layer: 7 };
    let mut all: Vec<Kernel> = vec![
        RescaleForward { columns, scale: 1.0 / 127.5, offset: -1.0 }.into(),
        RescaleBackward { columns, scale: 1.0 / 127.5 }.into(),
    ];
    all.push(GaussianNoiseForward { columns, deviation: 0.1, draws }.into());
    all.extend(augmentations(columns));
    all.extend([PreluForward { columns }.into(), PreluBackward { columns }.into()]);
    for keep in [Keep::Overwrite, Keep::Accumulate] {
        all.push(PreluBackwardParameters { columns, keep }.into());
    }
    for rate in [0.0, 0.3, 1.0] {
        let forward = DropoutForward { columns, rate, draws };
        all.extend([forward.clone().into(), DropoutBackward { forward }.into()]);
    }
    all
}

/// Normalizations with γ and β, with one of them, and with none.
fn norms(columns: usize) -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    let behind = (4 * blocks(columns)).next_multiple_of(64);
    for (gamma, beta) in [(Some(0), Some(behind)), (Some(0), None), (None, Some(0)), (None, None)] {
        let (affine, epsilon, variance_offset) = (Affine { gamma, beta }, 1e-3, behind);
        let inference = BatchNormInferenceForward { columns, epsilon, affine, variance_offset };
        all.extend([
            LayerNormForward { columns, epsilon, affine }.into(),
            LayerNormBackward { columns, affine }.into(),
            LayerNormBackwardParameters { columns, affine, keep: Keep::Overwrite }.into(),
            LayerNormBackwardParameters { columns, affine, keep: Keep::Accumulate }.into(),
            BatchNormForward { columns, epsilon, momentum: 0.99, affine, variance_offset }.into(),
            BatchNormBackward { columns, affine, input_gradient: true, keep: Keep::Overwrite }.into(),
            BatchNormBackward { columns, affine, input_gradient: false, keep: Keep::Overwrite }.into(),
            BatchNormBackward { columns, affine, input_gradient: true, keep: Keep::Accumulate }.into(),
            inference.clone().into(),
            BatchNormInferenceBackward { forward: inference }.into(),
        ]);
    }
    all
}

/// The last layer with its loss, of one output, ten, and as many as it may have.
fn last_layers() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    for (columns, ids) in [(1, true), (10, false), (10, true), (MOST_OUTPUTS, true)] {
        for loss in [Loss::CategoricalCrossentropy, Loss::BinaryCrossentropy, Loss::MeanSquaredError] {
            for gradient in [false, true] {
                let targets = TargetLayout { ids, columns, smoothing: 0.1, smoothing_share: 0.1 / columns as f32 };
                let loss = RowLoss { loss, targets, gradient };
                let before = ACTIVATIONS.into_iter().filter(|activation| gradient && !activation.keeps_input());
                for before in before.map(Some).chain([None]) {
                    for (inputs, family) in [(784, Family::Hardware), (3, Family::Hardware), (784, Family::Software)] {
                        let tile = Tile::choose(inputs, columns, 1024, family);
                        let bias_offset = (inputs == 784).then_some(784 * blocks(columns) * 4);
                        all.push(DenseLoss { inputs, bias_offset, loss, before, tile }.into());
                    }
                }
            }
        }
    }
    // Names of a formula's own must be no other's.
    let targets = TargetLayout { ids: false, columns: 10, smoothing: 0.0, smoothing_share: 0.0 };
    all.extend(Loss::ALL.into_iter().map(|loss| {
        let (loss, tile) = (RowLoss { loss, targets, gradient: true }, Tile::choose(784, 10, 1024, Family::Hardware));
        DenseLoss { inputs: 784, bias_offset: None, loss, before: Some(Activation::Elu(1.0)), tile }.into()
    }));
    all
}

/// The loops of a tiling and what follows them are written apart: every rule and every activation with the first tiling
/// of each kind, and two of them in turns with each of the others.
fn products() -> Vec<Kernel> {
    // Beside those that tuning may choose: a tile that is not square, and a slice that divides nothing.
    let odd = Tiling::Staged { group_rows: 4, group_columns: 2, rows: 1, columns: 2, depth: 3, splits: 4 };
    let matrices = [CooperativeMatrix { size: 8, subgroup: 8 }, CooperativeMatrix { size: 16, subgroup: 32 }];
    let cooperative = matrices.into_iter().flat_map(Cooperative::candidates).map(Tiling::Cooperative);
    let rules: Vec<_> = rules().into_iter().flat_map(|rule| [(rule.clone(), 0.0), (rule, 0.5)]).collect();
    let (mut all, mut kinds, mut turn) = (Vec::new(), Vec::new(), 0);
    for tiling in CANDIDATES.into_iter().chain([odd]).chain(cooperative) {
        let kind = std::mem::discriminant(&tiling);
        let is_first = !kinds.contains(&kind);
        kinds.push(kind);
        for (inputs, outputs, bias_offset) in [(784, 10, Some(9408)), (3, 1, None)] {
            let (shares, keep) = (Shares::default(), Keep::Overwrite);
            let gradients = DenseBackwardWeights { inputs, outputs, bias_offset, tiling, shares, keep };
            all.push(DenseBackwardWeights { keep: Keep::Accumulate, ..gradients.clone() }.into());
            all.push(gradients.clone().into());
            let (rules, activations) = match is_first {
                true => (rules.clone(), ACTIVATIONS.to_vec()),
                false => (in_turns(&rules, turn), in_turns(&ACTIVATIONS, turn)),
            };
            turn += 1;
            all.extend(rules.into_iter().map(|rule| update(&gradients, rule)));
            for activation in activations {
                let shares = Shares::default();
                all.push(DenseForward { inputs, outputs, bias_offset, activation, tiling, shares }.into());
                all.push(DenseBackwardInput { inputs, outputs, activation, tiling }.into());
            }
        }
    }
    all
}

/// Two of a list: another pair each time, until all have been.
fn in_turns<T: Clone>(all: &[T], turn: usize) -> Vec<T> {
    [2 * turn, 2 * turn + 1].map(|index| all[index % all.len()].clone()).into()
}

fn update(gradients: &DenseBackwardWeights, (rule, clip_value): (Rule, f32)) -> Kernel {
    DenseBackwardUpdate {
        gradients: gradients.clone(),
        rule,
        kernel: TensorSettings {
            regularizer: Regularizer::l1_l2(0.1, clip_value),
            weight_decay: clip_value,
            learning_rate_factor: 1.0,
        },
        bias: TensorSettings::PLAIN,
        clip_value,
    }
    .into()
}

fn losses(columns: usize) -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    for ids in [false, true] {
        for (smoothing, gradient) in [(0.0, true), (0.1, true), (0.0, false)] {
            let targets = TargetLayout { ids, columns, smoothing, smoothing_share: smoothing / columns as f32 };
            all.push(SoftmaxCrossEntropy { targets, gradient }.into());
            all.push(OutputLoss { loss: Loss::MeanSquaredError, targets, gradient }.into());
        }
    }
    let targets = TargetLayout { ids: true, columns, smoothing: 0.0, smoothing_share: 0.0 };
    all.extend(Loss::ALL.into_iter().skip(1).map(|loss| OutputLoss { loss, targets, gradient: true }.into()));
    all
}

/// Each table of counts alone and all together.
fn metrics(columns: usize) -> Vec<Kernel> {
    let thresholds = vec![0.5, -1e-9];
    let alone = [
        Tables { ranks: 3, ..Tables::default() },
        Tables { classes: true, ..Tables::default() },
        Tables { matrix: true, ..Tables::default() },
        Tables { thresholds: thresholds.clone(), ..Tables::default() },
        Tables { curve: true, ..Tables::default() },
        Tables { ranks: 1, classes: true, matrix: columns < 1000, thresholds, curve: true },
    ];
    let mut all: Vec<Kernel> = Vec::new();
    for ids in [false, true] {
        let targets = TargetLayout { ids, columns, smoothing: 0.0, smoothing_share: 0.0 };
        let tables = alone.iter().filter(|tables| columns < 1000 || !tables.matrix);
        all.extend(tables.map(|tables| CountAnswers { targets, tables: tables.clone(), threshold: 0.5 }.into()));
        all.push(SumErrors { targets, groups: columns.min(64), slots: 16 }.into());
    }
    all
}

fn updates() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    for clip_value in [0.0, 0.5] {
        let common = Common { start: 128, length: 640, clip_value, workgroup: 32 };
        for rule in rules() {
            if let Rule::Rmsprop(rule) = rule.clone() {
                all.push(RmspropUpdate { common, rule }.into());
            }
            all.push(OptimizerUpdate { common, rule }.into());
        }
    }
    all
}

fn after_updates() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    for overwrite in [0, 3] {
        all.push(AverageWeights { length: 640, momentum: 0.9, overwrite }.into());
    }
    for bounds in [Bounds::NotNegative, Bounds::Norm { low: 0.5, high: 1.0, rate: 0.9 }] {
        for (rows, columns, is_vector) in [(784, 10, false), (3, 1, false), (1, 10, true)] {
            all.push(Constrain { rows, columns, is_vector, bounds }.into());
        }
    }
    all
}

fn rules() -> Vec<Rule> {
    let epsilon = 1e-7;
    let (beta_1, beta_2) = (0.9, 0.999);
    let mut all: Vec<Rule> = vec![
        Adam { beta_1, beta_2, epsilon, amsgrad: false }.into(),
        Adam { beta_1, beta_2, epsilon, amsgrad: true }.into(),
        Adagrad { epsilon }.into(),
        Nadam { beta_1, beta_2, epsilon }.into(),
        Lion { beta_1, beta_2 }.into(),
        Adamax { beta_1, beta_2, epsilon }.into(),
        Adadelta { rho: 0.9, epsilon }.into(),
        Ftrl { power: 0.5, l1: 0.1, l2: 0.0, l2_shrinkage: 0.0, beta: 0.0 }.into(),
        Ftrl { power: 0.7, l1: 0.0, l2: 0.1, l2_shrinkage: 0.1, beta: 1.0 }.into(),
    ];
    for (momentum, flag) in [(0.0, false), (0.0, true), (0.9, false), (0.9, true)] {
        all.push(Rule::Rmsprop(Rmsprop { rho: 0.9, momentum, epsilon, centered: flag }));
        all.push(Rule::Sgd(Sgd { momentum, nesterov: flag }));
    }
    all
}
