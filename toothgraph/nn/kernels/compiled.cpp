// Reductions over neighbourhoods on a CPU: plain C functions, called through ctypes. They need no header of torch, and
// no library except OpenMP. torch has already loaded OpenMP, so there is only one pool of threads.
//
// Each function opens one parallel region, or none if there is one thread. Forward passes give each thread some nodes.
// Backward passes give each thread some channels. So no two threads write to the same number, and sums do not depend on
// the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#define INLINE inline __attribute__((always_inline))
#define EXPORTED extern "C" __attribute__((visibility("default")))
// Compiled for several kinds of processors. The loader takes the best version for this machine.
#if defined(__x86_64__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR __attribute__((noinline))
#endif

using Int = std::int64_t;
EXPORTED int version() { return 1; }  // of the signatures below; compiled.py asks for it

constexpr Int LINE = 16;   // float32 values in a cache line; least channels of a thread in a backward pass
constexpr Int AHEAD = 2;   // how many nodes ahead neighbours are fetched

// The neighbours of all nodes. If `fixed` is not 0, the neighbours of node n are source[n * by_node + j * by_near] for
// j < fixed. If it is 0, they are source[ends[n]] to source[ends[n + 1] - 1]. All are below `rows`. With `padded`, the
// number `rows` means that there is no neighbour.
struct Hood {
    const Int *source, *ends;
    Int fixed, by_node, by_near, padded, rows, nodes, edges;

    INLINE Int count(Int node) const { return fixed ? fixed : ends[node + 1] - ends[node]; }
    INLINE Int step() const { return fixed ? by_near : 1; }
    INLINE const Int *first(Int node) const { return source + (fixed ? node * by_node : ends[node]); }
};

// Calls part(first, last) in parallel for ranges that cover 0 to count and begin at multiples of `unit`.
template <class Part> static void in_parallel(Int count, Int unit, Int threads, Part part) {
    const Int units = (count + unit - 1) / unit, parts = std::min(threads, units);
    if (parts <= 1) return part(Int(0), count);
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (Int i = 0; i < parts; ++i) part(units * i / parts * unit, std::min(units * (i + 1) / parts * unit, count));
}

// Whether all neighbours of nodes first to last - 1 are valid, and also their ends where `fixed` is 0.
EACH_PROCESSOR static bool are_there(const Hood &hood, Int first, Int last) {
    const uint64_t limit = hood.rows + hood.padded;
    bool fine = true;
    const auto look = [&](const Int *near, Int step, Int count) __attribute__((always_inline)) {
        for (Int i = 0; i < count; ++i) fine &= uint64_t(near[i * step]) < limit;  // negative: a large number
    };
    if (hood.fixed) {
        for (Int j = 0; j < hood.fixed; ++j) {
            const Int *near = hood.source + first * hood.by_node + j * hood.by_near;
            if (hood.by_node == 1) look(near, 1, last - first);
            else look(near, hood.by_node, last - first);
        }
        return fine;
    }
    for (Int node = first; node < last; ++node)
        if (!(0 <= hood.ends[node] && hood.ends[node] <= hood.ends[node + 1] && hood.ends[node + 1] <= hood.edges))
            return false;
    look(hood.source + hood.ends[first], 1, first < last ? hood.ends[last] - hood.ends[first] : 0);
    return fine;
}

// --- Maximum. NaN is larger than all numbers. Of equal values, the first one wins. A node without neighbours gets 0.

// The maxima of one node in W channels, or in `width` channels if W is 0. With LEARNS, also which neighbours won.
template <class T, bool LEARNS, Int W>
static INLINE void max_tile(const T *x, const Hood &hood, Int node, Int channels, Int width, T *out, int32_t *winner) {
    const Int size = W ? W : width, count = hood.count(node), step = hood.step(), *near = hood.first(node);
    T best[W ? W : LINE];
    int32_t won[W ? W : LINE];
    Int j = 0;
    while (j < count && near[j * step] == hood.rows) ++j;
    const Int start = j < count ? near[j * step] : -1;
    for (Int c = 0; c < size; ++c) {
        best[c] = start < 0 ? T(0) : x[start * channels + c];
        if (LEARNS) won[c] = int32_t(start);
    }
    for (++j; j < count; ++j) {
        const Int other = near[j * step];
        if (other == hood.rows) continue;
        const T *row = x + other * channels;
        for (Int c = 0; c < size; ++c) {
            const bool larger = (row[c] > best[c]) | (row[c] != row[c]);
            best[c] = larger ? row[c] : best[c];
            if (LEARNS) won[c] = larger ? int32_t(other) : won[c];
        }
    }
    for (Int c = 0; c < size; ++c) out[c] = best[c];
    if (LEARNS)
        for (Int c = 0; c < size; ++c) winner[c] = won[c];
}

