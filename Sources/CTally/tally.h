/* Tally: training neural networks in integers. The interface for C.
 *
 * Nothing here allocates, keeps state of its own or uses floating point. The caller owns all memory:
 * `tally_plan` says how much a network needs, `tally_open` works in it until the caller takes it back.
 * Instances in different memory are independent of each other.
 *
 *     tally_setup setup = {model, MODEL_BYTES, recipe, RECIPE_BYTES, 0};
 *     tally *t;
 *     if (tally_open(&setup, memory, sizeof memory, &t, NULL) != TALLY_OK) ...
 *     memcpy(tally_input(t, 0), sensor, 64);
 *     tally_infer(t, 1);
 *     class = tally_predicted(t, 0);
 *
 * `tally export MODEL.tally --to c` writes a model and a recipe as constant arrays. Results are those
 * of SPEC.md, byte for byte, on every processor.
 */
#ifndef TALLY_H
#define TALLY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a function or a structure of this header changes its meaning. */
#define TALLY_INTERFACE_VERSION 1
/* Alignment of the memory given to tally_plan and tally_open. */
#define TALLY_MEMORY_ALIGNMENT 16
/* Least alignment of a model; of labels and targets it is 4. */
#define TALLY_MODEL_ALIGNMENT 8
/* The most that an instance takes of its memory beside what `tally plan` calls RAM. */
#define TALLY_INSTANCE_BYTES 1024
#define TALLY_DIGEST_BYTES 32

/* What a function returns. */
typedef int32_t tally_status;
#define TALLY_OK 0
/* The model is not one; code: ModelError.Code in Formats/model.md's words, place: a byte of it. */
#define TALLY_BAD_MODEL 1
/* The recipe is none for this model; code: RecipeError.Code, place: a byte of it. */
#define TALLY_BAD_RECIPE 2
/* place: the first sample whose label, target or size does not fit the model. */
#define TALLY_BAD_SAMPLES 3
/* No plan: sums would pass 32 bits (SPEC 8.3), or memory 2 GiB. code: 1 the micro-batch is too large,
   2 an input gradient sums too much, 3 memory; place: the node. */
#define TALLY_NO_PLAN 4
/* place: bytes of memory that are needed. */
#define TALLY_NO_MEMORY 5
/* A null pointer, memory or a model that is not aligned, an index out of range. */
#define TALLY_BAD_ARGUMENT 6
/* The instance was opened without a recipe, or no run has begun, or it is over. */
#define TALLY_NO_RUN 7
/* The caller's tally_write said no. The run cannot go on. */
#define TALLY_WRITE_FAILED 8

/* What is wrong, for people and logs. All 0 where nothing is. */
typedef struct {
  /* What the function returned. */
  tally_status status;
  /* What exactly, and where: the status says which codes and places there are. */
  int32_t code;
  uint32_t place;
} tally_fault;

/* What tally_describe, tally_plan and tally_open are given: a network, and what is to be done with it. All of it is read in place: it may lie in flash and must
   stay there as long as the instance is used. */
typedef struct {
  /* The bytes of a .tally file. */
  const void *model;
  uint32_t model_bytes;
  /* Canonical bytes of a recipe (Formats/recipe.md), or NULL for inference only. */
  const void *recipe;
  uint32_t recipe_bytes;
  /* Samples in one pass, 0 for 1. With a recipe: 0, the recipe's micro-batch counts. */
  uint32_t samples;
} tally_setup;

/* What a network takes and gives. An input is int8 [height, width, channels]. */
typedef struct {
  /* Of the input; a vector has height and width 1. */
  uint32_t height, width, channels;
  /* The int8 that means 0. */
  int32_t zero_point;
  /* Logits of a sample: classes, or numbers that are predicted. */
  uint32_t outputs;
  /* Operations; tally_weights and tally_biases number them from 0. */
  uint32_t nodes;
  /* SPEC 9.2: the last bytes of the model file, checked. */
  uint8_t digest[TALLY_DIGEST_BYTES];
} tally_description;

/* Bytes that a network needs. */
typedef struct {
  /* Model and recipe, where they lie. */
  uint32_t flash;
  /* What tally_open must be given. */
  uint32_t memory;
  /* Stack that the functions below use at most, measured on 32-bit processors with the library's own
     build; samples and the caller's frames not included. */
  uint32_t stack;
} tally_sizes;

/* Samples one after another, in the caller's memory. */
typedef struct {
  /* int8 [count, height, width, channels], prepared as SPEC 5.4 says. */
  const int8_t *values;
  /* A class per sample, or NULL. */
  const int32_t *labels;
  /* Q16 [count, outputs], or NULL; either labels or targets. */
  const int32_t *targets;
  /* 1 … 2^31 - 1. */
  uint32_t count;
} tally_samples;

/* Sums over samples. */
typedef struct {
  /* Q16: nats of the cross-entropy (SPEC 7.1), or mean squared errors (7.2). */
  int64_t loss;
  uint32_t samples;
  /* Samples whose predicted class is their label; 0 with targets. */
  uint32_t correct;
} tally_result;

