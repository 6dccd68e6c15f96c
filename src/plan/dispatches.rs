//! Which launches share a dispatch. Those that stand next to each other in the plan and depend on nothing of each other need
//! no barrier between them, and so no start of their own: a GPU's wait for the last workgroup of one launch, and the first of
//! the next, are microseconds.

use std::ops::Range;

use super::{Argument, Launch};
use crate::kernels::Access;

/// What a dispatch may take of a device. There is none where launches are run one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Storage buffers of a shader.
    pub storage_buffers: usize,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: usize,
}

impl Room {
    /// Whether these launches may be one dispatch: their workgroups are of one size, there is room for what they bind and for
    /// their workgroups' memory, and none writes what another reads or writes.
    pub fn holds(self, launches: &[Launch]) -> bool {
        let Some(workgroups) = launches.iter().map(|launch| launch.kernel.workgroup()).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let (buffers, bytes) =
            (storage_buffers(launches), workgroups.iter().map(|workgroup| workgroup.bytes).sum::<usize>());
        let same_size = workgroups.windows(2).all(|pair| pair[0].invocations == pair[1].invocations);
        let independent = |(index, launch)| launches[..index].iter().all(|other| are_independent(launch, other));
        same_size
            && buffers <= self.storage_buffers
            && bytes <= self.workgroup_bytes
            && launches.iter().enumerate().all(independent)
    }
}

/// How many storage buffers launches bind together.
pub(super) fn storage_buffers(launches: &[Launch]) -> usize {
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
    let whole = a.words == 0 || b.words == 0;
    !whole && (a.offset + a.words <= b.offset || b.offset + b.words <= a.offset)
}

/// The launches in groups that share a dispatch, each as long as it can be.
pub(super) fn dispatches(launches: &[Launch], room: Room) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for index in 0..launches.len() {
        match groups.last_mut() {
            Some(group) if room.holds(&launches[group.start..=index]) => group.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}