template <class T> static INLINE void fetch(const T *x, const Hood &hood, Int node, Int channels) {
    const Int *near = hood.first(node);
    for (Int j = 0; j < hood.count(node); ++j)
        for (Int c = 0; c < channels; c += 64 / sizeof(T)) __builtin_prefetch(x + near[j * hood.step()] * channels + c);
}

template <class T, bool LEARNS>
static INLINE void max_rows(const T *x, const Hood &hood, Int channels, T *out, int32_t *winner, Int first, Int last) {
    for (Int node = first; node < last; ++node) {
        if (node + AHEAD < last) fetch(x, hood, node + AHEAD, channels);
        for (Int c = 0; c < channels;) {
            const Int left = channels - c, at = node * channels + c;
            int32_t *won = LEARNS ? winner + at : nullptr;
            if (left >= 64) max_tile<T, LEARNS, 64>(x + c, hood, node, channels, 64, out + at, won), c += 64;
            else if (left >= 32) max_tile<T, LEARNS, 32>(x + c, hood, node, channels, 32, out + at, won), c += 32;
            else max_tile<T, LEARNS, 0>(x + c, hood, node, channels, std::min(left, LINE), out + at, won), c += LINE;
        }
    }
}

EACH_PROCESSOR static void max_of(const float *x, const Hood &hood, Int channels, float *out, int32_t *winner,
                                  Int first, Int last) {
    if (winner) max_rows<float, true>(x, hood, channels, out, winner, first, last);
    else max_rows<float, false>(x, hood, channels, out, nullptr, first, last);
}

EACH_PROCESSOR static void max_of(const double *x, const Hood &hood, Int channels, double *out, int32_t *winner,
                                  Int first, Int last) {
    if (winner) max_rows<double, true>(x, hood, channels, out, winner, first, last);
    else max_rows<double, false>(x, hood, channels, out, nullptr, first, last);
}

template <class T>
static bool maximum(const T *x, const Hood *hood, Int channels, T *out, int32_t *winner, Int threads) {
    bool fine = true;
    in_parallel(hood->nodes, 1, threads, [&](Int first, Int last) {
        if (are_there(*hood, first, last)) max_of(x, *hood, channels, out, winner, first, last);
        else __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
    });
    return fine;
}

// Adds the gradient of each node to its winner.
template <class T>
static void to_winners(const T *grad, const int32_t *winner, Int nodes, Int channels, T *out, Int threads) {
    in_parallel(channels, LINE, threads, [&](Int first, Int last) {
        for (Int node = 0; node < nodes; ++node)
            for (Int c = first; c < last; ++c) {
                const Int row = winner[node * channels + c];
                if (row >= 0) out[row * channels + c] += grad[node * channels + c];
            }
    });
}

EXPORTED bool max_float(const float *x, const Hood *hood, Int channels, float *out, int32_t *winner, Int threads) {
    return maximum(x, hood, channels, out, winner, threads);
}

EXPORTED bool max_double(const double *x, const Hood *hood, Int channels, double *out, int32_t *winner, Int threads) {
    return maximum(x, hood, channels, out, winner, threads);
}

EXPORTED void to_winners_float(const float *grad, const int32_t *winner, Int nodes, Int channels, float *out,
                               Int threads) {
    to_winners(grad, winner, nodes, channels, out, threads);
}

EXPORTED void to_winners_double(const double *grad, const int32_t *winner, Int nodes, Int channels, double *out,
                                Int threads) {
    to_winners(grad, winner, nodes, channels, out, threads);
}

// --- Sum and mean.

template <class T>
static INLINE void add_rows(const T *x, const Hood &hood, Int channels, bool mean, T *out, Int first, Int last) {
    for (Int node = first; node < last; ++node) {
        const Int count = hood.count(node), step = hood.step(), *near = hood.first(node);
        T *into = out + node * channels;
        for (Int c = 0; c < channels; ++c) into[c] = T(0);
        for (Int j = 0; j < count; ++j) {
            const T *row = x + near[j * step] * channels;
            for (Int c = 0; c < channels; ++c) into[c] += row[c];
        }
        if (mean && count)
            for (Int c = 0; c < channels; ++c) into[c] /= T(count);
    }
}

