// Trains a model as tally export wrote it (model.h, model.c beside this file) on what the board reads.
#include <tally.h>

#include "model.h"

alignas(TALLY_MEMORY_ALIGNMENT) static uint8_t memory[MODEL_TRAINING_BYTES];
static const uint32_t count = 16;
static int8_t values[count * MODEL_INPUTS];
static int32_t labels[count];
static tally *network;

static void stop(const char *what, const tally_fault &fault) {
  Serial.print(what);
  Serial.print(": status ");
  Serial.print(fault.status);
  Serial.print(", code ");
  Serial.print(fault.code);
  Serial.print(", place ");
  Serial.println(fault.place);
  for (;;) {}
}

void setup() {
  Serial.begin(115200);
  // Fill values and labels from a sensor here; inputs are prepared as SPEC 5.4 says.
  tally_setup setup = {model, MODEL_BYTES, model_recipe, MODEL_RECIPE_BYTES, 0};
  tally_samples samples = {values, labels, NULL, count};
  tally_fault fault;
  if (tally_open(&setup, memory, sizeof memory, &network, &fault) != TALLY_OK) stop("open", fault);
  if (tally_train(network, &samples, NULL, NULL, NULL, &fault) != TALLY_OK) stop("train", fault);
}

void loop() {
  tally_step_result step;
  if (tally_step(network, &step) != TALLY_OK) return;
  Serial.print("step ");
  Serial.print(step.step);
  Serial.print(": right ");
  Serial.print(step.correct);
  Serial.print(" of ");
  Serial.println(step.samples);
}
