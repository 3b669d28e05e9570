/* Runs the kernels of every available instruction set on random frames, boxes and patches, compares
 * their output with that of the scalar kernels byte by byte, and prints a hash of it. Without Python,
 * for platforms where the package cannot be built, such as NEON under an emulator
 * (tests/cext/check_neon.sh). */
#include "ff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double uniform(double low, double high)
{
    return low + (high - low) * (double)(next() >> 11) / 9007199254740992.0;
}

static void *need(size_t bytes)
{
    void *const p = malloc(bytes ? bytes : 1);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static void fill(uint8_t *p, size_t n)
{
    const int extreme = next() % 3 == 0;
    for (size_t i = 0; i < n; i++)
        p[i] = extreme ? (next() & 1 ? 255 : 0) : (uint8_t)next();
}

/* Packs the boxes with one table, rotated unless rotations is NULL. The caller frees the result. */
static float *pack(const struct ff_kernels *kernels, const struct ff_frame *frame,
                   const struct ff_box *boxes, const int32_t *rotations, size_t n, size_t size)
{
    size_t bytes = 0;
    float *const out = need(n * size * size * sizeof *out);
    enum ff_status status = rotations ? ff_rotate_workspace(frame, boxes, n, size, &bytes)
                                  : ff_pack_workspace(frame, boxes, n, size, &bytes);
    if (status != FF_OK)
        exit(2);
    void *const workspace = need(bytes);
    if (rotations)
        status = ff_rotate_faces(kernels, frame, boxes, rotations, n, size, 1 / 255.0, -0.25,
                                 workspace, out);
    else
        status = ff_pack_faces(kernels, frame, boxes, n, size, 1 / 255.0, -0.25, workspace, out);
    if (status != FF_OK)
        exit(2);
    free(workspace);
    return out;
}

/* Sets the cosine and sine of a random angle, one in six a quarter turn. */
static void random_rotation(int32_t *rotation)
{
    const double t = uniform(-1, 1), scale = FF_ROTATION_ONE / (1 + t * t);
    const int quarter = next() % 6 == 0;
    rotation[0] = quarter ? 0 : (int32_t)((1 - t * t) * scale);
    rotation[1] = quarter ? FF_ROTATION_ONE : (int32_t)(2 * t * scale);
    if (next() & 1)
        rotation[0] = -rotation[0];
}

enum { PATCHES = 2, VALUES = FF_FLOW_SIDE * FF_FLOW_SIDE };

/* The motion between patches with one table. The caller frees the result. */
static struct ff_motion *follow(const struct ff_kernels *kernels, const float *patches,
                                const double *points)
{
    static const double boxes[4 * PATCHES] = {10, 20, 40, 50, -3.5, 7.25, 120, 90};
    size_t bytes;
    if (ff_flow_workspace(&bytes) != FF_OK)
        exit(2);
    void *const workspace = need(bytes);
    struct ff_motion *const out = need(PATCHES * sizeof *out);
    if (ff_flow(kernels, patches, patches + PATCHES * VALUES, boxes, PATCHES, points,
                FF_FLOW_POINTS, 1.8, workspace, out) != FF_OK)
        exit(2);
    free(workspace);
    return out;
}

/* Patches of smooth random grays, then the same moved a little, with noise. */
static float *random_patches(void)
{
    float *const patches = need(2 * PATCHES * VALUES * sizeof *patches);
    for (size_t i = 0; i < PATCHES; i++) {
        float coarse[18][18];
        for (size_t k = 0; k < 18 * 18; k++)
            coarse[k / 18][k % 18] = (float)uniform(0, 255);
        const size_t shift_x = next() % 4, shift_y = next() % 4;
        for (size_t k = 0; k < 2 * VALUES; k++) {
            const size_t after = k / VALUES;
            const size_t x = k % FF_FLOW_SIDE + after * shift_x;
            const size_t y = k % VALUES / FF_FLOW_SIDE + after * shift_y;
            const float u = (float)(x % 4) / 4, v = (float)(y % 4) / 4;
            const float *const a = &coarse[y / 4][x / 4], *const b = &coarse[y / 4 + 1][x / 4];
            patches[(after * PATCHES + i) * VALUES + k % VALUES] =
                (a[0] * (1 - u) + a[1] * u) * (1 - v) + (b[0] * (1 - u) + b[1] * u) * v
                + (float)uniform(-2, 2);
        }
    }
    return patches;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 500;
    const struct ff_kernels *scalar, *other;
    unsigned long compared = 0;
    uint64_t hash = 14695981039346656037u; /* FNV-1a of the scalar kernels' output */
    if (ff_kernels_get("scalar", &scalar) != FF_OK)
        return 2;
    for (int round = 0; round < rounds; round++) {
        enum { FACES = 3 };
        const size_t width = 1 + next() % 300, height = 1 + next() % 300;
        const size_t channels = next() & 1 ? 3 : 1, gap = next() % 5;
        const size_t any = FF_MIN_SIZE + next() % (FF_MAX_SIZE - FF_MIN_SIZE + 1);
        const size_t size = next() % 3 ? 48 : any;
        const size_t stride = width * channels + gap;
        /* Ends with the last pixel, so that a sanitizer detects reads beyond it. */
        const size_t bytes = stride * (height - 1) + width * channels;
        uint8_t *const data = need(bytes);
        const struct ff_frame frame = {data, height, width, (ptrdiff_t)stride, (int)channels};
        double xywh[4 * FACES];
        struct ff_box boxes[FACES];
        size_t bad;

        fill(data, bytes);
        do {
            for (size_t i = 0; i < FACES; i++) {
                const double w = uniform(0.3, next() % 8 ? 400 : 9000);
                const double h = uniform(0.3, next() % 8 ? 400 : 9000);
                const double x = uniform(-w, (double)width), y = uniform(-h, (double)height);
                const double box[4] = {x, y, w, h};
                memcpy(xywh + 4 * i, box, sizeof box);
            }
        } while (ff_boxes_round(xywh, FACES, &frame, boxes, &bad) != FF_OK);

        int32_t angles[2 * FACES];
        for (size_t i = 0; i < FACES; i++)
            random_rotation(angles + 2 * i);
        const int32_t *const rotations = round % 2 ? angles : NULL;
        float *const patches = random_patches();
        double points[2 * FF_FLOW_POINTS];
        for (size_t i = 0; i < 2 * FF_FLOW_POINTS; i++)
            points[i] = uniform(-5, FF_FLOW_SIDE + 5);
        struct ff_motion *const motions = follow(scalar, patches, points);
        for (size_t i = 0; i < PATCHES * sizeof *motions / sizeof(uint64_t); i++) {
            uint64_t bits;
            memcpy(&bits, (const char *)motions + i * sizeof bits, sizeof bits);
            hash = (hash ^ bits) * 1099511628211u;
        }
        float *const expected = pack(scalar, &frame, boxes, rotations, FACES, size);
        for (size_t i = 0; i < FACES * size * size; i++) {
            uint32_t bits;
            memcpy(&bits, &expected[i], sizeof bits);
            hash = (hash ^ bits) * 1099511628211u;
        }
        for (size_t k = 0; ff_isa_name(k); k++) {
            if (ff_kernels_get(ff_isa_name(k), &other) != FF_OK || other == scalar)
                continue;
            float *const got = pack(other, &frame, boxes, rotations, FACES, size);
            if (memcmp(got, expected, FACES * size * size * sizeof *got) != 0) {
                printf("%s differs from scalar in round %d: %zu x %zu x %zu, size %zu\n",
                       ff_kernels_name(other), round, height, width, channels, size);
                return 1;
            }
            free(got);
            struct ff_motion *const same = follow(other, patches, points);
            if (memcmp(same, motions, PATCHES * sizeof *same) != 0) {
                printf("%s follows otherwise than scalar in round %d\n", ff_kernels_name(other),
                       round);
                return 1;
            }
            free(same);
            compared++;
        }
        free(motions);
        free(patches);
        free(expected);
        free(data);
    }
    fprintf(stderr, "%d rounds, %lu comparisons with scalar:", rounds, compared);
    for (size_t k = 0; ff_isa_name(k); k++)
        if (ff_kernels_get(ff_isa_name(k), &other) == FF_OK)
            fprintf(stderr, " %s", ff_isa_name(k));
    fputs("\n", stderr);
    printf("%016llx\n", (unsigned long long)hash); /* equal on every processor */
    return 0;
}
