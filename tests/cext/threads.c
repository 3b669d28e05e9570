/* Eight threads pack faces of one frame at once, and each checks its result: for ThreadSanitizer,
 * see threads.sh. */
#include "ff.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, ROUNDS = 100, FACES = 8, SIZE = 48, WIDTH = 400, HEIGHT = 300 };

static uint8_t pixels[HEIGHT * WIDTH * 3];
static const struct ff_frame frame = {pixels, HEIGHT, WIDTH, WIDTH * 3, 3};
static double xywh[4 * FACES];
static int32_t rotations[2 * FACES];
static float want[2][FACES * SIZE * SIZE];

static void pack(int turned, float *out)
{
    const struct ff_kernels *kernels;
    struct ff_box boxes[FACES];
    size_t bad, bytes;
    enum ff_status status = ff_kernels_get(NULL, &kernels);
    if (status == FF_OK)
        status = ff_boxes_round(xywh, FACES, &frame, boxes, &bad);
    if (status == FF_OK)
        status = turned ? ff_rotate_workspace(&frame, boxes, FACES, SIZE, &bytes)
                        : ff_pack_workspace(&frame, boxes, FACES, SIZE, &bytes);
    void *const workspace = status == FF_OK ? malloc(bytes) : NULL;
    if (!workspace)
        exit(2);
    if (turned)
        status = ff_rotate_faces(kernels, &frame, boxes, rotations, FACES, SIZE, 1 / 255.0, 0,
                                 workspace, out);
    else
        status = ff_pack_faces(kernels, &frame, boxes, FACES, SIZE, 1 / 255.0, 0, workspace, out);
    free(workspace);
    if (status != FF_OK)
        exit(2);
}

static void *work(void *number)
{
    static _Thread_local float out[FACES * SIZE * SIZE];
    const int turned = *(const int *)number & 1;
    for (int i = 0; i < ROUNDS; i++) {
        pack(turned, out);
        if (memcmp(out, want[turned], sizeof out) != 0)
            exit(3);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 31 + (i >> 8));
    for (int i = 0; i < FACES; i++) {
        const double box[4] = {10 * i - 20, 7 * i, 30 + 20 * i, 40 + 9 * i};
        memcpy(xywh + 4 * i, box, sizeof box);
        rotations[2 * i] = 56756; /* 30 degrees */
        rotations[2 * i + 1] = 32768;
    }
    pack(0, want[0]);
    pack(1, want[1]);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(threads + i, NULL, work, numbers + i) != 0)
            return 2;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%d calls in %d threads agree\n", THREADS * ROUNDS, THREADS);
    return 0;
}
