//! Every check is seen failing once, on purpose: by a driver that lies, by kernels that are broken, by devices that are too
//! small, destroyed, or do not answer. Those on a GPU need an adapter, be it a software driver's, and fail without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::driver::{Driver, Honest, Probe, Trained};
use super::nets::{NETS, SCALES};
use super::operations::{self, Run};
use super::parts::Room;
use super::report::{Check, LaunchTime, Outcome, Part, Report, Speed, StepTime, ThreadTime};
use super::{Doctor, probes, speed, training};
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::executor::gpu;
use crate::kernels::REGISTRY;
use crate::kernels::product::Tiling;
use crate::kernels::product::cooperative::CooperativeMatrix;
use crate::kernels::storage::Precision;
use crate::plan::{Launch, Mode};

const LIMIT: Duration = Duration::from_secs(60);

/// What is done to the words of a probe's buffers.
type Lie = Box<dyn Fn(&mut Vec<Vec<u32>>) + Send + Sync>;

/// A driver that runs what it is told, and then says something else of the probe of this name.
struct Lying {
    honest: Honest,
    about: &'static str,
    lie: Lie,
    readbacks: fn(&mut Vec<u32>),
    training: fn(usize, &mut Trained),
    trained: AtomicUsize,
    units: Option<CooperativeMatrix>,
}

impl Lying {
    fn on(device: Device) -> Self {
        let trained = AtomicUsize::new(0);
        let (honest, lie): (_, Lie) = (Honest(device), Box::new(|_| {}));
        Lying { honest, about: "", lie, readbacks: |_| {}, training: |_, _| {}, trained, units: None }
    }

    fn about(self, about: &'static str, lie: impl Fn(&mut Vec<Vec<u32>>) + Send + Sync + 'static) -> Self {
        Lying { about, lie: Box::new(lie), ..self }
    }
}

impl Driver for Lying {
    fn device(&self) -> &Device {
        self.honest.device()
    }

    fn matrix_units(&self) -> Option<CooperativeMatrix> {
        self.units
    }

    fn run(&self, probe: &Probe) -> Result<Vec<Vec<u32>>> {
        // The patterns for matrix units are not run where there are none.
        let mut found = match probe.name {
            "matrix units" => vec![Vec::new(), Vec::new(), Vec::new(), product_of_units(&probe.text)],
            _ => self.honest.run(probe)?,
        };
        if probe.name == self.about {
            (self.lie)(&mut found);
        }
        Ok(found)
    }

    fn readbacks(&self, rounds: u32) -> Result<Vec<u32>> {
        let mut found = self.honest.readbacks(rounds)?;
        (self.readbacks)(&mut found);
        Ok(found)
    }

    fn trained(&self, _: &Device, _: Precision) -> Result<Trained> {
        let mut found = Trained { weights: vec![0.25; 8], loss: 1.5 };
        (self.training)(self.trained.fetch_add(1, Ordering::Relaxed), &mut found);
        Ok(found)
    }
}

/// Units of 8 × 8 that double everything where an accumulator is carried through a loop, as one engine has seen it.
fn product_of_units(text: &str) -> Vec<u32> {
    let (_, _, sum) = super::matrix::numbers(8);
    let factor = if text.contains("k < TERMS; k++) { sum =") { 2.0 } else { 1.0 };
    sum.iter().map(|value| (factor * value).to_bits()).collect()
}

fn room(driver: impl Driver + 'static) -> Room {
    Room::new(Arc::new(driver), LIMIT)
}

/// What the checks of the driver say of one that tells this lie.
fn probed(lying: Lying) -> Part {
    room(lying).run("driver", probes::check)
}

fn outcome(part: &Part, name: &str) -> Outcome {
    let found = part.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {part:?}")).outcome
}

fn failed(part: &Part) -> Vec<&Check> {
    part.checks.iter().filter(|check| check.outcome == Outcome::Failed).collect()
}

#[test]
fn an_honest_driver_passes() -> Result<()> {
    let part = probed(Lying::on(Device::gpu()?));
    assert!(part.finished && failed(&part).is_empty(), "{part:#?}");
    assert!(part.count(Outcome::Passed) >= 5, "{part:#?}");
    Ok(())
}