// Adds channels first to last - 1 of the gradient of each node to its neighbours.
template <class T>
static INLINE void spread_rows(const T *grad, const Hood &hood, Int channels, bool mean, T *out, Int first, Int last) {
    for (Int node = 0; node < hood.nodes; ++node) {
        const Int count = hood.count(node), step = hood.step(), *near = hood.first(node);
        const T share = mean && count ? T(1) / T(count) : T(1);
        const T *from = grad + node * channels;
        for (Int j = 0; j < count; ++j) {
            T *into = out + near[j * step] * channels;
            for (Int c = first; c < last; ++c) into[c] += share * from[c];
        }
    }
}

EACH_PROCESSOR static void add(const float *x, const Hood &hood, Int channels, bool mean, float *out, Int first,
                               Int last) {
    add_rows(x, hood, channels, mean, out, first, last);
}

EACH_PROCESSOR static void add(const double *x, const Hood &hood, Int channels, bool mean, double *out, Int first,
                               Int last) {
    add_rows(x, hood, channels, mean, out, first, last);
}

EACH_PROCESSOR static void spread(const float *grad, const Hood &hood, Int channels, bool mean, float *out, Int first,
                                  Int last) {
    spread_rows(grad, hood, channels, mean, out, first, last);
}

EACH_PROCESSOR static void spread(const double *grad, const Hood &hood, Int channels, bool mean, double *out, Int first,
                                  Int last) {
    spread_rows(grad, hood, channels, mean, out, first, last);
}

template <class T>
static bool total(const T *x, const Hood *hood, Int channels, bool mean, bool back, T *out, Int threads) {
    bool fine = true;
    if (back) {  // not checked again: the forward pass did, and here each thread would check all nodes
        in_parallel(channels, LINE, threads,
                    [&](Int first, Int last) { spread(x, *hood, channels, mean, out, first, last); });
        return fine;
    }
    in_parallel(hood->nodes, 1, threads, [&](Int first, Int last) {
        if (are_there(*hood, first, last)) add(x, *hood, channels, mean, out, first, last);
        else __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
    });
    return fine;
}

EXPORTED bool total_float(const float *x, const Hood *hood, Int channels, bool mean, bool back, float *out,
                          Int threads) {
    return total(x, hood, channels, mean, back, out, threads);
}

EXPORTED bool total_double(const double *x, const Hood *hood, Int channels, bool mean, bool back, double *out,
                           Int threads) {
    return total(x, hood, channels, mean, back, out, threads);
}

// --- Edges to neighbourhoods.

// Writes the ends of the neighbourhoods [nodes + 1]. Returns 0 if the targets are in order, 1 if they are not, and 2 if
// a target is not a node.
EXPORTED int count_edges(const Int *target, Int edges, Int nodes, Int *ends) {
    std::fill(ends, ends + nodes + 1, Int(0));
    bool ordered = true;
    for (Int e = 0; e < edges; ++e) {
        if (target[e] < 0 || target[e] >= nodes) return 2;
        ordered &= e == 0 || target[e - 1] <= target[e];
        ++ends[target[e] + 1];
    }
    for (Int node = 0; node < nodes; ++node) ends[node + 1] += ends[node];
    return ordered ? 0 : 1;
}

// Writes the sources [edges] grouped by target. Sources of one target keep their order.
EXPORTED void sort_edges(const Int *source, const Int *target, Int edges, const Int *ends, Int nodes, Int *out) {
    std::vector<Int> next(ends, ends + nodes);
    for (Int e = 0; e < edges; ++e) out[next[target[e]]++] = source[e];
}

// --- Geometry of pairs: an edge MLP on six features, and its maximum over neighbours.

typedef float Lanes __attribute__((vector_size(64)));  // values of 16 nodes; only for + and *, as all processors can
constexpr float SHORTEST = 1e-9f;               // mm
constexpr Int HIDDEN = 64, CHANNELS = 128;      // at most

struct Layers {
    const float *w1, *b1, *w2, *b2;  // [hidden, 6], [hidden], [channels, hidden], [channels]
    Int hidden, channels;
    float scale;
};

