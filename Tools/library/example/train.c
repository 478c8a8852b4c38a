// A C program that trains: opens a model, evaluates, takes every step of a recipe's run, evaluates again.
//
// model.h and model.c are written by `tally export MODEL.tally --to c --recipe RECIPE.json -o FOLDER`. The
// samples are made by a rule, so that the program needs no files; a device would read its sensor.
#include "train.h"

#include <stddef.h>

#include "model.h"
#include "tally.h"

enum { training_count = 48, validation_count = 16, sample_count = training_count + validation_count };

// All the memory there is: the network, its training, and the samples.
static _Alignas(TALLY_MEMORY_ALIGNMENT) uint8_t memory[MODEL_TRAINING_BYTES];
static int8_t values[sample_count * MODEL_INPUTS];
static int32_t labels[sample_count];

// Two rounds of a multiplicative hash.
static uint32_t mixed(uint32_t a, uint32_t b) {
  uint32_t x = (a * 0x10000u + b) * 0x9E3779B1u;
  x = (x ^ x >> 15) * 0x85EBCA6Bu;
  x = (x ^ x >> 13) * 0xC2B2AE35u;
  return x ^ x >> 16;
}

// Each class has its own pattern of bright and dark inputs; every sample flips and shades it a little.
static void make_samples(void) {
  for (uint32_t sample = 0; sample < sample_count; sample++) {
    const uint32_t label = sample % MODEL_OUTPUTS;
    for (uint32_t index = 0; index < MODEL_INPUTS; index++) {
      const uint32_t noise = mixed(1000 + sample, index);
      const int is_bright = (mixed(label, index) % 3 == 0) != (noise % 16 == 0);
      const int shade = (int)(noise / 16 % 64) - 32;
      values[sample * MODEL_INPUTS + index] = (int8_t)((is_bright ? 80 : -90) + shade);
    }
    labels[sample] = (int32_t)label;
  }
}

static void put_number(const char *name, int64_t number) {
  char digits[24];
  size_t at = sizeof digits;
  uint64_t rest = number < 0 ? (uint64_t)-number : (uint64_t)number;
  digits[--at] = 0;
  do digits[--at] = (char)('0' + rest % 10); while ((rest /= 10) != 0);
  put(name);
  put(number < 0 ? " -" : " ");
  put(digits + at);
  put("\n");
}

static void put_digest(const char *name, const uint8_t digest[TALLY_DIGEST_BYTES]) {
  char text[2 * TALLY_DIGEST_BYTES + 1];
  for (int index = 0; index < 2 * TALLY_DIGEST_BYTES; index++)
    text[index] = "0123456789abcdef"[digest[index / 2] >> (index % 2 ? 0 : 4) & 15];
  text[2 * TALLY_DIGEST_BYTES] = 0;
  put(name);
  put(" ");
  put(text);
  put("\n");
}

static int32_t failed(const tally_fault *fault) {
  put_number("error status", fault->status);
  put_number("error code", fault->code);
  put_number("error place", fault->place);
  return 3;
}

int32_t train(void) {
  const tally_setup setup = {model, MODEL_BYTES, model_recipe, MODEL_RECIPE_BYTES, 0};
  const tally_samples training = {values, labels, NULL, training_count};
  const tally_samples validation = {
      values + training_count * MODEL_INPUTS, labels + training_count, NULL, validation_count};
  tally_fault fault;
  tally_sizes sizes;
  tally_result result;
  tally_step_result step = {0};
  uint8_t digest[TALLY_DIGEST_BYTES];
  tally *network;

  make_samples();
  if (tally_plan(&setup, memory, sizeof memory, &sizes, &fault) != TALLY_OK) return failed(&fault);
  put_number("memory", sizes.memory);
  if (tally_open(&setup, memory, sizeof memory, &network, &fault) != TALLY_OK) return failed(&fault);
  if (tally_evaluate(network, &validation, &result, &fault) != TALLY_OK) return failed(&fault);
  put_number("correct before", result.correct);
  if (tally_train(network, &training, &validation, NULL, NULL, &fault) != TALLY_OK)
    return failed(&fault);
  while (!step.is_last)
    if (tally_step(network, &step) != TALLY_OK) return 4;
  if (tally_evaluate(network, &validation, &result, &fault) != TALLY_OK) return failed(&fault);
  put_number("correct after", result.correct);
  tally_digest(network, digest);
  put_digest("model", digest);
  tally_journal_head(network, digest);
  put_digest("digest", digest);
  return 0;
}
