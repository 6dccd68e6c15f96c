//! Which launches share a dispatch. Those that stand next to each other in the plan and depend on nothing of each other need
//! no barrier between them, and so no start of their own: a GPU's wait for the last workgroup of one launch, and the first of
//! the next, are microseconds.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Argument, Launch};
use crate::kernels::product::Family;
use crate::kernels::{Access, Kernel};

/// Bytes of code that launches in one dispatch may have together. A driver compiles such a shader as one function, in a time
/// that grows faster than its length: with the square on Mesa's software device. Three updates of wide layers and the step's
/// end stay within it; tilings for hardware have longer texts.
const fn most_text(family: Family) -> usize {
    match family {
        Family::Hardware => 64 << 10,
        Family::Software | Family::SoftwareSubgroups => 44 << 10,
    }
}

/// The same on a software driver, for a plan whose shared dispatches would have more than that in all. An update and the
/// step's end stay within it; two updates do not, whose compilation takes longer than that of all other launches.
const LITTLE_TEXT: usize = 18 << 10;

/// What a dispatch may take of a device. There is none where launches are run one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Storage buffers of a shader.
    pub storage_buffers: usize,
    /// These and the step block, which is a uniform buffer.
    pub buffers: usize,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: usize,
}

impl Room {
    /// Whether these launches may be one dispatch: their workgroups are of one size, they have the same step block, there is
    /// room for what they bind and for their workgroups' memory, and none writes what another reads or writes.
    pub fn holds(self, launches: &[Launch]) -> bool {
        let Some(workgroups) = launches.iter().map(|launch| launch.kernel.workgroup()).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let memories = Kernel::memories(launches.iter().map(|launch| &launch.kernel)).into_iter().enumerate();
        let own = memories.filter(|(index, memory)| index == memory);
        let bytes: usize = own.map(|(index, _)| workgroups[index].bytes).sum();
        let storage_buffers = storage_buffers(launches);
        let same_size = workgroups.windows(2).all(|pair| pair[0].invocations == pair[1].invocations);
        let independent = |(index, launch)| launches[..index].iter().all(|other| are_independent(launch, other));
        let step = launches.first().and_then(step_block);
        same_size
            && step.is_some()
            && launches.iter().all(|launch| step_block(launch) == step)
            && storage_buffers <= self.storage_buffers
            && storage_buffers < self.buffers
            && bytes <= self.workgroup_bytes
            && launches.iter().enumerate().all(independent)
    }
}

/// The step block that a launch binds, if that is its first binding.
fn step_block(launch: &Launch) -> Option<&Argument> {
    let first = launch.kernel.definition().bindings.first()?;
    (first.access == Access::Step).then(|| launch.arguments.first())?
}

/// How many storage buffers launches bind together.
fn storage_buffers(launches: &[Launch]) -> usize {
    let bindings = launches.iter().flat_map(|launch| launch.kernel.bindings(launch.storage));
    bindings.filter(|binding| binding.access != Access::Step).count()
}

/// Whether neither writes what the other reads or writes. A buffer that both write must be written in different places, and
/// one that either reads must be left alone by the other altogether: an API's barriers are for whole buffers.
fn are_independent(a: &Launch, b: &Launch) -> bool {
    let uses = |launch: &Launch| {
        let bindings = launch.kernel.bindings(launch.storage).into_iter();
        bindings.map(|binding| binding.is_output()).zip(launch.arguments.clone()).collect::<Vec<_>>()
    };
    let (a, b) = (uses(a), uses(b));
    a.iter().all(|(a_writes, of_a)| {
        b.iter().filter(|(_, of_b)| of_a.buffer == of_b.buffer).all(|(b_writes, of_b)| match (a_writes, b_writes) {
            (false, false) => true,
            (true, true) => are_apart(of_a, of_b),
            _ => false,
        })
    })
}

fn are_apart(a: &Argument, b: &Argument) -> bool {
    let whole = a.is_whole() || b.is_whole();
    !whole && (a.offset + a.words <= b.offset || b.offset + b.words <= a.offset)
}

/// The launches in groups that share a dispatch, each as long as it can be; `apart` keeps segments apart, where they do not
/// always run together.
pub(super) fn dispatches(launches: &[Launch], room: Room, apart: bool, family: Family) -> Vec<Range<usize>> {
    let most = most_text(family);
    // A launch that shares no dispatch has no say, and is not composed.
    let may_share = |launch: &Launch| launch.kernel.workgroup().is_some();
    let length = |launch: &Launch| if may_share(launch) { code(&shader(launch)) } else { 0 };
    let lengths: Vec<usize> = launches.iter().map(length).collect();
    let groups = grouped(launches, &lengths, room, apart, most);
    if family == Family::Hardware || shared_text(launches, &groups) <= most {
        return groups;
    }
    grouped(launches, &lengths, room, apart, LITTLE_TEXT)
}

