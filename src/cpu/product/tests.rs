//! Every path of the product against a naive one in f64.

use std::sync::Mutex;

use pulp::Simd;

use crate::cpu::machine::{Cache, Instructions, Processor};
use crate::cpu::shares::place;

use super::{Apply, CHANGED, Destination, Finished, Matrix, Pool, Workspace, column_sums, product, product_applied};

/// Written to C beforehand, so that an element nobody wrote shows.
const POISON: f32 = -12345.0;

fn values(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// How a factor lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Columns,
    Scattered,
}

const LAYOUTS: [Layout; 3] = [Layout::Rows, Layout::Columns, Layout::Scattered];

impl Layout {
    fn view(self, data: &[f32], rows: usize, columns: usize) -> Matrix<'_> {
        match self {
            Layout::Rows => Matrix::row_major(data, rows, columns, columns + 3),
            Layout::Columns => Matrix::row_major(data, columns, rows, rows + 1).transposed(),
            Layout::Scattered => Matrix {
                row_stride: 2 * columns + 1,
                column_stride: 2,
                ..Matrix::row_major(data, rows, columns, columns)
            },
        }
    }
}

fn storage(rows: usize, columns: usize, seed: u64) -> Vec<f32> {
    values((rows + 3) * (columns + 3) * 2, seed)
}

fn element(matrix: &Matrix<'_>, row: usize, column: usize) -> f64 {
    f64::from(matrix.data[row * matrix.row_stride + column * matrix.column_stride])
}

/// What can be tested on this machine: all its instruction sets, and with the best of them a smaller cache too.
fn processors() -> Vec<Processor> {
    let mut processors: Vec<_> = Instructions::available().into_iter().map(Processor::with).collect();
    let small = Cache::of(64 << 10);
    processors.extend(small.ok().map(|cache| Processor { cache, ..Processor::found() }));
    assert!(processors.len() > 1, "a small cache is one");
    processors
}

thread_local! {
    /// Of one, two and three threads.
    static POOLS: [Pool; 3] = [1, 2, 3].map(Pool::new);
}

/// Computes a product with one, two and three threads, checks that the bits agree, and returns C with its stride.
fn compute(processor: Processor, a: Matrix<'_>, b: Matrix<'_>) -> (Vec<f32>, usize) {
    let stride = b.columns + 5;
    let results: Vec<Vec<f32>> = POOLS.with(|pools| {
        let with = |(pool, threads)| {
            let (mut workspace, mut c) = (Workspace::new(threads, processor), vec![POISON; a.rows * stride]);
            product(pool, &mut workspace, a, b, &mut c, Destination::plain(stride), |_, _, _| ());
            c
        };
        pools.iter().zip(1..).map(with).collect()
    });
    for result in &results[1..] {
        let same = result.iter().zip(&results[0]).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{}x{}x{}: the bits depend on the number of threads", a.rows, a.columns, b.columns);
    }
    (results[0].clone(), stride)
}

/// |computed − exact| ≤ k·ε·Σ|a||b| for a chain of k multiply-adds: each of at most 2k roundings (k where they fuse) has
/// a relative error of ε/2 on a partial sum that Σ|a||b| bounds; higher powers of k·ε are below one part in a thousand,
/// which the factor 1.01 covers.
fn check(processors: &[Processor], a: Matrix<'_>, b: Matrix<'_>) {
    let sums = |row, column| {
        let terms = (0..a.columns).map(|k| element(&a, row, k) * element(&b, k, column));
        terms.fold((0.0, 0.0), |(exact, size), term| (exact + term, size + f64::abs(term)))
    };
    let expected: Vec<Vec<(f64, f64)>> =
        (0..a.rows).map(|row| (0..b.columns).map(|column| sums(row, column)).collect()).collect();
    for &processor in processors {
        let (c, stride) = compute(processor, a, b);
        for (row, (found, expected)) in c.chunks(stride).zip(&expected).enumerate() {
            for (column, (found, (exact, size))) in found.iter().zip(expected).enumerate() {
                let error = (f64::from(*found) - exact).abs();
                let bound = 1.01 * a.columns as f64 * f64::from(f32::EPSILON) * size;
                let shape = (a.rows, a.columns, b.columns);
                assert!(error <= bound, "{shape:?} at ({row}, {column}): off by {error:e}, bound {bound:e}");
            }
            let between = &found[b.columns..];
            assert!(between.iter().all(|value| *value == POISON), "wrote between the rows of C");
        }
    }
}

fn check_shape(rows: usize, depth: usize, columns: usize, a: Layout, b: Layout) {
    let (left, right) = (storage(rows, depth, 1), storage(depth, columns, 2));
    check(&processors(), a.view(&left, rows, depth), b.view(&right, depth, columns));
}

