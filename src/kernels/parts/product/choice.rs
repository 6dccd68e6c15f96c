//! Which tiling serves a product on a device, and which ones might serve it better. Measuring them is `tuning.rs`'s
//! concern.

use std::collections::BTreeMap;

use super::cooperative::{Cooperative, CooperativeMatrix};
use super::{SUBGROUP, Size, Tiling};
use crate::kernels::storage::Precision;

/// A product that tilings are chosen for. Bias and activation matter little to its time, so they are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    /// The operation's name, which says how A and B lie in memory.
    pub operation: &'static str,
    /// Its size.
    pub size: Size,
    /// What activations and their gradients are stored in.
    pub precision: Precision,
}

/// What is known of the device that a tiling is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Traits {
    /// Its kind.
    pub family: Family,
    /// What its matrix units multiply, where it has some and they are switched on.
    pub matrix: Option<CooperativeMatrix>,
}

impl Traits {
    /// Those of a device of this kind without matrix units.
    pub const fn of(family: Family) -> Self {
        Traits { family, matrix: None }
    }

    /// What matrix units multiply for numbers stored in this precision.
    fn matrix_for(self, precision: Precision) -> Option<CooperativeMatrix> {
        self.matrix.filter(|_| precision == Precision::F16)
    }
}

/// What kind of device a tiling is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A driver that runs shaders on the CPU: workgroup memory and barriers cost more than they save.
    Software,
    /// The same, with subgroups of eight invocations.
    SoftwareSubgroups,
    /// A GPU.
    Hardware,
}

/// Below this many workgroups a large GPU, which has some 130 multiprocessors, stands partly idle.
const BUSY_WORKGROUPS: usize = 128;

/// Tiles of 128 × 128, 64 × 64, 32 × 32 and 16 × 32 numbers. For each step of its sums a tile of T × T reads 2·T numbers: the
/// larger, the less the caches must give for all of C. The small ones' sums are shared by four or eight invocations each, so
/// that few tiles are still many invocations; slices are deep where sums are long, since each costs a wait.
const LARGE: Tiling = staged([16, 16], [2, 2], 4);
const MEDIUM: Tiling = staged([8, 8], [2, 2], 4);
const SMALL: Tiling = shared([8, 8], [1, 1], 8, 4);
const SMALLEST: Tiling = shared([4, 8], [1, 1], 16, 8);

/// What tuning tries beside the tiling that [`Tiling::choose`] takes. All of them stay within the 256 invocations
/// and the 16 KiB of workgroup memory that every device has.
pub const CANDIDATES: [Tiling; 37] = [
    direct(1, 1, 8),
    direct(1, 1, 64),
    direct(1, 1, 128),
    direct(2, 1, 64),
    direct(1, 2, 64),
    direct(2, 2, 8),
    direct(2, 2, 32),
    direct(2, 2, 64),
    direct(4, 2, 32),
    MEDIUM,
    // The same tile of 64 × 64 numbers in shorter slices, and by four times as many invocations.
    staged([8, 8], [2, 2], 2),
    staged([16, 16], [1, 1], 4),
    // Larger tiles read less of A and B; 128 × 128 numbers in slices of 16 take all 16 KiB.
    staged([16, 16], [2, 2], 2),
    LARGE,
    staged([16, 8], [2, 2], 4),
    staged([8, 16], [2, 2], 4),
    // Smaller tiles are more of them.
    staged([8, 8], [1, 1], 4),
    staged([8, 8], [1, 1], 8),
    staged([8, 8], [1, 2], 4),
    staged([8, 8], [2, 1], 4),
    staged([4, 8], [2, 2], 4),
    // Sums that are shared give few tiles more invocations.
    SMALL,
    shared([8, 8], [1, 1], 4, 2),
    shared([8, 8], [2, 1], 4, 2),
    SMALLEST,
    shared([4, 8], [1, 1], 8, 4),
    shared([4, 4], [1, 1], 16, 8),
    Tiling::Split { blocks: 1, splits: 128 },
    Tiling::Split { blocks: 2, splits: 64 },
    Tiling::Split { blocks: 4, splits: 32 },
    Tiling::Split { blocks: 8, splits: 16 },
    Tiling::Split { blocks: 16, splits: 8 },
    Tiling::Split { blocks: 32, splits: 4 },
    Tiling::Subgroup { rows: 4, workgroup: 32 },
    Tiling::Subgroup { rows: 4, workgroup: 64 },
    Tiling::Subgroup { rows: 8, workgroup: 32 },
    Tiling::Subgroup { rows: 8, workgroup: 64 },
];

