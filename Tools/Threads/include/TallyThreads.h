// Threads that share the parts of a pass.
#ifndef TALLY_THREADS_H
#define TALLY_THREADS_H

#include <stdint.h>

#include "MicroKernels.h"

/// From now on `count` threads, the caller among them, share the parts of `tally_share`; 1 ends that.
///
/// Threads are made when they are first asked for and stay: for a while after a call they spin, then they
/// sleep. A call that comes while another one is shared runs on its own thread alone.
/// - Returns: how many there are: fewer if the system gives no more.
int32_t tally_use_threads(int32_t count);

/// How many threads share them now.
int32_t tally_threads(void);

#endif