/// Each shape with three of the nine pairs of layouts, in which each layout of either factor is there; its neighbours have
/// the others.
#[test]
fn tile_edges_in_every_layout() {
    let mut shapes = 0;
    for rows in [1, 3, 4, 5, 8, 9] {
        for columns in [1, 10, 15, 16, 17, 31, 33, 47, 48, 49, 65, 80, 95, 96, 97] {
            for depth in [1, 7, 8, 13] {
                for (index, a) in LAYOUTS.into_iter().enumerate() {
                    check_shape(rows, depth, columns, a, LAYOUTS[(index + shapes) % 3]);
                }
                shapes += 1;
            }
        }
    }
}

#[test]
fn block_edges() {
    for (rows, depth, columns) in [
        (9, 100, 113),
        (13, 30, 81),
        (5, 30, 205),
        (9, 199, 50),
        (9, 200, 50),
        (9, 201, 10),
        (67, 801, 53),
        (701, 401, 64),
        (1, 1203, 131),
        (3, 999, 10),
        (2, 900, 300),
    ] {
        for (a, b) in LAYOUTS.into_iter().flat_map(|a| LAYOUTS.map(|b| (a, b))) {
            check_shape(rows, depth, columns, a, b);
        }
    }
}

#[test]
fn random_shapes() {
    let sizes = values(120, 7);
    for sizes in sizes.chunks_exact(3) {
        let size = |value: f32| 1 + ((value + 1.0) * 75.0) as usize;
        let layout = |value: f32| LAYOUTS[size(value) % 3];
        let (rows, depth, columns) = (size(sizes[0]), size(sizes[1]), size(sizes[2]));
        check_shape(rows, depth, columns, layout(sizes[1]), layout(sizes[2]));
    }
}

#[test]
fn more_columns_and_rows_than_a_block_has() {
    for (rows, depth, columns) in [(9, 5, 4099), (9, 201, 4150), (1401, 200, 53)] {
        check_shape(rows, depth, columns, Layout::Rows, Layout::Rows);
    }
}

/// Zeroes steps of k for eight rows at a time, and single numbers, at random.
fn sparse(matrix: &mut [f32], rows: usize, depth: usize, layout: Layout) {
    let chances = values(rows * depth, 11);
    let place = |row, k| {
        let view = layout.view(&[], rows, depth);
        row * view.row_stride + k * view.column_stride
    };
    for row in 0..rows {
        for k in 0..depth {
            if chances[row / 8 * depth + k] < 0.2 || chances[row * depth + k] < -0.5 {
                // Either zero: both add nothing.
                matrix[place(row, k)] = if (row + k) % 2 == 0 { 0.0 } else { -0.0 };
            }
        }
    }
}

#[test]
fn zeros_are_left_out_and_change_no_bit() {
    for (rows, depth, columns) in [(8, 7, 49), (24, 203, 70), (67, 401, 130)] {
        for layout in LAYOUTS {
            let (mut left, right) = (storage(rows, depth, 1), storage(depth, columns, 2));
            sparse(&mut left, rows, depth, layout);
            let b = Layout::Rows.view(&right, depth, columns);
            let a = layout.view(&left, rows, depth);
            check(&[Processor::found()], a, b);
            // Beside rows of ones nothing can be left out.
            let (c, stride) = compute(Processor::found(), a, b);
            for row in 0..rows {
                let mut alone = vec![1.0; 8 * depth];
                for (k, value) in alone[..depth].iter_mut().enumerate() {
                    *value = a.data[row * a.row_stride + k * a.column_stride];
                }
                let (dense, _) = compute(Processor::found(), Matrix::row_major(&alone, 8, depth, depth), b);
                let same = |column: usize| c[row * stride + column].to_bits() == dense[column].to_bits();
                assert!((0..columns).all(same), "row {row} of {rows}");
            }
        }
    }
}

#[test]
fn a_sum_of_nothing_is_zero() {
    let (c, stride) = compute(Processor::found(), Matrix::row_major(&[], 3, 0, 0), Matrix::row_major(&[], 0, 20, 20));
    assert!(c.chunks(stride).all(|row| row[..20].iter().all(|value| *value == 0.0)));
}

#[test]
fn empty_products_do_nothing() {
    let data = [1.0; 12];
    compute(Processor::found(), Matrix::row_major(&data, 0, 3, 3), Matrix::row_major(&data, 3, 4, 4));
    compute(Processor::found(), Matrix::row_major(&data, 4, 3, 3), Matrix::row_major(&data, 3, 0, 0));
}