const fn direct(rows: usize, columns: usize, workgroup: usize) -> Tiling {
    Tiling::Direct { rows, columns, workgroup }
}

const fn staged(group: [usize; 2], tile: [usize; 2], depth: usize) -> Tiling {
    shared(group, tile, depth, 1)
}

const fn shared(group: [usize; 2], tile: [usize; 2], depth: usize, splits: usize) -> Tiling {
    Tiling::Staged { group_rows: group[0], group_columns: group[1], rows: tile[0], columns: tile[1], depth, splits }
}

/// 128 invocations: with 80 bytes each they take 10 of the 16 KiB of workgroup memory that every device has.
fn split(depth: usize) -> Tiling {
    if depth >= 64 { Tiling::Split { blocks: 4, splits: 32 } } else { Tiling::Split { blocks: 8, splits: 16 } }
}

impl Tiling {
    /// The tiling for a product on such a device: a function of the shape, the precision and the device's traits alone,
    /// so the order of every sum is too.
    pub fn choose(product: Product, device: Traits) -> Tiling {
        let size = product.size;
        let matrix = device.matrix_for(product.precision);
        if let Some(cooperative) = matrix.and_then(|matrix| Tiling::cooperative(size, matrix, device.family)) {
            return cooperative;
        }
        match device.family {
            Family::SoftwareSubgroups if size.columns >= SUBGROUP => Tiling::subgroup(size),
            Family::Software | Family::SoftwareSubgroups => Tiling::on_vectors(size),
            Family::Hardware => Tiling::hardware(size),
        }
    }

    /// The largest tile of which there are enough: of the large ones two for each multiprocessor, since one alone waits for
    /// its slices.
    fn hardware(size: Size) -> Tiling {
        match size {
            _ if LARGE.workgroups(size) >= 2 * BUSY_WORKGROUPS => LARGE,
            _ if MEDIUM.workgroups(size) >= BUSY_WORKGROUPS => MEDIUM,
            // Too short a sum to be shared.
            _ if size.depth < 16 => direct(1, 1, 64),
            _ if SMALL.workgroups(size) >= BUSY_WORKGROUPS => SMALL,
            _ if SMALLEST.workgroups(size) >= BUSY_WORKGROUPS => SMALLEST,
            _ => split(size.depth),
        }
    }

    /// On a GPU the largest tile of which there are enough to keep a large one busy; where there are not, sums are better
    /// split. A software driver's matrix units are a loop, and switched on to be tested, not to be fast. So they are used
    /// there, unless the driver would end a long sum early.
    fn cooperative(size: Size, matrix: CooperativeMatrix, family: Family) -> Option<Tiling> {
        let [_, medium, _, _, large] = Cooperative::candidates(matrix);
        let chosen = match family {
            Family::Hardware if large.workgroups(size) >= 2 * BUSY_WORKGROUPS => Some(large),
            Family::Hardware => Some(medium).filter(|tile| tile.workgroups(size) >= BUSY_WORKGROUPS),
            Family::Software | Family::SoftwareSubgroups => (size.depth <= 2048).then_some(medium),
        };
        chosen.map(Tiling::Cooperative)
    }

    /// The taller tile reads less, but a short sum does not pay for its longer end, nor do rows that are not there.
    fn subgroup(size: Size) -> Tiling {
        let tall = size.rows >= 8 && size.depth >= 8;
        Tiling::Subgroup { rows: if tall { 8 } else { 4 }, workgroup: 32 }
    }