// The features of a pair, see pair_features in pair_geometry.py. `own` and `far` are a position and a normal each.
static INLINE void pair_features(const float *own, const float *far, float scale, float *out) {
    const float *n = own + 3, *m = far + 3;
    const float d[3] = {far[0] - own[0], far[1] - own[1], far[2] - own[2]};
    const float length = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    const float over = length < SHORTEST ? SHORTEST : length;  // NaN stays
    const float u[3] = {d[0] / over, d[1] / over, d[2] / over};
    out[0] = length / scale;
    out[2] = n[0] * u[0] + n[1] * u[1] + n[2] * u[2];
    out[1] = out[0] * out[2];
    out[3] = m[0] * u[0] + m[1] * u[1] + m[2] * u[2];
    out[4] = n[0] * m[0] + n[1] * m[1] + n[2] * m[2];
    out[5] = u[0] * (n[1] * m[2] - n[2] * m[1]) + u[1] * (n[2] * m[0] - n[0] * m[2]) +
             u[2] * (n[0] * m[1] - n[1] * m[0]);
}

// Computes C channels of edge j of 16 nodes, and updates their maxima and winners.
template <int C>
static INLINE void pair_channels(const Layers &layers, const Lanes *h, Int c, int32_t j, float (*best)[LINE],
                                 int32_t (*won)[LINE]) {
    Lanes z[C] = {};
    for (Int i = 0; i < layers.hidden; ++i)
#pragma GCC unroll 8
        for (int n = 0; n < C; ++n) z[n] += layers.w2[(c + n) * layers.hidden + i] * h[i];
#pragma GCC unroll 8
    for (int n = 0; n < C; ++n) {
        alignas(64) float value[LINE];
        *(Lanes *)value = z[n];
#pragma omp simd
        for (Int l = 0; l < LINE; ++l) {
            const bool larger = (j == 0) | (value[l] > best[c + n][l]) | (value[l] != value[l]);
            best[c + n][l] = larger ? value[l] : best[c + n][l];
            won[c + n][l] = larger ? j : won[c + n][l];
        }
    }
}

// `points` is [N, 6]. `out` is [N, channels] in rows of `stride`. `winner` is [N, channels], the place of the best
// neighbour among those of its node; it may be null.
EACH_PROCESSOR static void pair_rows(const float *points, const Hood &hood, const Layers &layers, float *out,
                                     Int stride, uint8_t *winner, Int first, Int last) {
    alignas(64) float h[HIDDEN][LINE], best[CHANNELS][LINE];
    alignas(64) int32_t won[CHANNELS][LINE];
    for (Int start = first; start < last; start += LINE) {
        const Int size = std::min(LINE, last - start);
        alignas(64) float own[6][LINE], far[6][LINE], f[6][LINE];
        const auto load = [&](float(*to)[LINE], Int l, Int node) __attribute__((always_inline)) {
            for (Int i = 0; i < 6; ++i) to[i][l] = points[node * 6 + i];
        };
        for (Int l = 0; l < LINE; ++l) load(own, l, start + std::min(l, size - 1));
        for (Int j = 0; j < hood.fixed; ++j) {
            for (Int l = 0; l < LINE; ++l)
                load(far, l, hood.source[(start + std::min(l, size - 1)) * hood.by_node + j * hood.by_near]);
#pragma omp simd
            for (Int l = 0; l < LINE; ++l) {
                float one[6], other[6], found[6];
                for (Int i = 0; i < 6; ++i) one[i] = own[i][l], other[i] = far[i][l];
                pair_features(one, other, layers.scale, found);
                for (Int i = 0; i < 6; ++i) f[i][l] = found[i];
            }
            for (Int i = 0; i < layers.hidden; ++i) {
                Lanes z = Lanes{} + layers.b1[i];
                for (Int n = 0; n < 6; ++n) z += layers.w1[i * 6 + n] * *(const Lanes *)f[n];
                *(Lanes *)h[i] = z;
#pragma omp simd
                for (Int l = 0; l < LINE; ++l) h[i][l] = h[i][l] < 0 ? 0.0f : h[i][l];  // NaN stays
            }
            Int c = 0;
            const Lanes *hidden = (const Lanes *)h;
            for (; c + 8 <= layers.channels; c += 8) pair_channels<8>(layers, hidden, c, int32_t(j), best, won);
            for (; c < layers.channels; ++c) pair_channels<1>(layers, hidden, c, int32_t(j), best, won);
        }
        for (Int l = 0; l < size; ++l)
            for (Int c = 0; c < layers.channels; ++c) {
                out[(start + l) * stride + c] = best[c][l] + layers.b2[c];
                if (winner) winner[(start + l) * layers.channels + c] = uint8_t(won[c][l]);
            }
    }
}

