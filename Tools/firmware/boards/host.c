// The machine that builds: the same application as a process, with a thread whose stack is painted.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

enum { memory_bytes = 1 << 20, stack_bytes = 1 << 20, paint = 0xC5 };

int32_t firmware_main(void);

static uint8_t memory[memory_bytes] __attribute__((aligned(64)));
static uint8_t stack[stack_bytes] __attribute__((aligned(4096)));

void board_write(uint8_t character) { putchar(character); }
uint8_t *board_memory(void) { return memory; }
uint32_t board_memory_bytes(void) { return memory_bytes; }
uint32_t board_static_bytes(void) { return 0; }
uint32_t board_stack_limit(void) { return stack_bytes; }
uint32_t board_stack_bytes(void) {
  size_t untouched = 0;
  while (untouched < stack_bytes && stack[untouched] == paint) untouched++;
  return (uint32_t)(stack_bytes - untouched);
}

static void *run(void *status) {
  *(int32_t *)status = firmware_main();
  return NULL;
}

int main(void) {
  int32_t status = 5;
  pthread_t thread;
  pthread_attr_t attributes;
  memset(stack, paint, stack_bytes);
  if (pthread_attr_init(&attributes) || pthread_attr_setstack(&attributes, stack, stack_bytes) ||
      pthread_create(&thread, &attributes, run, &status) || pthread_join(thread, NULL))
    return 5;
  return status;
}