    /// A workgroup is the lanes of one vector, so that every thread of the driver gets some of few tiles.
    pub(super) fn on_vectors(size: Size) -> Tiling {
        let columns = if size.columns.is_multiple_of(2) { 2 } else { 1 };
        Tiling::Direct { rows: size.rows.min(2), columns, workgroup: 8 }
    }

    /// The tilings that may serve a product on such a device, the one that [`Tiling::choose`] takes first.
    pub fn candidates(product: Product, device: Traits) -> Vec<Tiling> {
        let default = Tiling::choose(product, device);
        let matrix = device.matrix_for(product.precision);
        let others = CANDIDATES.into_iter().filter(|tiling| tiling.suits(device.family));
        let others = others.chain(matrix.into_iter().flat_map(Cooperative::candidates).map(Tiling::Cooperative));
        std::iter::once(default).chain(others.filter(|&tiling| tiling != default)).collect()
    }

    fn suits(self, family: Family) -> bool {
        match self {
            Tiling::Direct { .. } | Tiling::Split { .. } => true,
            // A software driver that ends loops early would leave its longest sums unfinished, and be fast at it.
            Tiling::Staged { .. } => family == Family::Hardware,
            Tiling::Subgroup { .. } => family == Family::SoftwareSubgroups,
            Tiling::Cooperative(_) => false,
        }
    }
}

/// Tilings that were chosen by measurement. Products that are not among them get the one of [`Tiling::choose`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Choices(pub BTreeMap<Product, Tiling>);

impl Choices {
    /// The tiling for a product on such a device.
    pub fn choose(&self, product: Product, device: Traits) -> Tiling {
        self.0.get(&product).copied().unwrap_or_else(|| Tiling::choose(product, device))
    }
}

#[cfg(test)]
mod tests {
    use super::super::WORKGROUP_MEMORY;
    use super::*;

    const MATRICES: [CooperativeMatrix; 2] =
        [CooperativeMatrix { size: 8, subgroup: 8 }, CooperativeMatrix { size: 16, subgroup: 32 }];

    fn devices() -> Vec<Traits> {
        let families = [Family::Software, Family::SoftwareSubgroups, Family::Hardware].into_iter();
        let matrices = [None].into_iter().chain(MATRICES.map(Some));
        families.flat_map(|family| matrices.clone().map(move |matrix| Traits { family, matrix })).collect()
    }

    fn product(operation: &'static str, columns: usize, precision: Precision) -> Product {
        Product { operation, size: Size { rows: 32, columns, depth: 128 }, precision }
    }

    #[test]
    fn the_first_candidate_is_the_default_and_none_comes_twice() {
        for device in devices() {
            for columns in [1, 2, 3, 32, 196, 512] {
                for precision in [Precision::F32, Precision::F16] {
                    let product = product("dense_forward", columns, precision);
                    let candidates = Tiling::candidates(product, device);
                    assert_eq!(candidates[0], Tiling::choose(product, device));
                    assert!(candidates.len() > 5);
                    for (index, candidate) in candidates.iter().enumerate() {
                        assert!(!candidates[..index].contains(candidate), "{candidate} comes twice");
                    }
                    let cooperative = candidates.iter().any(|tiling| matches!(tiling, Tiling::Cooperative(_)));
                    assert_eq!(cooperative, precision == Precision::F16 && device.matrix.is_some());
                }
            }
        }
    }

    #[test]
    fn matrix_units_get_what_keeps_them_busy() {
        let matrix = MATRICES[1];
        let hardware = Traits { family: Family::Hardware, matrix: Some(matrix) };
        let [_, medium, _, _, large] = Cooperative::candidates(matrix).map(Tiling::Cooperative);
        let choose = |rows: usize, columns: usize, precision| {
            let size = Size { rows: rows / 4, columns: columns / 4, depth: 128 };
            Tiling::choose(Product { operation: "dense_forward", size, precision }, hardware)
        };
        assert_eq!(choose(4096, 2048, Precision::F16), large);
        assert_eq!(choose(2048, 1024, Precision::F16), medium);
        assert_eq!(choose(128, 512, Precision::F16), SMALLEST);
        assert_eq!(choose(4096, 2048, Precision::F32), LARGE);
    }