#[test]
fn not_a_number_reaches_its_row_and_column_even_past_a_zero() {
    // Few columns are multiplied in place; of many, strips leave steps out that must be made up for.
    for (rows, columns) in [(2, 37), (20, 37), (20, 130), (21, 130)] {
        let depth = 11;
        let (mut left, mut right) = (vec![0.0; rows * depth], vec![0.0; depth * columns]);
        left[depth + 4] = f32::NAN;
        right[6 * columns + 30] = f32::INFINITY;
        let (c, stride) = compute(
            Processor::found(),
            Matrix::row_major(&left, rows, depth, depth),
            Matrix::row_major(&right, depth, columns, columns),
        );
        for row in 0..rows {
            for column in 0..columns {
                let expected = row == 1 || column == 30;
                assert_eq!(c[row * stride + column].is_nan(), expected, "({row}, {column}) of {rows} rows");
            }
        }
    }
}

#[test]
fn the_epilogue_sees_every_element_once_and_finished() {
    for (rows, depth, columns) in
        [(130, 801, 500), (500, 70, 130), (1, 900, 300), (3, 50, 70), (300, 410, 10), (5, 0, 9)]
    {
        let (left, right) = (values(rows * depth, 3), values(depth * columns, 4));
        let a = Matrix::row_major(&left, rows, depth, depth);
        let b = Matrix::row_major(&right, depth, columns, columns);
        let (plain, stride) = compute(Processor::found(), a, b);
        let (pool, mut workspace) = (Pool::new(2), Workspace::new(2, Processor::found()));
        let mut c = vec![POISON; rows * columns];
        let seen = Mutex::new(vec![0; rows * columns]);
        product(&pool, &mut workspace, a, b, &mut c, Destination::plain(columns), |row, first, segment| {
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen[row * columns + first..][..segment.len()].iter_mut().for_each(|count| *count += 1);
            segment.iter_mut().for_each(|value| *value += 1.0);
        });
        assert!(seen.into_inner().is_ok_and(|seen| seen.iter().all(|count| *count == 1)));
        for (row, c) in c.chunks(columns).enumerate() {
            for (value, plain) in c.iter().zip(&plain[row * stride..]) {
                assert_eq!(value.to_bits(), (plain + 1.0).to_bits());
            }
        }
    }
}

/// Adds the sums to the first matrix, and one to the third.
struct AddAndCount;

impl Apply for AddAndCount {
    fn apply<S: Simd>(&self, _simd: S, finished: &mut Finished<'_, '_>) {
        for row in 0..finished.rows() {
            let (sums, [total, unused, count, _]) = finished.row(row);
            assert!(unused.is_empty() && total.len() == sums.len());
            total.iter_mut().zip(&*sums).for_each(|(total, sum)| *total += sum);
            count.iter_mut().for_each(|count| *count += 1.0);
        }
    }
}

#[test]
fn applied_sums_are_those_of_the_product_and_come_once() {
    for (rows, depth, columns) in [
        (9, 5, 9),
        (130, 128, 500),
        (67, 512, 10),
        (67, 513, 131),
        (300, 1100, 70),
        (5, 0, 9),
        (50, 1, 512),
        (3, 8, 1030),
        (301, 9, 17),
        (7, 4, 3),
        (600, 8, 130),
    ] {
        for layout in LAYOUTS {
            let (left, right) = (storage(rows, depth, 3), storage(depth, columns, 4));
            let (a, b) = (layout.view(&left, rows, depth), Layout::Rows.view(&right, depth, columns));
            for processor in processors() {
                let (expected, stride) = compute(processor, a, b);
                for threads in 1..=3 {
                    let (pool, mut workspace) = (Pool::new(threads), Workspace::new(threads, processor));
                    let (mut total, mut count) = (vec![0.0; rows * stride], vec![0.0; rows * stride]);
                    let changed: [&mut [f32]; CHANGED] = [&mut total, &mut [], &mut count, &mut []];
                    product_applied(&pool, &mut workspace, a, b, changed, Destination::plain(stride), &AddAndCount);
                    for at in (0..rows * stride).filter(|at| at % stride < columns) {
                        let same = total[at].to_bits() == (0.0 + expected[at]).to_bits();
                        assert!(same && count[at] == 1.0, "({rows}, {depth}, {columns}) at {at}");
                    }
                }
            }
        }
    }
}

