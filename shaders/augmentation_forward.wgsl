// augmentation_forward: y(u) = x(A·(u − c) + c − t + e(u)): each image of the batch as an affine map and an elastic
// displacement e move it, sampled bilinearly, with a rectangle cut out
//
// u is a pixel of y, c the centre of the image. A = rotation · shear · zoom, the shift t, e and the rectangle are of the
// image's own random words (parts/hash.wgsl): those of "columns" 0 to 2, and for e those of the nodes of a coarse grid, which
// cubic B-splines make smooth.
// Shapes: x, y [B, HEIGHT·WIDTH·CHANNELS], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/augmentation_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_number>;
@group(0) @binding(2) var<storage, read_write> y: array<y_vec4>;

const QUARTER_TURN = 1.5707963267948966;
// Where the words of the grid's nodes begin.
const FIRST_NODE = 16u;
const SIZE = vec2<f32>(f32(WIDTH), f32(HEIGHT));
const TRANSLATION = vec2<f32>(TRANSLATION_ACROSS, TRANSLATION_DOWN);
const SHEAR = vec2<f32>(SHEAR_ACROSS, SHEAR_DOWN);

// What becomes of one image. All pairs are (across, down).
struct Change {
    across: vec2<f32>, // the first row of A
    down: vec2<f32>,   // the second
    shift: vec2<f32>,  // c − t
    hole: vec2<u32>,   // the rectangle's first pixel
    hole_size: vec2<u32>,
}

// Numbers from −1 up to, not including, 1.
fn around_zero(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(words >> vec4<u32>(8u)) * 1.1920929e-7 - 1.0;
}

// A whole number below `count`, which is at most 2¹⁶.
fn below(word: u32, count: u32) -> u32 {
    return ((word >> 16u) * count) >> 16u;
}

// Cosine and sine of an angle in turns.
fn cosine_and_sine(turns: f32) -> vec2<f32> {
    let quarters = round(4.0 * turns);
    let angle = QUARTER_TURN * (4.0 * turns - quarters);
    let a = angle * angle;
    let sine = angle * (1.0 + a * (-0.16666667 + a * (8.333334e-3 + a * (-1.984127e-4 + a * 2.7557319e-6))));
    let cosine = 1.0 + a * (-0.5 + a * (4.1666668e-2 + a * (-1.3888889e-3 + a * 2.4801587e-5)));
    let quarter = i32(quarters) & 3;
    let turned = select(vec2<f32>(cosine, sine), vec2<f32>(-sine, cosine), (quarter & 1) == 1);
    return select(turned, -turned, quarter >= 2);
}

fn change_of(row: u32) -> Change {
    let first = around_zero(random_words(row, 0u));
    let sheared = SHEAR * around_zero(random_words(row, 1u)).xy;
    let turn = cosine_and_sine(ROTATION * first.z);
    let zoom = 1.0 + ZOOM * first.w;
    var change: Change;
    change.across = zoom * vec2<f32>(turn.x - turn.y * sheared.y, turn.x * sheared.x - turn.y);
    change.down = zoom * vec2<f32>(turn.y + turn.x * sheared.y, turn.y * sheared.x + turn.x);
    change.shift = 0.5 * (SIZE - 1.0) - TRANSLATION * first.yx;
    let words = random_words(row, 2u);
    change.hole_size = vec2<u32>(below(words.x, CUTOUT_WIDTH + 1u), below(words.y, CUTOUT_HEIGHT + 1u));
    let left = below(words.z, WIDTH - change.hole_size.x + 1u);
    change.hole = vec2<u32>(left, below(words.w, HEIGHT - change.hole_size.y + 1u));
    return change;
}

// What the four nodes around a place count, t being how far it is between the two in the middle.
fn spline(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    let middle = vec2<f32>(4.0 - 3.0 * t * t * (2.0 - t), 4.0 - 3.0 * s * s * (2.0 - s));
    return vec4<f32>(s * s * s, middle, t * t * t) / 6.0;
}

// Where the elastic displacement takes a pixel from, beside the affine map.
fn displacement(row: u32, pixel: vec2<u32>) -> vec2<f32> {
    let place = vec2<f32>(pixel) * NODES_A_PIXEL;
    let node = vec2<u32>(place);
    let t = place - floor(place);
    let across = spline(t.x);
    let down = spline(t.y);
    var sum = vec2<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
        for (var j = 0u; j < 4u; j += 1u) {
            let index = (node.y + i) * NODES_ACROSS + node.x + j;
            sum += down[i] * across[j] * around_zero(random_words(row, FIRST_NODE + index)).xy;
        }
    }
    return AMPLITUDE * sum;
}

// A place beyond the image's edges as one within or beside it, by the fill mode.
fn folded(place: vec2<f32>) -> vec2<f32> {
    var inside = place;
    if REFLECT {
        let turned = place + 0.5 - 2.0 * SIZE * floor((place + 0.5) / (2.0 * SIZE));
        inside = SIZE - abs(turned - SIZE) - 0.5;
    } else if WRAP {
        inside = place - SIZE * floor(place / SIZE);
    }
    return clamp(inside, vec2<f32>(-1.0), SIZE);
}

// A pixel of x, or what stands for it beyond the edges. The index is within the image whatever is asked for.
fn pixel_of(first: u32, pixel: vec2<i32>) -> f32 {
    let size = vec2<i32>(SIZE);
    let outside = (pixel < vec2<i32>(0)) | (pixel >= size);
    if CONSTANT && any(outside) {
        return FILL_VALUE;
    }
    var near = pixel;
    if WRAP {
        near = select(pixel, select(pixel - size, pixel + size, pixel < vec2<i32>(0)), outside);
    }
    let at = vec2<u32>(clamp(near, vec2<i32>(0), size - 1));
    return f32(x[first + (at.y * WIDTH + at.x) * CHANNELS]);
}

// x between four pixels; `first` is where the channel of the row's image begins.
fn sampled(first: u32, place: vec2<f32>) -> f32 {
    let corner = vec2<i32>(floor(place));
    let share = place - floor(place);
    let a = pixel_of(first, corner);
    let b = pixel_of(first, corner + vec2<i32>(1, 0));
    let c = pixel_of(first, corner + vec2<i32>(0, 1));
    let d = pixel_of(first, corner + vec2<i32>(1, 1));
    let upper = a + share.x * (b - a);
    let lower = c + share.x * (d - c);
    return upper + share.y * (lower - upper);
}

fn augmented(row: u32, feature: u32, change: Change) -> f32 {
    let number = feature / CHANNELS;
    let pixel = vec2<u32>(number % WIDTH, number / WIDTH);
    // What lies before the rectangle wraps around to far behind it.
    if all(pixel - change.hole < change.hole_size) {
        return FILL_VALUE;
    }
    let from_centre = vec2<f32>(pixel) - 0.5 * (SIZE - 1.0);
    var place = vec2<f32>(dot(change.across, from_centre), dot(change.down, from_centre)) + change.shift;
    if ELASTIC {
        place += displacement(row, pixel);
    }
    return sampled(4u * row * COLUMN_BLOCKS + feature % CHANNELS, folded(place));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * WORKGROUP + local;
    let row = index / COLUMN_BLOCKS;
    let column = index % COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    var value = vec4<f32>(0.0);
    if row < step.rows {
        let change = change_of(row);
        for (var i = 0u; i < 4u; i += 1u) {
            if 4u * column + i < COLUMNS {
                value[i] = augmented(row, 4u * column + i, change);
            }
        }
    }
    y[index] = y_vec4(within(value, Y_HALF));
}