/// A word of the last buffer gets another value.
#[test]
fn a_lie_about_each_probe_is_found() -> Result<()> {
    let cases = [
        ("loops to their end", "loops to their end", 5, 0),
        ("subgroups of the size that is said", "subgroups", 0, 32),
        ("workgroup memory behind barriers", "barriers", 300, 1),
        ("NaN and infinity", "NaN and infinity", 0, 0),
        ("denormals", "denormals", 1, 1),
        ("indexes beyond a binding", "indexes beyond a binding", 600, 7),
    ];
    let device = Device::gpu()?;
    for (name, probe, at, word) in cases {
        let part = probed(Lying::on(device.clone()).about(probe, move |found| found.last_mut().unwrap()[at] = word));
        let names: Vec<_> = failed(&part).into_iter().map(|check| check.name.as_str()).collect();
        // A device without subgroups of one size is asked nothing about them.
        let expected = if outcome(&part, name) == Outcome::Skipped { vec![] } else { vec![name] };
        assert_eq!(names, expected, "{part:#?}");
    }
    Ok(())
}

#[test]
fn loops_that_end_early_say_when() -> Result<()> {
    // The generator's state after one turn.
    let lie = |found: &mut Vec<Vec<u32>>| found[1][0] = 1_013_904_223;
    let part = probed(Lying::on(Device::gpu()?).about("loops to their end", lie));
    assert_eq!(failed(&part)[0].detail, "a loop of 65000 turns: it ends after 1 turns");
    Ok(())
}

#[test]
fn denormals_may_be_taken_for_zero_and_nothing_else_may() -> Result<()> {
    let lie = |found: &mut Vec<Vec<u32>>| found[1][..4].copy_from_slice(&[0, 0, 0x0080_0000, 0x0080_0000]);
    let part = probed(Lying::on(Device::gpu()?).about("denormals", lie));
    assert_eq!(outcome(&part, "denormals"), Outcome::Noted);
    Ok(())
}

#[test]
fn a_stale_readback_is_called_so() -> Result<()> {
    let readbacks: fn(&mut Vec<u32>) = |found| found[9] = found[8];
    let part = probed(Lying { readbacks, ..Lying::on(Device::gpu()?) });
    assert_eq!(failed(&part)[0].detail, "element 9 is 17, expected 19: it is from an earlier submission");
    Ok(())
}

#[test]
fn matrix_units_that_are_off_by_a_factor_of_two_are_named() -> Result<()> {
    let units = Some(CooperativeMatrix { size: 8, subgroup: 8 });
    let part = probed(Lying { units, ..Lying::on(Device::gpu()?) });
    let wrong = failed(&part);
    assert_eq!(wrong.len(), 1, "{part:#?}");
    assert_eq!(wrong[0].name, "matrix units: a sum carried through a loop");
    assert!(wrong[0].detail.ends_with("all exactly twice"), "{}", wrong[0].detail);
    assert_eq!(part.checks.iter().filter(|check| check.name.starts_with("matrix units")).count(), 6);
    Ok(())
}

#[test]
fn trainings_that_differ_are_found() -> Result<()> {
    let trained = |training: fn(usize, &mut Trained)| -> Result<Part> {
        let lying = Lying { training, ..Lying::on(Device::gpu()?) };
        Ok(room(lying).run("training", training::check))
    };
    let part = trained(|_, _| {})?;
    assert!(failed(&part).is_empty(), "{part:#?}");
    let part = trained(|time, trained| trained.weights[3] += if time == 1 { 1e-7 } else { 0.0 })?;
    assert_eq!(failed(&part)[0].detail, "1 of 8 weights differ between two trainings from one seed");
    // The third training is the CPU device's.
    for loss in [1.51, f64::NAN] {
        let part = trained(if loss.is_nan() {
            |time, trained| trained.loss = if time == 2 { 1.5 } else { f64::NAN }
        } else {
            |time, trained| trained.loss += if time == 2 { 0.01 } else { 0.0 }
        })?;
        assert_eq!(failed(&part)[0].name, "beside the CPU device", "{part:#?}");
    }
    Ok(())
}

