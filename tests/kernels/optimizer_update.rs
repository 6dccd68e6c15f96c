//! optimizer_update: every optimizer but RMSprop, with its options. A large ε shows where it stands; a small one, that it
//! counts at all.
//!
//! Bound: as for every update, see `harness/updates.rs`. Ftrl's z holds (q(n') − q(n))·w, which is small beside either term:
//! n is 9 at most after five gradients, η 0.05 at least, so q is 60, or 90 with the power 0.7. A root and a quotient are off
//! by some five units each, so z by 10·60 for each term, and w, which is z divided by q, by 20. A power goes through `exp`
//! and `log`, off by 2·10⁻⁶, 34 units, each: z by 2·68·90 more, and w by 136.

use wgrad::kernels::adadelta::Adadelta;
use wgrad::kernels::adagrad::Adagrad;
use wgrad::kernels::adam::Adam;
use wgrad::kernels::adamax::Adamax;
use wgrad::kernels::ftrl::Ftrl;
use wgrad::kernels::lion::Lion;
use wgrad::kernels::nadam::Nadam;
use wgrad::kernels::optimizer_update::OptimizerUpdate;
use wgrad::kernels::sgd::Sgd;
use wgrad::kernels::update::{Common, Rule, TENSOR_ALIGNMENT};

use crate::harness::updates::{Slots, Update};
use crate::harness::{Array, Case, Output, Random, Trials, UNIT, alone, step_of, tensor_entry};

const STEPS: usize = 5;

const BETAS: (f32, f32) = (0.9, 0.999);

/// The rules with what their slots start from.
fn rules() -> Vec<(&'static str, Rule, Slots)> {
    let (beta_1, beta_2) = BETAS;
    let sgd = |momentum, nesterov| Sgd { momentum, nesterov }.into();
    let adam = |epsilon, amsgrad| Adam { beta_1, beta_2, epsilon, amsgrad }.into();
    let ftrl = |power, l1, l2| Ftrl { power, l1, l2, l2_shrinkage: 0.5 * l2, beta: 0.3 * l2 }.into();
    vec![
        ("sgd", sgd(0.0, false), &[None]),
        ("sgd_nesterov_without_momentum", sgd(0.0, true), &[None]),
        ("sgd_momentum", sgd(0.9, false), &[Some(0.0)]),
        ("sgd_nesterov", sgd(0.9, true), &[Some(0.0)]),
        ("adam", adam(1e-7, false), &[Some(0.0), Some(0.0)]),
        ("adam_large_epsilon", adam(0.1, false), &[Some(0.0), Some(0.0)]),
        ("amsgrad", adam(1e-3, true), &[Some(0.0), Some(0.0), Some(0.0)]),
        ("adagrad", Adagrad { epsilon: 1e-7 }.into(), &[Some(0.1)]),
        ("adagrad_large_epsilon", Adagrad { epsilon: 0.1 }.into(), &[Some(0.1)]),
        ("adagrad_from_zero", Adagrad { epsilon: 1e-7 }.into(), &[Some(0.0)]),
        ("nadam", Nadam { beta_1, beta_2, epsilon: 1e-7 }.into(), &[Some(0.0), Some(0.0)]),
        ("nadam_large_epsilon", Nadam { beta_1, beta_2, epsilon: 0.1 }.into(), &[Some(0.0), Some(0.0)]),
        ("lion", Lion { beta_1, beta_2: 0.99 }.into(), &[Some(0.0)]),
        ("adamax", Adamax { beta_1, beta_2: 0.5, epsilon: 1e-7 }.into(), &[Some(0.0), Some(0.0)]),
        ("adamax_large_epsilon", Adamax { beta_1, beta_2, epsilon: 0.1 }.into(), &[Some(0.0), Some(0.0)]),
        ("adadelta", Adadelta { rho: 0.95, epsilon: 1e-7 }.into(), &[Some(0.0), Some(0.0)]),
        ("adadelta_large_epsilon", Adadelta { rho: 0.5, epsilon: 0.1 }.into(), &[Some(0.0), Some(0.0)]),
        ("ftrl", ftrl(0.5, 0.0, 0.0), &[Some(0.1), Some(0.0)]),
        ("ftrl_power", ftrl(0.7, 0.3, 0.2), &[Some(0.1), Some(0.0)]),
        ("ftrl_from_zero", ftrl(0.5, 0.0, 0.0), &[Some(0.0), Some(0.0)]),
    ]
}

pub fn cases(trials: &mut Trials) {
    for (turn, (name, rule, slots)) in rules().into_iter().enumerate() {
        let clip = if turn % 2 == 0 { 0.0 } else { 0.25 };
        let suffix = if turn % 2 == 0 { "" } else { "_clip_value" };
        let own = rule.clone();
        trials.add(&format!("{name}{suffix}"), move |device| update(own.clone(), clip, slots).check(device, STEPS));
        trials.add(&format!("nan_{name}{suffix}"), move |device| {
            let spoil = |_, gradients: &mut Array| gradients.set(70, f32::NAN);
            update(rule.clone(), clip, slots).steps(device, 2, spoil)
        });
    }
    trials.add("folded_grid", |device| {
        let _alone = alone();
        many().check(device)
    });
}

fn update(rule: Rule, clip: f32, slots: Slots) -> Update {
    let warms_up = matches!(rule, Rule::Nadam(_));
    let slack = match &rule {
        Rule::Ftrl(ftrl) if ftrl.power == 0.5 => [20.0, 0.0, 1200.0],
        Rule::Ftrl(_) => [156.0, 0.0, 13_500.0],
        _ => [0.0; 3],
    };
    Update::new(|common| OptimizerUpdate { common, rule }.into(), clip, slots).warming_up(warms_up).with_slack(slack)
}

/// More than 65,535 workgroups of 64 blocks of four: a net of 16.8 million parameters.
fn many() -> Case {
    let length = 65_536 * 256 + TENSOR_ALIGNMENT;
    let mut random = Random::new(length);
    let parameters = random.list(length, -1.0, 1.0);
    let gradients = Array::floats(&random.list(length, -1.0, 1.0));
    let tensor_of = Array::words(vec![0; length / TENSOR_ALIGNMENT]);
    let common = Common::all(length, 0.0);
    // Two roundings of numbers up to 1.1.
    let output = Output::list(length, length, length).within(|_, _| 4.0 * UNIT);
    Case {
        kernel: OptimizerUpdate { common, rule: Sgd { momentum: 0.0, nesterov: false }.into() }.into(),
        step: step_of(1),
        capacity: 1,
        inputs: vec![gradients, Array::floats(&tensor_entry([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])), tensor_of],
        outputs: vec![output.from(parameters.iter().map(|value| value.to_bits()).collect()), Output::dummy()],
    }
}
