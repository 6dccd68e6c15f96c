//! What each product is tried with: the tilings that tuning tries, and more that it does not, with workgroup memory up
//! to 32 KiB and larger blocks for an invocation; and other orders of the same tiles.

use wgrad::kernels::product::{CANDIDATES, Product, Tiling, Traits};

use super::Size;

/// Bytes of workgroup memory that wgrad asks for where a device has them.
const MEMORY: usize = 32 << 10;

/// Invocations of a workgroup, at most.
const INVOCATIONS: usize = 256;

/// In which order a dispatch's workgroups take the tiles of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Row after row, as the shaders have it.
    Rows,
    /// Column after column.
    Columns,
    /// Eight rows of tiles at a time, column after column: neighbours share both factors.
    Bands,
}

impl Order {
    pub const OTHERS: [Order; 2] = [Order::Columns, Order::Bands];

    pub fn name(self) -> &'static str {
        match self {
            Order::Rows => "rows",
            Order::Columns => "columns",
            Order::Bands => "bands of 8",
        }
    }

    /// The shader in this order; `None` where it has no such lines, as tilings without tiles of a workgroup's own.
    pub fn apply(self, wgsl: &str) -> Option<String> {
        if self == Order::Rows {
            return Some(wgsl.to_string());
        }
        // Both tilings whose tiles are a workgroup's have this line, and these two expressions once each.
        let (down, across) = ("tile / tiles_across", "tile % tiles_across");
        let lines = ["let tile = linear_group(group, groups);", down, across];
        if lines.iter().any(|line| wgsl.matches(line).count() != 1) {
            return None;
        }
        // How many tiles there are in all is known to the dispatch, which may be folded: then there are a few more.
        let tiles_down = "((groups.x * groups.y) / tiles_across)";
        let (row, column) = match self {
            Order::Columns => (format!("(tile % {tiles_down})"), format!("(tile / {tiles_down})")),
            _ => {
                let band = "(tile / (8u * tiles_across))";
                let rows = format!("min(8u, {tiles_down} - min({tiles_down}, 8u * {band}))");
                let within = "(tile % (8u * tiles_across))";
                (format!("(8u * {band} + {within} % max({rows}, 1u))"), format!("({within} / max({rows}, 1u))"))
            }
        };
        Some(wgsl.replace(down, &row).replace(across, &column))
    }
}

/// Tilings for a product on a hardware GPU, the default first; few where only the way there is to be tried.
pub fn tilings(product: Product, traits: Traits, size: Size) -> Vec<Tiling> {
    let known = Tiling::candidates(product, traits);
    if size == Size::Shortest {
        // The default, and of what tuning tries and of what it does not one each.
        return known.into_iter().take(2).chain(more().into_iter().take(1)).collect();
    }
    let mut all = known;
    for tiling in more() {
        if !all.contains(&tiling) {
            all.push(tiling);
        }
    }
    if size == Size::Rehearsal { all.into_iter().step_by(5).collect() } else { all }
}

/// Staged tilings beyond those that tuning tries.
fn more() -> Vec<Tiling> {
    let mut all = Vec::new();
    for [group_rows, group_columns] in [[8, 8], [8, 16], [16, 8], [16, 16], [4, 16], [4, 8]] {
        for [rows, columns] in [[2, 2], [4, 2], [2, 4], [4, 4], [1, 2], [1, 4], [3, 2]] {
            for depth in [2, 4, 8] {
                let tiling = Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits: 1 };
                if fits(tiling) && !CANDIDATES.contains(&tiling) {
                    all.push(tiling);
                }
            }
        }
    }
    for splits in [2, 4, 8] {
        for [group_rows, group_columns] in [[4, 4], [4, 8], [8, 8], [8, 4]] {
            for [rows, columns] in [[1, 1], [1, 2], [2, 2]] {
                for depth in [8, 16] {
                    let tiling = Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits };
                    if fits(tiling) && !CANDIDATES.contains(&tiling) {
                        all.push(tiling);
                    }
                }
            }
        }
    }
    all
}

/// Whether a staged tiling keeps within a workgroup, and every invocation brings as many lines as any other.
fn fits(tiling: Tiling) -> bool {
    let Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits } = tiling else { return false };
    let edges = [group_rows * rows, group_columns * columns];
    let staged = 64 * depth * (edges[0] + edges[1]);
    let handed = 16 * (splits / 2 * group_rows * group_columns * (4 * rows + 1) * columns);
    let invocations = tiling.workgroup();
    let even = edges.iter().all(|edge| (4 * depth * edge).is_multiple_of(invocations));
    even && (64..=INVOCATIONS).contains(&invocations) && staged.max(handed) <= MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order must visit every tile once, whatever their number.
    #[test]
    fn orders_are_permutations() {
        // The formulas of `apply`, which are text there.
        for across in [1usize, 3, 7, 16] {
            for down in [1usize, 5, 8, 9, 17] {
                let tile = |tile: usize| {
                    let band = tile / (8 * across);
                    let rows = 8.min(down - down.min(8 * band)).max(1);
                    let within = tile % (8 * across);
                    (8 * band + within % rows, within / rows)
                };
                let mut seen: Vec<_> = (0..across * down).map(tile).collect();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), across * down);
                assert!(seen.iter().all(|&(row, column)| row < down && column < across), "{across} {down}");
            }
        }
    }

    #[test]
    fn there_are_many_more_and_none_twice() {
        let all = more();
        assert!(all.len() > 60, "{}", all.len());
        let names: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
    }
}