/// The nets have every operation of the registry, but for those that stand alone; both are examined.
#[test]
fn every_operation_is_examined() {
    // A whole one has more formulas in the same operations, and other shapes.
    let whole = Doctor::new().measure(false).limit(LIMIT).examine(&Device::cpu());
    assert!(whole.is_healthy() && whole.parts.iter().all(|part| part.finished), "{whole}");
    let report = Doctor::new().quick(true).measure(false).examine(&Device::cpu());
    assert!(report.is_healthy(), "{report}");
    let names: Vec<_> = report.checks().filter(|check| check.launches > 0).map(|check| check.name.as_str()).collect();
    let missing: Vec<_> = REGISTRY.iter().map(|row| row.name).filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "no net of src/inspect/doctor/nets.rs has {missing:?}");
}

/// Every tiling that a software driver can be given, and those of hardware, are among the runs.
#[test]
fn every_tiling_is_among_the_runs() -> Result<()> {
    for hardware in [false, true] {
        let device = Device::options().tuned_tilings(false).plan_for_hardware(hardware).gpu()?;
        for quick in [true, false] {
            let runs = operations::runs(&device, quick)?;
            let found: Vec<_> = runs.iter().filter_map(|run| run.tiling).collect();
            let kinds: [fn(&Tiling) -> bool; 3] = [
                |tiling| matches!(tiling, Tiling::Direct { .. }),
                |tiling| matches!(tiling, Tiling::Split { .. }),
                |tiling| matches!(tiling, Tiling::Staged { .. }),
            ];
            let has = kinds.map(|kind| found.iter().any(kind));
            assert_eq!(has, [true, true, hardware]);
            for precision in [Precision::F32, Precision::F16] {
                let wanted = precision == Precision::F32 || device.info().has_half_precision();
                assert_eq!(runs.iter().any(|run| run.precision == precision), wanted);
            }
        }
    }
    Ok(())
}

/// Breaks a launch of a net as a driver might, and examines that net alone.
fn broken(net: usize, label: &str, from: &str, to: &str) -> Result<Part> {
    let device = Device::options().tuned_tilings(false).gpu()?;
    let run = Run { net: NETS[net], scale: SCALES[0], precision: Precision::F32, fused: true, tiling: None };
    let model = run.net.model(&device, run.scale)?;
    let key = model.plan_key(Mode::Train, &run.net.data(run.scale)?, false, run.scale.batch)?;
    let plan = model.recipe().plan(key);
    let has_label = |launches: &&[Launch]| launches.iter().any(|launch| launch.label == label);
    let launches = plan.dispatched().find(has_label).expect("a launch of this name");
    let Backend::Gpu(context) = &device.backend else { panic!("a GPU device") };
    gpu::sabotage(context, launches, run.scale.batch, |launch, text| {
        if launch.label != label {
            return text;
        }
        assert!(text.contains(from), "{from:?} is not in the shader of {label}");
        text.replacen(from, to, 1)
    })?;
    let examine = move |notes: &super::parts::Notes, driver: &Arc<dyn Driver>| {
        operations::one(notes, driver, &run).unwrap();
    };
    Ok(room(Honest(device)).run("operations", examine))
}

#[test]
fn a_wrong_kernel_is_named_with_element_expected_and_found() -> Result<()> {
    let part = broken(0, "dense_1.forward", "fma(vec4<f32>(a.w), b[3],", "fma(vec4<f32>(0.0), b[3],")?;
    let wrong = failed(&part);
    assert_eq!(wrong.len(), 1, "{part:#?}");
    assert!(wrong[0].name == "dense_forward" && wrong[0].form.as_ref().unwrap().starts_with("f32, fused"));
    let mismatch = wrong[0].mismatch.as_ref().expect("an element");
    assert_eq!((mismatch.launch.as_str(), mismatch.output.as_str()), ("dense_1.forward", "y"));
    assert!(mismatch.expected != mismatch.found && wrong[0].detail.contains(&mismatch.expected), "{wrong:?}");
    // The rest of the step was examined all the same.
    assert!(part.checks.iter().any(|check| check.name == "advance_step" && check.launches == 2), "{part:#?}");
    // And where launches share a dispatch.
    let part = broken(3, "dense_0.update", "velocities[index] = v;", "")?;
    let wrong = failed(&part);
    assert_eq!(
        wrong.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(),
        ["dense_backward_update"],
        "{part:#?}"
    );
    Ok(())
}

