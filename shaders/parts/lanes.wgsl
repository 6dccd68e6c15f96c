// Sums and maxima over the LANES neighbouring invocations that share a row; LANES is a power of two, 1 to WORKGROUP.
// The tree's shape depends on LANES alone, so a row gives the same bits every time.
// Every invocation of the workgroup must call these together: they hold barriers.

var<workgroup> lane_values: array<f32, WORKGROUP>;

fn lanes_sum(local: u32, value: f32) -> f32 {
    if LANES == 1u {
        return value;
    }
    lane_values[local] = value;
    workgroupBarrier(); // all values stand before the first pair is added
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if local % LANES < half {
            lane_values[local] += lane_values[local + half];
        }
        workgroupBarrier(); // a level is done before the next reads it
    }
    let total = lane_values[local / LANES * LANES];
    workgroupBarrier(); // all have read the total before the array is used again
    return total;
}

fn lanes_max(local: u32, value: f32) -> f32 {
    if LANES == 1u {
        return value;
    }
    lane_values[local] = value;
    workgroupBarrier(); // all values stand before the first pair is compared
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if local % LANES < half {
            lane_values[local] = max(lane_values[local], lane_values[local + half]);
        }
        workgroupBarrier(); // a level is done before the next reads it
    }
    let largest = lane_values[local / LANES * LANES];
    workgroupBarrier(); // all have read the result before the array is used again
    return largest;
}

fn lanes_min_index(local: u32, value: u32) -> u32 {
    if LANES == 1u {
        return value;
    }
    // An index below 2²⁴ is exact in f32, and the negative of the largest negative is the smallest.
    return u32(-lanes_max(local, -f32(value)));
}
