/* The portable kernels as ARM64 runs them (NEON), against plain sums. Whole numbers, so that every order of a sum gives the
 * same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

extern long panel_width(long left);
extern long scratch_count(void);
extern void multiply(long rows, long taps, long channels, long columns, const float *const *pointers, const float *weights,
                     const float *bias, float *output, float *scratch);
extern void exponentials(const float *x, float *output, long count);
extern float sum_of_row(const float *x, long count);

static unsigned state = 1;
static float number(void) {
  state = state * 1664525u + 1013904223u;
  return (float)((int)(state >> 24) - 128);
}

static int multiplies(long rows, long taps, long channels, long columns) {
  enum { overrun = 3 };
  const long depth = taps * channels;
  float *a = malloc(sizeof(float) * rows * depth), *w = malloc(sizeof(float) * depth * columns);
  float *bias = malloc(sizeof(float) * columns), *output = malloc(sizeof(float) * rows * columns);
  float *packed = calloc(depth * (columns + 16), sizeof(float)), *scratch = malloc(sizeof(float) * scratch_count());
  const float **pointers = malloc(sizeof *pointers * taps * (rows + overrun));
  for (long i = 0; i < rows * depth; i++) a[i] = number();
  for (long i = 0; i < depth * columns; i++) w[i] = number();
  for (long i = 0; i < columns; i++) bias[i] = number();
  for (long t = 0; t < taps; t++)
    for (long r = 0; r < rows + overrun; r++)
      pointers[t * (rows + overrun) + r] = a + (r < rows ? r : rows - 1) * depth + t * channels;
  for (long first = 0, width; first < columns; first += width) {
    width = panel_width(columns - first);
    for (long k = 0; k < depth; k++)
      for (long n = 0; n < width && first + n < columns; n++)
        packed[depth * first + k * width + n] = w[k * columns + first + n];
  }
  multiply(rows, taps, channels, columns, pointers, packed, bias, output, scratch);
  int wrong = 0;
  for (long r = 0; r < rows; r++)
    for (long n = 0; n < columns; n++) {
      float sum = bias[n];
      for (long k = 0; k < depth; k++) sum += a[r * depth + k] * w[k * columns + n];
      wrong += output[r * columns + n] != sum;
    }
  if (wrong) printf("%ld rows, %ld taps, %ld channels, %ld columns: %d wrong\n", rows, taps, channels, columns, wrong);
  free(a), free(w), free(bias), free(output), free(packed), free(scratch), free(pointers);
  return wrong;
}

int main(void) {
  int wrong = 0, products = 0;
  for (long rows = 1; rows <= 26; rows++)
    for (long columns = 1; columns <= 19; columns += 3, products++)
      wrong += multiplies(rows, 1 + rows % 4, 5, columns);
  float x[101], y[101], sum = 0;
  for (int i = 0; i < 101; i++) x[i] = (float)(i - 50) / 2, sum += x[i];
  exponentials(x, y, 101);
  for (int i = 0; i < 101; i++) wrong += !(fabs(y[i] / exp((double)x[i]) - 1) < 5e-7);
  wrong += sum_of_row(x, 101) != sum;
  printf("%d products of matrices, 101 exponentials, a sum: %d wrong\n", products, wrong);
  return wrong != 0;
}