#[test]
fn a_device_that_was_destroyed_is_reported() -> Result<()> {
    let own = Device::gpu()?;
    let (gpu, queue) = own.wgpu().expect("a GPU");
    // Of the host's own device wgrad hears no loss, and finds out.
    for device in [Device::from_wgpu(gpu.clone(), queue.clone())?, own.clone()] {
        gpu.destroy();
        let report = Doctor::new().quick(true).limit(LIMIT).examine(&device);
        assert!(!report.is_healthy(), "{report}");
        let lost = report.failed().filter(|check| check.detail.contains("the device was lost")).count();
        assert!(lost > 0 && report.failed().all(|check| !check.detail.contains("panicked")), "{report}");
        assert!(report.parts.last().unwrap().checks.iter().all(|check| check.outcome == Outcome::Skipped), "{report}");
        assert!(report.verdict.report.is_some());
    }
    Ok(())
}

/// A driver that stops answering, or panics, when it is asked for something.
struct Gone {
    honest: Honest,
    answer: fn(),
    readback: fn(),
}

impl Driver for Gone {
    fn device(&self) -> &Device {
        self.honest.device()
    }

    fn run(&self, probe: &Probe) -> Result<Vec<Vec<u32>>> {
        if probe.name == "barriers" {
            (self.answer)();
        }
        self.honest.run(probe)
    }

    fn readbacks(&self, rounds: u32) -> Result<Vec<u32>> {
        (self.readback)();
        self.honest.readbacks(rounds)
    }
}