    #[test]
    fn the_tutorial_and_the_wide_net_get_tiles_that_keep_a_large_gpu_busy() {
        let choose = |rows: usize, columns: usize, depth: usize| {
            Tiling::hardware(Size { rows: rows / 4, columns: columns / 4, depth: depth / 4 })
        };
        // Forward, the gradient of the hidden layer and the update of the tutorial's first layer; its second layer.
        assert_eq!(choose(128, 512, 784), SMALLEST);
        assert_eq!(choose(128, 512, 12), direct(1, 1, 64));
        assert_eq!(choose(784, 512, 128), SMALL);
        assert_eq!(choose(128, 12, 512), split(128));
        // The wide net's.
        assert_eq!(choose(4096, 2048, 2048), LARGE);
        assert_eq!(choose(2048, 2048, 4096), LARGE);
        assert_eq!(choose(784, 2048, 4096), MEDIUM);
        assert_eq!(choose(4096, 2048, 12), LARGE);
    }

    #[test]
    fn a_software_driver_is_given_no_sum_that_it_would_not_end() {
        let matrix = MATRICES[0];
        let software = Traits { family: Family::SoftwareSubgroups, matrix: Some(matrix) };
        let is_cooperative = |depth: usize| {
            let size = Size { rows: 1, columns: 1, depth: depth / 4 };
            let product = Product { operation: "dense_forward", size, precision: Precision::F16 };
            matches!(Tiling::choose(product, software), Tiling::Cooperative(_))
        };
        assert!(is_cooperative(4) && is_cooperative(8192) && !is_cooperative(8196));
    }

    #[test]
    fn a_slice_is_staged_and_multiplied_in_equal_shares() {
        let staged = CANDIDATES.into_iter().filter_map(|tiling| match tiling {
            Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits } => {
                Some((tiling, [group_rows * rows, group_columns * columns], 4 * depth, splits))
            }
            _ => None,
        });
        for (tiling, edges, lines, splits) in staged {
            for edge in edges {
                assert!((lines * edge).is_multiple_of(tiling.workgroup()), "{tiling}: lines of an invocation");
            }
            assert!(lines.is_multiple_of(splits), "{tiling}: lines of a group");
            assert!(tiling.workgroup_bytes().is_some_and(|bytes| bytes <= WORKGROUP_MEMORY), "{tiling}");
        }
    }

    #[test]
    fn no_two_candidates_have_one_name() {
        let cooperative = MATRICES.into_iter().flat_map(Cooperative::candidates).map(Tiling::Cooperative);
        let all: Vec<_> = CANDIDATES.into_iter().chain(cooperative).collect();
        let names: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn tiles_are_of_whole_matrices() {
        for matrix in MATRICES {
            for (tiling, [down, across]) in
                Cooperative::candidates(matrix).into_iter().zip([[32, 32], [64, 64], [64, 128], [128, 64], [128, 128]])
            {
                let one = Size { rows: down / 4, columns: across / 4, depth: 1 };
                assert_eq!(tiling.workgroups(one), 1, "{tiling}");
                assert_eq!(tiling.workgroups(Size { rows: one.rows + 1, ..one }), 2, "{tiling}");
                assert_eq!(tiling.workgroups(Size { columns: one.columns + 1, ..one }), 2, "{tiling}");
            }
        }
    }

    #[test]
    fn what_was_not_measured_is_chosen_by_shape() {
        let hardware = Traits::of(Family::Hardware);
        let chosen = product("dense_forward", 128, Precision::F32);
        let others = [
            product("dense_backward_input", 128, Precision::F32),
            product("dense_forward", 129, Precision::F32),
            product("dense_forward", 128, Precision::F16),
        ];
        let choices = Choices([(chosen, direct(1, 1, 128))].into());
        assert_eq!(choices.choose(chosen, hardware), direct(1, 1, 128));
        for other in others {
            assert_eq!(choices.choose(other, hardware), Tiling::choose(other, hardware));
        }
    }
}
