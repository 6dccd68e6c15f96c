//! The choice of tilings by measurement: every candidate for every product of a model is timed on the device at hand,
//! and the fastest is kept. Which candidates there are, is in `kernels/parts/product/choice.rs`; where choices are kept, in
//! `device/tilings.rs`; how a launch is timed, in `executor/gpu/bench.rs`.

mod report;

use crate::blocking::block_on;
use crate::device::Backend;
use crate::error::Result;
use crate::executor::{Executor, gpu};
use crate::kernels::product::{Choices, Product, Tiling};
use crate::kernels::{Element, Kernel};
use crate::model::Model;
use crate::model::binding::check_batch_size;
use crate::model::buffers::model_buffers;
use crate::model::capacity::MOST_ROWS;
use crate::plan::{DataFormat, Launch, Mode, Plan, PlanKey, Recipe, Room, Store};

pub use report::{Candidate, TunedProduct, Tuning};

/// How often each candidate has its turn. A device that changes its clock, or is disturbed for a moment, then does the
/// same to all of them.
const ROUNDS: usize = 3;

/// Candidates that took this much longer than the best in an earlier round have no further turn. It is more than other
/// work on the machine adds as a rule: on a software driver a core that is busy elsewhere doubles the time.
const HOPELESS: f64 = 2.5;

/// What another tiling must save to take the default's place: less is within what two measurements differ by.
const WORTHWHILE: f64 = 0.97;

/// How often the fastest and the default are timed one right after the other in the end, and how often the fastest must
/// win. Work elsewhere on the machine that lasts for seconds can spoil a round, but hardly most of these pairs in one
/// sense.
const DUELS: usize = 5;
const WINS: usize = 4;

/// How far a candidate's results may be from the default's, of an element's size and of the largest one's each.
const TOLERANCE: f32 = 1e-4;

/// The same where results are rounded to halves, or parameters are for matrix units: two units in the last place of a half.
const HALF_TOLERANCE: f32 = 1.0 / 512.0;

/// A product whose tilings are being measured.
struct Race {
    /// Where it stands in its plan.
    launch: usize,
    label: String,
    product: Product,
    /// The default first.
    runners: Vec<Runner>,
    choice: usize,
}

#[derive(Clone, Copy)]
struct Runner {
    tiling: Tiling,
    /// The least so far, infinite before the first turn; `None` once it is out.
    seconds: Option<f64>,
}

