#define _GNU_SOURCE
#include "TallyThreads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#include "MicroKernels.h"

// Longer than the gaps between the calls of a step, much shorter than a time slice.
enum { spins = 20000 };

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t work;
  atomic_flag is_busy;
  // Counts up with every shared call; the number of its parts is in the low byte, so that one word tells a
  // worker whether the call is its business. Who has no part reads nothing else.
  _Atomic uint32_t turn;
  _Atomic int32_t unfinished, sleepers;
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

static uint32_t next_turn(uint32_t seen) {
  for (int32_t round = 0; round < spins; round++) {
    const uint32_t turn = atomic_load_explicit(&pool.turn, memory_order_acquire);
    if (turn != seen) return turn;
    pause_briefly(round);
  }
  pthread_mutex_lock(&pool.mutex);
  atomic_fetch_add(&pool.sleepers, 1);
  while (atomic_load(&pool.turn) == seen) pthread_cond_wait(&pool.work, &pool.mutex);
  atomic_fetch_sub(&pool.sleepers, 1);
  pthread_mutex_unlock(&pool.mutex);
  return atomic_load_explicit(&pool.turn, memory_order_acquire);
}

static void *work(void *number) {
  const int32_t part = (int32_t)(intptr_t)number;
  uint32_t seen = 0;
  for (;;) {
    seen = next_turn(seen);
    if (part >= (int32_t)(seen & 0xff)) continue;
    pool.body(pool.context, part);
    atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
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
  atomic_store_explicit(&pool.unfinished, parts - 1, memory_order_relaxed);
  const uint32_t turn = atomic_load_explicit(&pool.turn, memory_order_relaxed);
  atomic_store(&pool.turn, ((turn >> 8) + 1) << 8 | (uint32_t)parts);
  // A worker that is about to sleep has counted itself before it looks at the turn for the last time.
  if (atomic_load(&pool.sleepers) > 0) {
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
  }
  body(context, 0);
  for (int32_t round = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0; round++)
    pause_briefly(round);
  atomic_flag_clear_explicit(&pool.is_busy, memory_order_release);
}

int32_t tally_use_threads(int32_t count) {
  if (count > TALLY_MOST_THREADS) count = TALLY_MOST_THREADS;
  pthread_mutex_lock(&pool.mutex);
  while (pool.workers < count - 1) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)(intptr_t)(pool.workers + 1)) != 0) break;
    pthread_detach(thread);
    pool.workers++;
  }
  if (count > pool.workers + 1) count = pool.workers + 1;
  pthread_mutex_unlock(&pool.mutex);
  if (count < 1) count = 1;
  tally_set_parallel(count > 1 ? share : NULL, count);
  return count;
}