/// `lengths` are the bytes of code of the launches' shaders.
fn grouped(launches: &[Launch], lengths: &[usize], room: Room, apart: bool, most_text: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for index in 0..launches.len() {
        match groups.last_mut() {
            Some(group)
                if !(apart && launches[group.start].segment != launches[index].segment)
                    && room.holds(&launches[group.start..=index])
                    && lengths[group.start..=index].iter().sum::<usize>() <= most_text =>
            {
                group.end = index + 1;
            }
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

/// Bytes of a shader without its comments and indentation, which cost a driver nothing.
fn code(text: &str) -> usize {
    text.lines().map(|line| line.split("//").next().unwrap_or(line).trim().len()).sum()
}

fn shaders(launches: &[Launch]) -> impl Iterator<Item = String> + '_ {
    launches.iter().map(shader)
}

fn shader(launch: &Launch) -> String {
    launch.kernel.shader(launch.storage)
}

/// Bytes of the shaders that several launches have together. Dispatches of the same shapes have one shader.
fn shared_text(launches: &[Launch], groups: &[Range<usize>]) -> usize {
    let shared = groups.iter().filter(|group| group.len() > 1);
    let texts: BTreeSet<String> = shared.map(|group| shaders(&launches[group.clone()]).collect()).collect();
    texts.iter().map(|text| code(text)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::kernels::product::{Family, Traits};
    use crate::kernels::storage::Precision;
    use crate::plan::{DataFormat, Mode, Plan, PlanKey};
    use crate::{Activation, Clip, Dense, Loss, Model, RmsProp, Sequential};

    /// Three layers, for two updates to share a dispatch with the third, and its end.
    fn model(clip: Clip) -> Model {
        Sequential::new(784)
            .add(Dense::new(512).activation(Activation::Relu))
            .add(Dense::new(512).activation(Activation::Relu))
            .add(Dense::new(10).activation(Activation::Softmax))
            .compile(&Device::cpu(), RmsProp { clip, ..RmsProp::default() }, Loss::CategoricalCrossentropy)
            .unwrap()
    }

    fn plan(model: &Model, family: Family, room: Room) -> Plan {
        let format = DataFormat { byte_scale: None, target_ids: Some(true), weighted: false };
        let (mode, device, precision) = (Mode::Train, Traits::of(family), Precision::F32);
        model.recipe().plan(PlanKey {
            mode,
            capacity: 128,
            format,
            fused: true,
            accumulates: false,
            precision,
            metrics: 0,
            device,
            room,
        })
    }

    const ENOUGH: Room = Room { storage_buffers: 32, buffers: 33, workgroup_bytes: 32 << 10 };

    #[test]
    fn updates_and_the_steps_end_share_a_dispatch_where_there_is_room() {
        let model = model(Clip::None);
        let sizes = |family, room| plan(&model, family, room).dispatches.iter().map(Range::len).collect::<Vec<_>>();
        for family in [Family::Hardware, Family::Software, Family::SoftwareSubgroups] {
            // gather, two layers, the last with the loss, the gradient between the other two, and the rest.
            assert_eq!(sizes(family, ENOUGH), [1, 1, 1, 1, 1, 4], "{family:?}");
            // An update binds six storage buffers, and the end four.
            assert_eq!(sizes(family, Room { storage_buffers: 18, ..ENOUGH }), [1, 1, 1, 1, 1, 3, 1], "{family:?}");
            assert_eq!(sizes(family, Room { storage_buffers: 12, ..ENOUGH }), [1, 1, 1, 1, 1, 2, 2], "{family:?}");
            assert_eq!(sizes(family, Room { storage_buffers: 8, ..ENOUGH }), [1; 9], "{family:?}");
            // With the step block.
            assert_eq!(sizes(family, Room { buffers: 23, ..ENOUGH }), [1, 1, 1, 1, 1, 4], "{family:?}");
            assert_eq!(sizes(family, Room { buffers: 22, ..ENOUGH }), [1, 1, 1, 1, 1, 3, 1], "{family:?}");
        }
        // On a GPU these tilings' memory is one, of 16 KiB; on vectors there is none but the end's.
        let room = Room { workgroup_bytes: 16 << 10, ..ENOUGH };
        assert_eq!(sizes(Family::Hardware, room), [1, 1, 1, 1, 1, 3, 1]);
        assert_eq!(sizes(Family::Software, room), [1, 1, 1, 1, 1, 4]);
        assert_eq!(sizes(Family::Hardware, Room::default()), [1; 9]);
    }

    /// Layers that have to be compiled apart, and such of one shape.
    fn deep(layers: usize, units: impl Fn(usize) -> usize) -> Model {
        let net = (0..layers)
            .fold(Sequential::new(2), |net, layer| net.add(Dense::new(units(layer)).activation(Activation::Tanh)));
        let net = net.add(Dense::new(10).activation(Activation::Softmax));
        net.compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy).unwrap()
    }

    /// What a plan's dispatches have a driver compile, each text once: the bytes of all, and of the longest.
    fn compiled(plan: &Plan) -> (usize, usize) {
        let texts: BTreeSet<String> = plan.dispatched().map(|launches| shaders(launches).collect()).collect();
        (texts.iter().map(|text| code(text)).sum(), texts.iter().map(|text| code(text)).max().unwrap_or(0))
    }

    #[test]
    fn what_is_compiled_is_bounded_and_grows_with_the_depth() {
        for family in [Family::Hardware, Family::Software, Family::SoftwareSubgroups] {
            let plan = |layers, units: &dyn Fn(usize) -> usize| plan(&deep(layers, units), family, ENOUGH);
            for layers in 1..=12 {
                let plan = plan(layers, &|layer| 64 + 4 * layer);
                assert!(compiled(&plan).1 <= most_text(family), "{family:?}\n{plan}");
            }
            // Layers of one shape have one text. Their updates stay apart where they would be compiled for long.
            let (ten, thirty) = (plan(10, &|_| 64), plan(30, &|_| 64));
            assert!(compiled(&thirty).0 <= compiled(&ten).0 + most_text(family), "{family:?}");
            let longest = ten.dispatches.iter().map(Range::len).max().unwrap_or(0);
            assert!(if family == Family::Hardware { longest > 2 } else { longest == 2 }, "{family:?}\n{ten}");
            if family != Family::Hardware {
                assert_eq!(compiled(&ten), compiled(&thirty), "{family:?}");
            }
            // Twice the layers, each of a shape of its own: no more than twice the text.
            let [six, twelve] = [6, 12].map(|layers| compiled(&plan(layers, &|layer| 64 + 4 * layer)).0);
            assert!(twelve <= 2 * six, "{family:?}: {twelve} and {six}");
        }
    }

    #[test]
    fn a_launch_that_reads_what_another_writes_waits_for_it() {
        let plan = plan(&model(Clip::None), Family::Hardware, ENOUGH);
        let named = |label: &str| plan.launches.iter().find(|launch| launch.label == label).unwrap().clone();
        let (update, other, end) = (named("dense_0.update"), named("dense_1.update"), named("advance_step"));
        assert!(ENOUGH.holds(&[update.clone(), other.clone()]) && ENOUGH.holds(&[update.clone(), end.clone()]));
        // The same places of the same buffers.
        assert!(!ENOUGH.holds(&[update.clone(), update.clone()]));
        // What the other reads, be it in another place.
        let mut reading = other.clone();
        reading.arguments[1] = Argument { offset: update.arguments[3].words, ..update.arguments[3] };
        assert!(!ENOUGH.holds(&[update.clone(), reading.clone()]) && !ENOUGH.holds(&[reading, update.clone()]));
        // Another step's block.
        let mut late = end.clone();
        late.arguments[0] = Argument { buffer: late.arguments[0].buffer + 1, ..late.arguments[0] };
        assert!(!ENOUGH.holds(&[update.clone(), late]));
        // Workgroups of another size.
        let mut wide = end;
        if let Kernel::AdvanceStep(advance) = &mut wide.kernel {
            advance.workgroup *= 2;
        }
        assert!(!ENOUGH.holds(&[update, wide]));
    }

    #[test]
    fn gradients_that_go_through_memory_are_updated_in_one_launch_beside_the_steps_end() {
        let plan = plan(&model(Clip::Norm(1.0)), Family::Hardware, ENOUGH);
        let shared: Vec<_> = plan.dispatched().filter(|launches| launches.len() > 1).map(Plan::label).collect();
        assert_eq!(shared, ["update + advance_step"], "{plan}");
    }
}
