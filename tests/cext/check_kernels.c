/* Runs every instruction set that this build and this processor have over random frames and boxes,
 * compares the bytes with those of the scalar kernels, and prints a hash of these. No Python: this
 * is how kernels are checked where the package itself cannot be built, for instance NEON under an
 * emulator (tests/cext/check_neon.sh). */
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

/* Packs the boxes with one table, turned if turns is given. The caller frees the result. */
static float *pack(const struct ff_kernels *kernels, const struct ff_frame *frame,
                   const struct ff_box *boxes, const int32_t *turns, size_t n, size_t size)
{
    size_t bytes = 0;
    float *const out = need(n * size * size * sizeof *out);
    enum ff_status status = turns ? ff_turn_workspace(frame, boxes, n, size, &bytes)
                                  : ff_pack_workspace(frame, boxes, n, size, &bytes);
    if (status != FF_OK)
        exit(2);
    void *const workspace = need(bytes);
    if (turns)
        status = ff_turn_faces(kernels, frame, boxes, turns, n, size, 1 / 255.0, -0.25, workspace,
                               out);
    else
        status = ff_pack_faces(kernels, frame, boxes, n, size, 1 / 255.0, -0.25, workspace, out);
    if (status != FF_OK)
        exit(2);
    free(workspace);
    return out;
}

/* Sets a cosine and a sine, in 1/65536, of some angle; whole quarters now and then. */
static void some_turn(int32_t *turn)
{
    const double t = uniform(-1, 1), scale = 65536 / (1 + t * t); /* of half the angle's tangent */
    const int quarter = next() % 6 == 0;
    turn[0] = quarter ? 0 : (int32_t)((1 - t * t) * scale);
    turn[1] = quarter ? 65536 : (int32_t)(2 * t * scale);
    if (next() & 1)
        turn[0] = -turn[0];
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 500;
    const struct ff_kernels *scalar, *other;
    unsigned long compared = 0;
    uint64_t hash = 14695981039346656037u; /* FNV-1a of all that the scalar kernels gave */
    if (ff_kernels_get("scalar", &scalar) != FF_OK)
        return 2;
    for (int round = 0; round < rounds; round++) {
        enum { FACES = 3 };
        const size_t width = 1 + next() % 300, height = 1 + next() % 300;
        const size_t channels = next() & 1 ? 3 : 1, gap = next() % 5;
        const size_t any = FF_MIN_SIZE + next() % (FF_MAX_SIZE - FF_MIN_SIZE + 1);
        const size_t size = next() % 3 ? 48 : any;
        const size_t stride = width * channels + gap;
        /* Exactly as long as the last pixel needs, so that a sanitizer sees a read too far. */
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
            some_turn(angles + 2 * i);
        const int32_t *const turns = round % 2 ? angles : NULL;
        float *const expected = pack(scalar, &frame, boxes, turns, FACES, size);
        for (size_t i = 0; i < FACES * size * size; i++) {
            uint32_t bits;
            memcpy(&bits, &expected[i], sizeof bits);
            hash = (hash ^ bits) * 1099511628211u;
        }
        for (size_t k = 0; ff_isa_name(k); k++) {
            if (ff_kernels_get(ff_isa_name(k), &other) != FF_OK || other == scalar)
                continue;
            float *const got = pack(other, &frame, boxes, turns, FACES, size);
            if (memcmp(got, expected, FACES * size * size * sizeof *got) != 0) {
                printf("%s differs from scalar in round %d: %zu x %zu x %zu, size %zu\n",
                       ff_kernels_name(other), round, height, width, channels, size);
                return 1;
            }
            free(got);
            compared++;
        }
        free(expected);
        free(data);
    }
    fprintf(stderr, "%d rounds, %lu comparisons with scalar:", rounds, compared);
    for (size_t k = 0; ff_isa_name(k); k++)
        if (ff_kernels_get(ff_isa_name(k), &other) == FF_OK)
            fprintf(stderr, " %s", ff_isa_name(k));
    fputs("\n", stderr);
    printf("%016llx\n", (unsigned long long)hash); /* the same on every processor */
    return 0;
}