fn forever() {
    std::thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_driver_that_hangs_costs_its_part_and_the_next_goes_on() -> Result<()> {
    let device = Device::gpu()?;
    let hangs = Gone { honest: Honest(device.clone()), answer: forever, readback: || {} };
    let mut room = Room::new(Arc::new(hangs), Duration::from_secs(2));
    let part = room.run("driver", probes::check);
    assert!(!part.finished && part.seconds < 30.0);
    assert_eq!(outcome(&part, "workgroup memory behind barriers"), Outcome::Failed);
    // What came before it is kept.
    assert_ne!(outcome(&part, "loops to their end"), Outcome::Failed);
    let next = room.run("next", |notes, _| notes.note(Check::new("here")));
    assert_eq!(outcome(&next, "here"), Outcome::Passed);
    // One that answers nothing any more is not asked again.
    let silent = Gone { honest: Honest(device), answer: forever, readback: forever };
    let mut room = Room::new(Arc::new(silent), Duration::from_secs(2));
    room.run("driver", probes::check);
    let next = room.run("next", |notes, _| notes.note(Check::new("here")));
    assert_eq!(outcome(&next, "next"), Outcome::Skipped);
    Ok(())
}

#[test]
fn a_driver_that_panics_is_a_failure_and_no_panic() -> Result<()> {
    let panics = Gone { honest: Honest(Device::gpu()?), answer: || panic!("the driver's fault"), readback: || {} };
    let part = room(panics).run("driver", probes::check);
    let wrong = failed(&part);
    assert_eq!(wrong[0].name, "workgroup memory behind barriers");
    assert_eq!(wrong[0].detail, "panicked: the driver's fault");
    Ok(())
}

#[test]
fn a_part_that_is_late_leaves_out_the_rest() {
    let mut room = Room::new(Arc::new(Honest(Device::cpu())), Duration::from_secs(3));
    let part = room.run("operations", |notes, driver| {
        std::thread::sleep(Duration::from_millis(2500));
        operations::check(notes, driver, true);
    });
    assert!(!part.finished && outcome(&part, "other forms") == Outcome::Skipped, "{part:#?}");
}

#[test]
fn a_device_that_is_too_small_is_a_report() -> Result<()> {
    let error = Error::Limit {
        what: "wgrad on a small GPU".into(),
        limit: "maxComputeWorkgroupStorageSize",
        needed: 16_384,
        available: 8_192,
    };
    let report = Doctor::new().could_not_open("small", &error);
    assert!(!report.is_healthy() && report.device.others.iter().any(|device| device.starts_with("CPU")));
    assert!(report.verdict.sentences[0].contains("maxComputeWorkgroupStorageSize of at least 16384"), "{report}");
    // One with no more than must be works, and is told what that costs.
    let limits = super::inventory::limits(&Device::required_limits());
    let costly: Vec<_> =
        limits.iter().filter(|limit| !limit.costs.is_empty()).map(|limit| limit.name.as_str()).collect();
    assert!(costly.contains(&"maxStorageBuffersPerShaderStage"), "{costly:?}");
    assert!(limits.iter().all(|limit| limit.found >= limit.needed), "{limits:?}");
    Ok(())
}

#[test]
fn a_report_comes_back_from_json_and_others_are_refused() -> Result<()> {
    let report = Doctor::new().could_not_open("nothing", &Error::OutOfMemory { during: "a test".into() });
    assert_eq!(Report::from_json(&report.to_json())?, report);
    let later = report.to_json().replace("\"doctor\": 1", "\"doctor\": 2");
    let error = Report::from_json(&later).expect_err("a later format").to_string();
    assert_eq!(error, "doctor's report: expected JSON of format 1, found format 2");
    assert!(Report::from_json("{}").is_err());
    Ok(())
}

#[test]
fn the_verdict_says_what_not_to_trust() {
    let verdict = |name: &str, form: Option<&str>| {
        let mut report = Doctor::new().could_not_open("x", &Error::OutOfMemory { during: "a test".into() });
        report.device.kind = "discrete GPU".into();
        let check = Check { form: form.map(Into::into), ..Check::new(name) }.failed("wrong");
        report.parts = vec![Part::of("operations", vec![check])];
        super::verdict::of(&report).sentences.join(" ")
    };
    assert!(verdict("dense_forward", Some("f16, fused")).contains("Stay in Precision::F32"));
    assert!(verdict("dense_forward", Some("f16, fused, cooperative 64 × 64")).contains("matrix units off"));
    assert!(verdict("dense_forward", Some("f32, sharing a dispatch")).contains("set_fusion(false)"));
    assert!(verdict("dense_forward", Some("f32, fused")).contains("Do not trust"));
    assert!(verdict("indexes beyond a binding", None).contains("index_checks(true)"));
    assert!(verdict("matrix units: an array of sums", None).contains("matrix units off"));
    // Where other things failed too, that is not enough.
    let mut report = Doctor::new().could_not_open("x", &Error::OutOfMemory { during: "a test".into() });
    report.device.kind = "discrete GPU".into();
    let half = Check { form: Some("f16, fused".into()), ..Check::new("relu_forward") }.failed("wrong");
    report.parts = vec![Part::of("operations", vec![half, Check::new("denormals").failed("wrong")])];
    assert!(super::verdict::of(&report).sentences.join(" ").contains("Do not trust"));
}

fn step(device: &str, precision: &str, seconds: f64, launches: Vec<LaunchTime>) -> StepTime {
    StepTime { device: device.into(), precision: precision.into(), predicted_seconds: None, seconds, launches }
}

#[test]
fn the_verdict_says_what_to_take_and_what_to_switch_on() {
    let verdict = |steps: Vec<StepTime>| {
        let mut report = Doctor::new().could_not_open("card", &Error::OutOfMemory { during: "a test".into() });
        report.device.kind = "discrete GPU".into();
        report.parts.clear();
        report.speed = Some(Speed { steps, ..Speed::default() });
        super::verdict::of(&report).sentences.join(" ")
    };
    let slow = LaunchTime {
        label: "dense_0.forward".into(),
        operation: "dense_forward".into(),
        flops: 1000,
        bytes: 1000,
        predicted_seconds: Some(1e-5),
        seconds: Some(7e-5),
    };
    let found = verdict(vec![
        step("card", "f32", 2e-4, vec![slow]),
        step("card", "f16", 1e-4, vec![]),
        step("CPU", "f32", 1e-3, vec![]),
    ]);
    assert!(found.contains("take card (Device::best): a step is 200 us on card, 1.00 ms on CPU"), "{found}");
    assert!(found.contains("F16 is right here, and faster: 100 us a step"), "{found}");
    assert!(found.contains("Model::tune may help: dense_0.forward takes 7 times"), "{found}");
    let found = verdict(vec![
        step("card", "f32", 2e-3, vec![]),
        step("card", "f16", 2e-3, vec![]),
        step("CPU", "f32", 1e-3, vec![]),
    ]);
    assert!(
        found.contains("take CPU (Device::cpu)") && found.contains("no faster") && !found.contains("tune"),
        "{found}"
    );
}

/// All of the part, short: figures that are there, positive, and a step that was predicted.
#[test]
fn both_kinds_of_device_are_measured() -> Result<()> {
    for device in [Device::cpu(), Device::gpu()?] {
        let mut room = room(Honest(device.clone()));
        let part = room.run("speed", |notes, driver| speed::measure(notes, driver, true));
        assert!(part.finished && failed(&part).is_empty(), "{part:#?}");
        let speed = room.speed().expect("figures");
        let gpu = device.wgpu().is_some();
        let costs = [speed.dispatch_seconds, speed.record_seconds, speed.submit_seconds, speed.readback_seconds];
        assert!(costs.iter().all(|cost| cost.is_some() == gpu && cost.is_none_or(|cost| cost >= 0.0)), "{speed:#?}");
        assert!(speed.copy_bytes_per_second.is_some_and(|rate| rate > 1e6), "{speed:#?}");
        assert!(speed.ceilings.iter().all(|ceiling| ceiling.flops_per_second > 1e6) && !speed.ceilings.is_empty());
        assert_eq!(speed.threads.is_empty(), gpu);
        let own = &speed.steps[0];
        assert!(own.seconds > 0.0 && own.predicted_seconds.is_some_and(|least| least > 0.0), "{own:#?}");
        let parts: f64 = own.launches.iter().filter_map(|launch| launch.predicted_seconds).sum();
        assert!((parts - own.predicted_seconds.unwrap_or(0.0)).abs() < 1e-12);
        assert_eq!(speed.steps.iter().any(|step| step.device == "CPU" && step.predicted_seconds.is_none()), gpu);
    }
    Ok(())
}

#[test]
fn threads_are_enough_where_more_save_little() {
    let times = |seconds: &[f64]| {
        let time = |(at, &step_seconds)| ThreadTime { threads: 1usize << at, step_seconds };
        speed::host::enough(&seconds.iter().enumerate().map(time).collect::<Vec<_>>())
    };
    assert_eq!(times(&[4.0, 2.0, 1.9, 1.95]), Some(2));
    assert_eq!(times(&[4.0, 2.0, 1.0]), Some(4));
    assert_eq!(times(&[1.0, 1.1]), Some(1));
    assert_eq!(times(&[]), None);
}

#[test]
fn the_page_is_whole_needs_nothing_and_escapes_what_drivers_say() {
    let mut report = Doctor::new().could_not_open("<b>&\"x", &Error::OutOfMemory { during: "a test".into() });
    let launch = LaunchTime {
        label: "a".into(),
        operation: "b".into(),
        flops: 1,
        bytes: 1,
        predicted_seconds: Some(1e-6),
        seconds: Some(2e-6),
    };
    report.speed = Some(Speed { steps: vec![step("x", "f32", 1e-3, vec![launch])], ..Speed::default() });
    let page = report.to_html();
    assert!(page.contains("&lt;b&gt;&amp;&quot;x") && !page.contains("<b>&\"x"));
    assert!(page.contains("width:100.0%") && page.contains("left:50.0%"), "{page}");
    for outside in ["http:", "https:", "<script", "@import", "url(", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Whatever is opened is closed.
    for tag in ["div", "table", "dl", "ul", "header", "main", "span", "tr", "td", "b"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}