/* What a step did: the step record of the journal (Formats/journal.md). */
typedef struct {
  /* Of its samples, before the step; Q16 as in tally_result. */
  int64_t loss;
  /* Its number, from 0. */
  uint32_t step;
  uint32_t samples;
  uint32_t correct;
  /* Activations at their upper bound; updates that were clipped. */
  uint32_t saturated;
  uint32_t clipped;
  /* 1 after the last step of the run. */
  uint32_t is_last;
} tally_step_result;

/* A network at work in the caller's memory. */
typedef struct tally tally;

/* Takes bytes, which are valid until it returns; returns 0, or anything else if it could not.
   context: what the caller gave beside the function. */
typedef int32_t (*tally_write)(void *context, const void *bytes, uint32_t count);

/* --- Open --------------------------------------------------------------------------------------
   `fault` may be NULL wherever it appears. Functions that return a status return TALLY_OK, or one of
   those named beside them; TALLY_BAD_ARGUMENT is not named again. */

/* Validates a model, with its digest, and says what it takes and gives. TALLY_BAD_MODEL. */
tally_status tally_describe(const void *model, uint32_t model_bytes, tally_description *description,
                            tally_fault *fault);

/* Says how much memory a network needs. Works in `memory`, which is free again afterwards; if there is
   too little of it: TALLY_NO_MEMORY, place: what planning needs. TALLY_BAD_MODEL, TALLY_BAD_RECIPE,
   TALLY_NO_PLAN. */
tally_status tally_plan(const tally_setup *setup, void *memory, uint32_t memory_bytes,
                        tally_sizes *sizes, tally_fault *fault);

/* Validates model and recipe and loads the network into `memory`, with the model's parameters.
   `*instance` is for the functions below; it needs no closing: give up the memory. TALLY_BAD_MODEL,
   TALLY_BAD_RECIPE, TALLY_NO_PLAN, TALLY_NO_MEMORY. */
tally_status tally_open(const tally_setup *setup, void *memory, uint32_t memory_bytes,
                        tally **instance, tally_fault *fault);

/* --- Infer ------------------------------------------------------------------------------------- */

/* Where the values of a sample go; NULL if there is no such sample in a pass. A pass overwrites it. */
int8_t *tally_input(tally *instance, uint32_t sample);

/* Runs the network on the first `samples` inputs, 1 or more; no more than a pass has. */
tally_status tally_infer(tally *instance, uint32_t samples);

/* int32 [outputs] of a sample of the last pass, NULL out of range. Valid until the next call. */
const int32_t *tally_logits(tally *instance, uint32_t sample);

/* The class with the largest logit, the lowest of equals; -1 out of range. */
int32_t tally_predicted(tally *instance, uint32_t sample);

/* Loss and right answers over samples, with the parameters as they are now; the loss is the recipe's,
   without a recipe that of labels or targets. Overwrites inputs and logits. TALLY_BAD_SAMPLES. */
tally_status tally_evaluate(tally *instance, const tally_samples *samples, tally_result *result,
                            tally_fault *fault);

/* --- Train ------------------------------------------------------------------------------------- */

/* Begins the recipe's run on samples, which must stay where they are. The parameters are taken as they
   are, so a run begins once, after tally_open.
   validation: evaluated after every epoch, or NULL.
   write: takes the journal as it is written (Formats/journal.md), or NULL: it is hashed all the same.
   TALLY_NO_RUN without a recipe, TALLY_BAD_ARGUMENT if a run has begun, TALLY_BAD_SAMPLES,
   TALLY_WRITE_FAILED. */
tally_status tally_train(tally *instance, const tally_samples *samples,
                         const tally_samples *validation, tally_write write, void *context,
                         tally_fault *fault);

/* Takes the next step of the run; after the last one TALLY_NO_RUN. `result` may be NULL.
   TALLY_WRITE_FAILED. */
tally_status tally_step(tally *instance, tally_step_result *result);

/* Steps of the run, 0 before tally_train. */
uint32_t tally_planned_steps(const tally *instance);

/* The head of the journal's chain: equal heads, equal runs (SPEC 9.4). TALLY_NO_RUN. */
tally_status tally_journal_head(const tally *instance, uint8_t digest[TALLY_DIGEST_BYTES]);

/* --- Read -------------------------------------------------------------------------------------- */

/* The digest of a model file of the parameters as they are now (SPEC 9.2). */
tally_status tally_digest(const tally *instance, uint8_t digest[TALLY_DIGEST_BYTES]);

/* The current int8 weights of a node, in the order of SPEC 5.5; count 0 for a node without. Valid as
   long as the instance; steps may change them in place. */
tally_status tally_weights(const tally *instance, uint32_t node, const int8_t **weights,
                           uint32_t *count);

/* The current int32 biases of a node; count 0 for a node without. */
tally_status tally_biases(const tally *instance, uint32_t node, const int32_t **biases,
                          uint32_t *count);

/* Gives a whole .tally file of the parameters as they are now to `write`, piece by piece.
   TALLY_WRITE_FAILED. */
tally_status tally_save(const tally *instance, tally_write write, void *context);

#ifdef __cplusplus
}
#endif

#endif
