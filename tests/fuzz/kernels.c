/* libFuzzer over the C entry points of ff.h: every input is a program of calls, whose arguments
 * come from the bytes. The fastest kernels must write the same bytes as the scalar ones, results
 * must be in range, and AddressSanitizer and UndefinedBehaviorSanitizer watch all of it. Buffers
 * have exactly the documented sizes. See kernels.sh. */
#include "ff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *at, *end;
static unsigned long long calls;

static void report(void)
{
    fprintf(stderr, "native calls: %llu\n", calls);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    atexit(report);
    return 0;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

static uint32_t byte(void)
{
    return at < end ? *at++ : 0;
}

static uint32_t below(uint32_t limit)
{
    const uint32_t high = byte();
    return (high << 8 | byte()) % limit;
}

static void take(void *to, size_t n)
{
    const size_t have = (size_t)(end - at) < n ? (size_t)(end - at) : n;
    memset(to, 0, n);
    memcpy(to, at, have);
    at += have;
}

/* Any double, mostly a plain one. */
static double number(void)
{
    static const double special[] = {0,     -0.0,  1,      -1,     0.5,        1e-320, 65535,
                                     65536, 1e308, -1e308, 0x1p53, 4294967296, NAN,    INFINITY};
    double value;
    switch (byte() % 4) {
    case 0:
        return special[byte() % (sizeof special / sizeof *special)];
    case 1:
        take(&value, sizeof value);
        return value;
    default:
        return ((double)below(65536) - 20000) / 256;
    }
}

static void *need(size_t bytes)
{
    void *const p = malloc(bytes); /* Of the exact size, so that one byte too far is seen. */
    must(p != NULL || bytes == 0);
    return p;
}

static void pack(void)
{
    struct ff_frame frame;
    frame.height = 1 + below(byte() % 8 == 0 ? 3000 : 90);
    frame.width = 1 + below(byte() % 8 == 0 ? 3000 : 90);
    frame.channels = byte() & 1 ? 3 : 1;
    const size_t row = frame.width * (size_t)frame.channels, gap = byte() % 5;
    const size_t most = byte() % 16 == 0 ? 300000 : 12000;
    if (frame.height * (row + gap) > most)
        frame.height = 1 + most / (row + gap);
    frame.stride = (ptrdiff_t)(row + gap);
    const size_t size = FF_MIN_SIZE + byte() % (byte() % 8 ? 12 : 60), n = byte() % 4;
    uint8_t *const pixels = need((frame.height - 1) * (row + gap) + row);
    const uint32_t seed = byte();
    for (size_t i = 0; i < (frame.height - 1) * (row + gap) + row; i++)
        pixels[i] = (uint8_t)(seed + i * 31 + (i >> 8));
    frame.data = pixels;
    if (byte() % 4 == 0) { /* From the bottom to the top. */
        frame.data += (frame.height - 1) * (row + gap);
        frame.stride = -frame.stride;
    }
    double *const xywh = need(4 * n * sizeof *xywh);
    struct ff_box *const boxes = need(n * sizeof *boxes);
    int32_t *const rotations = need(2 * n * sizeof *rotations);
    for (size_t i = 0; i < 4 * n; i++)
        xywh[i] = number();
    for (size_t i = 0; i < n; i++) {
        const double angle = byte() % 5 == 0 ? 1.5707963267948966 : below(65536) / 10000.0;
        rotations[2 * i] = (int32_t)rint(cos(angle) * FF_ROTATION_ONE);
        rotations[2 * i + 1] = (int32_t)rint(sin(angle) * FF_ROTATION_ONE);
    }
    const double scale = number(), bias = number();
    const int turned = byte() & 1;
    size_t bad = 0, bytes = 0;
    enum ff_status status = ff_boxes_round(xywh, n, &frame, boxes, &bad);
    calls++;
    must(status == FF_OK || (status == FF_EBOX && bad < n));
    if (status == FF_OK) {
        status = turned ? ff_rotate_workspace(&frame, boxes, n, size, &bytes)
                        : ff_pack_workspace(&frame, boxes, n, size, &bytes);
        calls++;
        must(status == FF_OK || status == FF_EINVAL);
    }
    if (status == FF_OK && bytes < 64 << 20) {
        const size_t length = n * size * size * sizeof(float);
        float *first = NULL;
        static const char *const names[] = {"scalar", NULL};
        for (int i = 0; i < 2; i++) {
            const struct ff_kernels *kernels;
            must(ff_kernels_get(names[i], &kernels) == FF_OK);
            float *const out = need(length);
            void *const workspace = need(bytes);
            status = turned ? ff_rotate_faces(kernels, &frame, boxes, rotations, n, size, scale,
                                              bias, workspace, out)
                            : ff_pack_faces(kernels, &frame, boxes, n, size, scale, bias, workspace,
                                            out);
            calls += 2;
            free(workspace);
            must(status == FF_OK || status == FF_EINVAL);
            if (i == 0) {
                first = out;
            } else {
                must(status != FF_OK || length == 0 || memcmp(first, out, length) == 0);
                free(out);
            }
        }
        free(first);
    }
    free(rotations);
    free(boxes);
    free(xywh);
    free(pixels);
}

/* Rows of boxes as the contract has them: finite, with sides of 0 or more. */
static double *rows(size_t n)
{
    double *const boxes = need(4 * n * sizeof *boxes);
    for (size_t i = 0; i < 4 * n; i++) {
        const double value = number();
        boxes[i] = !isfinite(value) ? 0 : i % 4 > 1 ? fabs(value) : value;
    }
    return boxes;
}

static void overlap(void)
{
    const size_t n = byte() % 9, m = byte() % 9;
    double *const a = rows(n), *const b = rows(m), *const out = need(n * m * sizeof *out);
    must(ff_iou(a, n, b, m, out) == FF_OK);
    calls++;
    for (size_t i = 0; i < n * m; i++)
        must(!(out[i] < 0 || out[i] > 1));
    free(out);
    free(b);
    free(a);
}

static void suppress(void)
{
    const size_t n = byte() % 12;
    double *const boxes = rows(n);
    int64_t *const order = need(n * sizeof *order), *const keep = need(n * sizeof *keep);
    const int wild = byte() % 8 == 0;
    for (size_t i = 0; i < n; i++) {
        order[i] = (int64_t)(byte() % n);
        if (wild)
            take(order + i, sizeof *order);
    }
    size_t kept = 0;
    const enum ff_status status = ff_nms(boxes, order, n, number(), keep, &kept);
    calls++;
    must(status == FF_OK || status == FF_EINVAL);
    for (size_t i = 0; status == FF_OK && i < kept; i++)
        must(keep[i] >= 0 && (size_t)keep[i] < n);
    must(kept <= n);
    free(keep);
    free(order);
    free(boxes);
}

static void assignment(void)
{
    const size_t n = byte() % 9, m = byte() % 9;
    double *const gain = need(n * m * sizeof *gain);
    int64_t *const column = need(n * sizeof *column);
    size_t bytes = 0;
    for (size_t i = 0; i < n * m; i++)
        gain[i] = number();
    must(ff_assign_workspace(n, m, &bytes) == FF_OK);
    void *const workspace = need(bytes);
    const enum ff_status status = ff_assign(gain, n, m, workspace, column);
    calls += 2;
    must(status == FF_OK || status == FF_EINVAL);
    for (size_t i = 0; status == FF_OK && i < n; i++) {
        must(column[i] >= 0 && (size_t)column[i] < m);
        for (size_t j = 0; j < i; j++)
            must(column[i] != column[j]);
    }
    free(workspace);
    free(column);
    free(gain);
}

static void decode(void)
{
    const size_t height = byte() % 7, width = byte() % 7, capacity = byte() % 20;
    const size_t length = FF_PLANES * height * width;
    float *const map = need(length * sizeof *map);
    for (size_t i = 0; i < length; i++)
        map[i] = byte() % 3 == 0 ? (float)number() : (float)(byte() / 255.0);
    float *const boxes = need(4 * capacity * sizeof *boxes);
    float *const scores = need(capacity * sizeof *scores);
    float *const landmarks = need(2 * FF_LANDMARKS * capacity * sizeof *landmarks);
    size_t count = capacity ? byte() % (capacity + 1) : 0;
    const size_t stride = byte() % 2 ? 1 + below(64) : (size_t)1 << below(60);
    const enum ff_status status = ff_decode(map, height, width, stride, (float)number(), capacity,
                                            boxes, scores, landmarks, &count);
    calls++;
    must(status == FF_OK || status == FF_EINVAL);
    must(count <= capacity);
    free(landmarks);
    free(scores);
    free(boxes);
    free(map);
}

static void flow(void)
{
    const size_t n = byte() % 3, points = byte() % 5, values = FF_FLOW_SIDE * FF_FLOW_SIDE;
    float *const patches = need(2 * n * values * sizeof *patches);
    double *const boxes = need(4 * n * sizeof *boxes);
    double *const grid = need(2 * points * sizeof *grid);
    struct ff_motion *const motions = need(n * sizeof *motions);
    const float step = (float)number();
    const struct ff_kernels *kernels;
    must(ff_kernels_get(NULL, &kernels) == FF_OK);
    for (size_t i = 0; i < 2 * n * values; i++)
        patches[i] = (float)(i * 2654435761u % 251) + (i % values == 2080 ? step : 0);
    for (size_t i = 0; i < 4 * n; i++)
        boxes[i] = number();
    for (size_t i = 0; i < 2 * points; i++)
        grid[i] = number();
    size_t bytes = 0;
    must(ff_flow_workspace(&bytes) == FF_OK);
    void *const workspace = need(bytes);
    must(ff_flow(kernels, patches, patches + n * values, boxes, n, grid, points, number(),
                 workspace, motions) == FF_OK);
    calls++;
    for (size_t i = 0; i < n; i++)
        must(motions[i].inliers >= 0 && motions[i].inliers <= 1);
    free(workspace);
    free(motions);
    free(grid);
    free(boxes);
    free(patches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at = data;
    end = data + size;
    for (int i = 0; i < 16 && at < end; i++) {
        switch (byte() % 7) {
        case 0:
        case 1:
            pack();
            break;
        case 2:
            overlap();
            break;
        case 3:
            suppress();
            break;
        case 4:
            assignment();
            break;
        case 5:
            flow();
            break;
        default:
            decode();
        }
    }
    return 0;
}

#ifdef FF_FUZZ_RANDOM
/* Without libFuzzer: random programs until the number of calls in the first argument is reached. */
int main(int argc, char **argv)
{
    const unsigned long long wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 88172645463325252u;
    uint8_t program[256];
    LLVMFuzzerInitialize(&argc, &argv);
    for (unsigned long long next = 1000000; calls < wanted;) {
        for (size_t i = 0; i < sizeof program; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            program[i] = (uint8_t)(state >> 24);
        }
        LLVMFuzzerTestOneInput(program, sizeof program);
        if (calls >= next) {
            report();
            next += 1000000;
        }
    }
    return 0;
}
#endif