EXPORTED bool pairs(const float *points, const Hood *hood, const Layers *layers, float *out, Int stride,
                    uint8_t *winner, Int threads) {
    bool fine = true;
    in_parallel(hood->nodes, LINE, threads, [&](Int first, Int last) {
        if (are_there(*hood, first, last)) pair_rows(points, *hood, *layers, out, stride, winner, first, last);
        else __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
    });
    return fine;
}

// Adds the gradients of w1 and b1 to grad_w1 [7, hidden], and those of w2 to grad_w2 [channels, hidden]. `hidden` is a
// multiple of 16. H is the number of hidden channels, or 0 for any number.
template <int H>
static INLINE void pair_gradients_of(const float *points, const Hood &hood, const Layers &layers,
                                     const float *grad, const uint8_t *winner, float *grad_w1,
                                     float *grad_w2, Int first, Int last) {
    const Int k = hood.fixed, hidden = H ? H : layers.hidden;
    std::vector<float> w1(6 * hidden), f(k * 7), h(k * hidden), grad_h(k * hidden);
    for (Int i = 0; i < hidden; ++i)
        for (Int n = 0; n < 6; ++n) w1[n * hidden + i] = layers.w1[i * 6 + n];
    for (Int node = first; node < last; ++node) {
        for (Int j = 0; j < k; ++j) {  // 1. Compute the hidden layer again.
            float *own = &f[j * 7], *to = &h[j * hidden];
            const Int other = hood.source[node * hood.by_node + j * hood.by_near];
            pair_features(points + node * 6, points + other * 6, layers.scale, own);
            own[6] = 1.0f;
#pragma omp simd
            for (Int i = 0; i < hidden; ++i) {
                float z = layers.b1[i];
                for (Int n = 0; n < 6; ++n) z += w1[n * hidden + i] * own[n];
                to[i] = z < 0 ? 0.0f : z;
            }
        }
        std::fill(grad_h.begin(), grad_h.end(), 0.0f);
        for (Int c = 0; c < layers.channels; ++c) {  // 2. The gradient of each channel goes to one edge.
            const Int j = winner[node * layers.channels + c];
            const float g = grad[node * layers.channels + c], *from = &h[j * hidden], *w2 = layers.w2 + c * hidden;
            float *to = &grad_h[j * hidden], *to_w2 = grad_w2 + c * hidden;
#pragma omp simd
            for (Int i = 0; i < hidden; ++i) to_w2[i] += g * from[i], to[i] += g * w2[i];
        }
        for (Int j = 0; j < k; ++j)  // 3. Through the ReLU.
            for (Int n = 0; n < 7; ++n) {
                const float value = f[j * 7 + n], *from = &grad_h[j * hidden], *on = &h[j * hidden];
                float *to = grad_w1 + n * hidden;
#pragma omp simd
                for (Int i = 0; i < hidden; ++i) to[i] += value * (on[i] <= 0 ? 0.0f : from[i]);
            }
    }
}

EACH_PROCESSOR static void pair_gradients(const float *points, const Hood &hood, const Layers &layers,
                                          const float *grad, const uint8_t *winner, float *grad_w1,
                                          float *grad_w2, Int first, Int last) {
    if (layers.hidden == 16) pair_gradients_of<16>(points, hood, layers, grad, winner, grad_w1, grad_w2, first, last);
    else pair_gradients_of<0>(points, hood, layers, grad, winner, grad_w1, grad_w2, first, last);
}

// `grad_w1` is [threads, 7, hidden] and `grad_w2` [threads, channels, hidden]. Both are zeros at first, and each thread
// writes to a part of its own.
EXPORTED void pairs_back(const float *points, const Hood *hood, const Layers *layers, const float *grad,
                         const uint8_t *winner, float *grad_w1, float *grad_w2, Int threads) {
    in_parallel(threads, 1, threads, [&](Int part, Int end) {
        for (; part < end; ++part)
            pair_gradients(points, *hood, *layers, grad, winner, grad_w1 + part * 7 * layers->hidden,
                           grad_w2 + part * layers->channels * layers->hidden, hood->nodes * part / threads,
                           hood->nodes * (part + 1) / threads);
    });
}