/// Sums depend on the instructions alone: rows in a tile of four, alone, and cut into other blocks have the same bits.
#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    for (depth, columns) in [(7, 5), (201, 33), (403, 200)] {
        let (left, right) = (storage(9, depth, 1), storage(depth, columns, 2));
        let b = Layout::Rows.view(&right, depth, columns);
        let all = Layout::Rows.view(&left, 9, depth);
        for instructions in Instructions::available() {
            let processor = Processor::with(instructions);
            let (expected, stride) = compute(processor, all, b);
            for count in 1..9 {
                let (found, _) =
                    compute(Processor { cache: Cache(64 << 10), ..processor }, Matrix { rows: count, ..all }, b);
                for row in 0..count {
                    let bits =
                        |sums: &[f32]| sums[row * stride..][..columns].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&found), bits(&expected), "row {row} of {count} with {}", instructions.set());
                }
            }
        }
    }
}

#[test]
fn column_sums_add_in_row_order() {
    let pool = Pool::new(3);
    for (rows, columns) in [(0, 5), (1, 1), (7, 10), (8, 16), (9, 17), (128, 512), (131, 53), (1300, 53)] {
        for layout in LAYOUTS {
            let data = storage(rows, columns, 5);
            let matrix = layout.view(&data, rows, columns);
            let mut sums = vec![POISON; columns];
            column_sums(&pool, Instructions::best(), matrix, &mut sums);
            for (column, sum) in sums.iter().enumerate() {
                let expected = (0..rows).map(|row| element(&matrix, row, column) as f32).fold(0.0, |sum, x| sum + x);
                assert_eq!(*sum, expected);
            }
        }
    }
}

/// B, or C, or what is changed in place of C, in shares, and A in copies: the same bits as plain matrices have.
#[test]
fn shares_and_copies_change_no_bit() {
    let in_shares = |plain: &[f32], rows: usize, columns: usize, shares: usize| {
        let (all_rows, all) = (rows.next_multiple_of(4), columns.next_multiple_of(4));
        let mut placed = vec![POISON; all_rows * all];
        for row in 0..rows {
            for column in 0..columns {
                placed[place(shares, rows, columns, row, column)] = plain[row * columns + column];
            }
        }
        placed
    };
    for processor in processors() {
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads);
            let mut workspace = Workspace::new(threads, processor);
            for (rows, depth, columns, shares) in
                [(1, 5, 33, 2), (3, 40, 300, 2), (37, 65, 258, 3), (130, 784, 512, 2), (9, 600, 130, 4), (4, 0, 64, 2)]
            {
                let (a, b) = (values(rows * depth, 1), values(depth * columns, 2));
                let left = Matrix::row_major(&a, rows, depth, depth);
                let right = Matrix::row_major(&b, depth, columns, columns);
                let mut expected = vec![POISON; rows * columns];
                let epilogue = |_: usize, first: usize, segment: &mut [f32]| {
                    segment.iter_mut().for_each(|x| *x += first as f32 * 0.0)
                };
                product(&pool, &mut workspace, left, right, &mut expected, Destination::plain(columns), epilogue);

                let copies = a.repeat(shares);
                let left = Matrix::row_major(&copies, rows, depth, depth).in_copies(shares);
                let b = in_shares(&b, depth, columns, shares);
                let shared = Matrix::row_major(&b, depth, columns, columns).in_shares(shares);
                let mut found = vec![POISON; rows * columns];
                product(&pool, &mut workspace, left, shared, &mut found, Destination::plain(columns), epilogue);
                assert_eq!(found, expected, "B, {rows} × {depth} × {columns} in {shares} on {threads}");

                let to = Destination { stride: 0, shares };
                let mut found = in_shares(&vec![POISON; rows * columns], rows, columns, shares);
                product(&pool, &mut workspace, left, right, &mut found, to, epilogue);
                let placed = in_shares(&expected, rows, columns, shares);
                assert_eq!(found, placed, "C, {rows} × {depth} × {columns} in {shares} on {threads}");

                let mut plain = vec![0.5; rows * columns];
                let mut changed = in_shares(&plain, rows, columns, shares);
                let [mut none_1, mut none_2, mut none_3]: [[f32; 0]; 3] = [[]; 3];
                let buffers = [&mut plain[..], &mut none_1, &mut none_2, &mut none_3];
                product_applied(&pool, &mut workspace, left, right, buffers, Destination::plain(columns), &Added);
                let buffers = [&mut changed[..], &mut none_1, &mut none_2, &mut none_3];
                product_applied(&pool, &mut workspace, left, right, buffers, to, &Added);
                assert_eq!(changed, in_shares(&plain, rows, columns, shares), "changed in {shares} on {threads}");
            }
        }
    }
}

/// Adds the sums to the first matrix.
struct Added;

impl Apply for Added {
    fn apply<S: Simd>(&self, _: S, finished: &mut Finished<'_, '_>) {
        for row in 0..finished.rows() {
            let (sums, [changed, ..]) = finished.row(row);
            changed.iter_mut().zip(sums).for_each(|(x, sum)| *x += *sum);
        }
    }
}
