#define _GNU_SOURCE
#include "TallyThreads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

// Longer than the gaps between the calls of a step, much shorter than a time slice.
enum { spins = 20000 };

static _Atomic int32_t threads_in_use = 1;

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t work;
  atomic_flag is_busy;
  // Parts that nobody has taken: up to the one in the high half, from the one in the low half. Whoever is free
  // takes one, so that the caller never waits for a thread that the system does not run; it takes the first and
  // the others the last, so that a thread mostly meets what it worked on in the call before.
  _Atomic uint32_t parts;
  _Atomic int32_t unfinished, sleepers;
  // Those of the call whose parts there are: written before them, read after one was taken.
  void (*body)(void *context, int32_t part);
  void *context;
  int32_t workers;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, ATOMIC_FLAG_INIT, 0, 0, 0, NULL, NULL, 0};

static void pause_briefly(int32_t round) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
  // With fewer processors than threads, the others need this one.
  if (round % 256 == 255) sched_yield();
}

static int is_open(uint32_t parts) { return (parts & 0xffff) < parts >> 16; }

// Works on parts until none is left.
static void take_parts(int is_caller) {
  uint32_t parts = atomic_load_explicit(&pool.parts, memory_order_acquire);
  while (is_open(parts)) {
    const uint32_t rest = is_caller ? parts + 1 : parts - (1 << 16);
    if (!atomic_compare_exchange_weak_explicit(
            &pool.parts, &parts, rest, memory_order_acquire, memory_order_acquire))
      continue;
    pool.body(pool.context, (int32_t)(is_caller ? parts & 0xffff : rest >> 16));
    atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
    parts = atomic_load_explicit(&pool.parts, memory_order_acquire);
  }
}

static void await_parts(void) {
  for (int32_t round = 0; round < spins; round++) {
    if (is_open(atomic_load_explicit(&pool.parts, memory_order_relaxed))) return;
    pause_briefly(round);
  }
  pthread_mutex_lock(&pool.mutex);
  atomic_fetch_add(&pool.sleepers, 1);
  while (!is_open(atomic_load(&pool.parts))) pthread_cond_wait(&pool.work, &pool.mutex);
  atomic_fetch_sub(&pool.sleepers, 1);
  pthread_mutex_unlock(&pool.mutex);
}

static void *work(void *unused) {
  (void)unused;
  for (;;) {
    await_parts();
    take_parts(0);
  }
  return NULL;
}

static void share(int32_t parts, void (*body)(void *context, int32_t part), void *context) {
  if (atomic_flag_test_and_set_explicit(&pool.is_busy, memory_order_acquire)) {
    for (int32_t part = 0; part < parts; part++) body(context, part);
    return;
  }
  pool.body = body;
  pool.context = context;
  atomic_store_explicit(&pool.unfinished, parts, memory_order_relaxed);
  atomic_store(&pool.parts, (uint32_t)parts << 16);
  // A worker that is about to sleep has counted itself before it looks for parts for the last time.
  if (atomic_load(&pool.sleepers) > 0) {
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
  }
  take_parts(1);
  for (int32_t round = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0; round++)
    pause_briefly(round);
  atomic_flag_clear_explicit(&pool.is_busy, memory_order_release);
}

int32_t tally_use_threads(int32_t count) {
  if (count > TALLY_MOST_THREADS) count = TALLY_MOST_THREADS;
  pthread_mutex_lock(&pool.mutex);
  while (pool.workers < count - 1) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) break;
    pthread_detach(thread);
    pool.workers++;
  }
  if (count > pool.workers + 1) count = pool.workers + 1;
  pthread_mutex_unlock(&pool.mutex);
  if (count < 1) count = 1;
  tally_set_parallel(count > 1 ? share : NULL);
  atomic_store(&threads_in_use, count);
  return count;
}

int32_t tally_threads(void) { return atomic_load(&threads_in_use); }