impl Model {
    /// Finds the fastest tilings of this model's matrix products on its GPU by trying them: those of training in
    /// batches of `batch_size` (the batch of [`Fit`](crate::Fit), or all samples where they are fewer) and those of
    /// evaluation. The model uses them from its next call on, and so does every model that is compiled or loaded for
    /// this device later, in this process and, through a file in the user's cache, in others: this need not be called
    /// again until the device, its driver or wgrad's version changes. [`DeviceOptions`](crate::DeviceOptions) says
    /// where the file is and how to do without it.
    ///
    /// It takes seconds, for large models on slow devices minutes, and for that time as much of the device's memory as
    /// the model and a batch take. Parameters and optimizer are left alone. Other work on the device disturbs the
    /// measurements. A candidate whose results on made-up numbers are not those of the default, up to rounding, is out.
    ///
    /// Updates that share a dispatch with a larger one ([`Model::plan_summary`] marks them) are left out: their workgroups
    /// are of the larger one's size.
    ///
    /// Without this call a tiling is a function of the shape, the kind of device and, for updates, what they share a
    /// dispatch with. A choice that was measured may differ on the next machine, or after the next call. As long as it
    /// stands, the same seed gives the same bits; two choices agree up to rounding.
    ///
    /// On the CPU device, whose products have one tiling, there is nothing to choose: the report is empty.
    ///
    /// ```
    /// use wgrad::{Dense, Device, Loss, Sequential, Sgd};
    ///
    /// let net = Sequential::new(784).add(Dense::new(512)).add(Dense::new(10));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// let tuning = model.tune(128)?;
    /// print!("{tuning}");
    /// assert!(tuning.products.is_empty()); // on a GPU there are three, one of them for evaluation
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`](crate::Error::Configuration) for a batch size that [`Fit`](crate::Fit) would refuse,
    /// [`Error::Io`](crate::Error::Io) if the choices cannot be kept (they hold for this device all the same), and
    /// whatever the device reports.
    pub fn tune(&mut self, batch_size: usize) -> Result<Tuning> {
        block_on(self.tune_async(batch_size))
    }

    /// [`Model::tune`] for callers that are asynchronous themselves. Compilers and files are not waited for in the
    /// asynchronous sense, the device is.
    ///
    /// # Errors
    /// As [`Model::tune`].
    pub async fn tune_async(&mut self, batch_size: usize) -> Result<Tuning> {
        check_batch_size(batch_size)?;
        let device = self.device().clone();
        let Backend::Gpu(context) = &device.backend else {
            return Ok(Tuning { products: Vec::new(), kept: None });
        };
        let held = self.executor().await?;
        let (parameters, moving) = (held.read(Store::Parameters).await?, held.read(Store::Moving).await?);
        drop(held);
        let buffers = model_buffers(&self.layout, self.optimizer(), (&parameters, &moving));
        let mut races = Vec::new();
        let format = DataFormat { byte_scale: None, target_ids: Some(false), weighted: false };
        let evaluation = self.rows_that_fit(Mode::Evaluate, format, MOST_ROWS);
        for (mode, capacity) in [(Mode::Train, batch_size), (Mode::Evaluate, evaluation)] {
            // Anew, with the parameters as they are: updates that are timed spoil their copy.
            let executor = gpu::Executor::new(context.clone(), buffers.clone())?;
            let known: Vec<_> = races.iter().map(|race: &Race| race.product).collect();
            races.extend(self.race(&executor, mode, capacity, &known).await?);
        }
        let choices = Choices(races.iter().map(|race| (race.product, race.runners[race.choice].tiling)).collect());
        context.choose(&choices);
        self.set_choices(context.choices());
        if let Executor::Gpu(gpu) = &mut *self.executor().await? {
            gpu.forget_programs();
        }
        let kept = context.keep(&choices)?;
        Ok(Tuning { products: races.into_iter().map(TunedProduct::from).collect(), kept })
    }

    /// Measures the products of one plan, but for those that are known.
    async fn race(
        &self,
        executor: &gpu::Executor,
        mode: Mode,
        capacity: usize,
        known: &[Product],
    ) -> Result<Vec<Race>> {
        // What the samples look like makes no difference to a product.
        let format = DataFormat { byte_scale: None, target_ids: Some(false), weighted: false };
        let (fused, precision, device) = (self.fused, self.precision(), self.device().traits());
        // Every product in a dispatch of its own, by its own tiling.
        let room = Room::default();
        let key = PlanKey { mode, capacity, format, fused, accumulates: false, precision, metrics: 0, device, room };
        let plan = self.recipe().plan(key);
        // What shares a larger product's dispatch takes its workgroups from there.
        let shared = self.recipe().plan(PlanKey { room: self.room(), ..key });
        let step = self.step().start(capacity as u32, capacity as u32);
        let track = Track { recipe: self.recipe(), key, bench: gpu::Bench::new(executor, &plan, step)? };
        let mut races = races(&plan, &shared, known);
        for race in &mut races {
            track.qualify(race).await?;
        }
        for _ in 0..ROUNDS {
            for race in &mut races {
                track.round(race).await?;
            }
        }
        for race in &mut races {
            track.decide(race).await?;
        }
        Ok(races)
    }
}

/// The products of a plan, each once, but for those that are known, and those that share the dispatch of a larger one in
/// `shared`, which has the same launches.
fn races(plan: &Plan, shared: &Plan, known: &[Product]) -> Vec<Race> {
    let product = |launch: &Launch| launch.kernel.product(plan.key.capacity, plan.key.precision);
    let work = |launch: &Launch| product(launch).map(|product| product.size.rows * product.size.columns);
    let leads = |index: usize| {
        let dispatch = shared.dispatches.iter().find(|dispatch| dispatch.contains(&index)).cloned().unwrap_or_default();
        shared.launches[dispatch].iter().all(|other| work(other) <= work(&plan.launches[index]))
    };

    let mut races: Vec<Race> = Vec::new();
    for (index, launch) in plan.launches.iter().enumerate() {
        let Some(product) = product(launch) else { continue };
        if !leads(index) || known.contains(&product) || races.iter().any(|race| race.product == product) {
            continue;
        }
        let runners = Tiling::candidates(product, plan.key.device).into_iter();
        let runners = runners.map(|tiling| Runner { tiling, seconds: Some(f64::INFINITY) }).collect();
        races.push(Race { launch: index, label: launch.label.clone(), product, runners, choice: 0 });
    }
    races
}

/// Where a plan's products are raced.
struct Track<'a> {
    recipe: Recipe<'a>,
    key: PlanKey,
    bench: gpu::Bench,
}

impl Track<'_> {
    /// The launch of a product by one of its candidates.
    fn launch(&self, race: &Race, runner: usize) -> Launch {
        let choices = Choices([(race.product, race.runners[runner].tiling)].into());
        Recipe { choices: &choices, ..self.recipe }.plan(self.key).launches.swap_remove(race.launch)
    }

    /// Drops the candidates that do not compute what the default computes.
    async fn qualify(&self, race: &mut Race) -> Result<()> {
        let launches: Vec<_> = (0..race.runners.len()).map(|runner| self.launch(race, runner)).collect();
        let products: Vec<_> = launches.iter().map(product_alone).collect();
        self.bench.compile(launches.iter().chain(&products))?;
        let expected = self.bench.results(&products[0]).await?;
        let default = race.runners[0].tiling;
        for (runner, product) in race.runners.iter_mut().zip(&products).skip(1) {
            if !agree(&self.bench.results(product).await?, &expected, tolerance([default, runner.tiling], product)) {
                runner.seconds = None;
            }
        }
        Ok(())
    }

    /// One turn of every candidate that may still win.
    async fn round(&self, race: &mut Race) -> Result<()> {
        for runner in 0..race.runners.len() {
            let Some(so_far) = race.runners[runner].seconds else { continue };
            // The default is what all others are measured by.
            if runner == 0 || so_far.is_infinite() || so_far <= HOPELESS * race.best() {
                let seconds = self.bench.seconds(&self.launch(race, runner)).await?;
                race.runners[runner].seconds = Some(so_far.min(seconds));
            }
        }
        Ok(())
    }

    /// The fastest, if it is so once more beside the default.
    async fn decide(&self, race: &mut Race) -> Result<()> {
        let fastest = race.fastest();
        if fastest == 0 {
            return Ok(());
        }
        let (challenger, default) = (self.launch(race, fastest), self.launch(race, 0));
        let mut wins = 0;
        for _ in 0..DUELS {
            let (new, old) = (self.bench.seconds(&challenger).await?, self.bench.seconds(&default).await?);
            wins += usize::from(new < WORTHWHILE * old);
        }
        race.choice = if wins >= WINS { fastest } else { 0 };
        Ok(())
    }
}

/// A launch without the update that rides in it, which would hide what a gradient is: the first step of most rules is as
/// large for a small one as for a large one. The gradients go where the parameters lie.
fn product_alone(launch: &Launch) -> Launch {
    let Kernel::DenseBackwardUpdate(update) = &launch.kernel else { return launch.clone() };
    let product = Kernel::from(update.gradients.clone());
    let (own, scale) = launch.arguments.split_at(product.definition().bindings.len());
    let scale = scale.last().filter(|_| launch.storage.is_scaled());
    Launch { kernel: product, arguments: own.iter().chain(scale).copied().collect(), ..launch.clone() }
}

/// How far the results of this launch by two tilings may be apart.
fn tolerance(tilings: [Tiling; 2], launch: &Launch) -> f32 {
    let bindings = launch.kernel.bindings(launch.storage);
    let writes_halves = bindings.iter().any(|binding| binding.is_output() && binding.element == Element::Half);
    let rounds = writes_halves || tilings.iter().any(|tiling| matches!(tiling, Tiling::Cooperative(_)));
    if rounds { HALF_TOLERANCE } else { TOLERANCE }
}

/// Whether two tilings computed the same, up to rounding; something at all, that is.
fn agree(found: &[f32], expected: &[f32], tolerance: f32) -> bool {
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= tolerance * (expected.abs() + largest);
    !found.is_empty() && found.len() == expected.len() && found.iter().zip(expected).all(close)
}

impl Race {
    fn seconds(&self, index: usize) -> f64 {
        self.runners[index].seconds.unwrap_or(f64::INFINITY)
    }

    fn best(&self) -> f64 {
        (0..self.runners.len()).map(|index| self.seconds(index)).fold(f64::INFINITY, f64::min)
    }

    /// The fastest, or the default where that is hardly slower.
    fn fastest(&self) -> usize {
        let best = (0..self.runners.len()).min_by(|&a, &b| self.seconds(a).total_cmp(&self.seconds(b))).unwrap_or(0);
        if self.seconds(best) < WORTHWHILE * self.seconds(0) { best } else { 0 }
    }
}

impl From<Race> for TunedProduct {
    fn from(race: Race) -> Self {
        let size = race.product.size;
        let candidate = |runner: &Runner| Candidate { tiling: runner.tiling.to_string(), seconds: runner.seconds };
        TunedProduct {
            choice: race.choice,
            candidates: race.runners.iter().map(candidate).collect(),
            label: race.label,
            operation: race.product.operation,
            rows: 4 * size.rows,
            columns: 4 * size.columns,
            depth: 4 * size.depth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::device::context::ShaderText;
    use crate::kernels::product::{Family, Size, Traits};
    use crate::kernels::storage::Precision;
    use crate::net::layers::Dense;
    use crate::net::losses::Loss;
    use crate::net::optimizers::RmsProp;
    use crate::net::sequential::Sequential;

    fn race(seconds: &[Option<f64>]) -> Race {
        let size = Size { rows: 32, columns: 128, depth: 196 };
        let product = Product { operation: "dense_forward", size, precision: Precision::F32 };
        let candidates = Tiling::candidates(product, Traits::of(Family::Hardware)).into_iter();
        let runner = |(tiling, &seconds)| Runner { tiling, seconds };
        let runners = candidates.zip(seconds).map(runner).collect();
        Race { launch: 0, label: "dense_0.forward".into(), product, runners, choice: 0 }
    }

    #[test]
    fn the_default_stays_unless_another_is_clearly_faster() {
        assert_eq!(race(&[Some(1.0), Some(0.98), Some(2.0)]).fastest(), 0);
        assert_eq!(race(&[Some(1.0), Some(0.9), Some(0.8)]).fastest(), 2);
        assert_eq!(race(&[Some(1.0), None, Some(f64::INFINITY)]).fastest(), 0);
    }

    #[test]
    fn results_agree_up_to_rounding_alone() {
        assert!(agree(&[1.0, 100.0], &[1.001, 100.0], TOLERANCE));
        assert!(!agree(&[1.0, 100.0], &[1.1, 100.0], TOLERANCE));
        assert!(agree(&[1.0, 100.0], &[1.1, 100.0], HALF_TOLERANCE));
        assert!(!agree(&[1.0, 100.0], &[1.5, 100.0], HALF_TOLERANCE));
        assert!(!agree(&[1.0, f32::NAN], &[1.0, 100.0], HALF_TOLERANCE));
        assert!(!agree(&[1.0], &[1.0, 100.0], HALF_TOLERANCE));
        assert!(!agree(&[], &[], HALF_TOLERANCE));
    }

    /// A driver that computes something else with one tiling, forward and where the update rides in the product. Needs a GPU
    /// adapter, be it a software driver's.
    #[test]
    fn a_candidate_with_other_results_is_out() -> Result<()> {
        let device = Device::options().tuned_tilings(false).gpu()?;
        let Backend::Gpu(context) = &device.backend else { panic!("a GPU device") };
        let net = Sequential::new(13).add(Dense::new(8)).add(Dense::new(5));
        let mut model = net.compile(&device, RmsProp::default(), Loss::MeanSquaredError)?;
        let format = DataFormat { byte_scale: None, target_ids: Some(false), weighted: false };
        let (mode, device, precision) = (Mode::Train, device.traits(), Precision::F32);
        let room = Room::default();
        let key = PlanKey {
            mode,
            capacity: 32,
            format,
            fused: true,
            accumulates: false,
            precision,
            metrics: 0,
            device,
            room,
        };
        let broken = Tiling::Direct { rows: 1, columns: 2, workgroup: 64 };
        let plan = model.recipe().plan(key);
        let shared = model.recipe().plan(PlanKey { room: model.room(), ..key });
        for race in races(&plan, &shared, &[]) {
            let choices = Choices([(race.product, broken)].into());
            let launch = &Recipe { choices: &choices, ..model.recipe() }.plan(key).launches[race.launch];
            let product = product_alone(launch);
            let text = product.kernel.shader(product.storage);
            let sum = "fma(vec4<f32>(a.w), b[3],";
            assert!(text.contains(sum));
            let source = ShaderText::new(&product.kernel, product.storage);
            context.sabotage(source, &text.replace(sum, "fma(vec4<f32>(0.0), b[3],"))?;
        }
        let tuning = model.tune(32)?;
        let labels: Vec<_> = tuning.products.iter().map(|product| product.label.as_str()).collect();
        assert_eq!(labels, ["dense_0.forward", "dense_0.update", "dense_0.forward"]);
        for product in &tuning.products {
            let out: Vec<_> = product.candidates.iter().filter(|candidate| candidate.seconds.is_none()).collect();
            assert_eq!(out.len(), 1, "{tuning:#}");
            assert_eq!(out[0].tiling, broken.to_string());
        }
        Ok(())
    }
}
