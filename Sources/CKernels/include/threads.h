// What the worker pool needs from the system and Swift's Glibc module does not import.
#ifndef NL_THREADS_H
#define NL_THREADS_H

#include <stdbool.h>

/// What a compute thread knows about itself.
struct nl_thread {
    /// The pool its parallel sections run on (unretained); null: the default one.
    void *_Nullable pool;
    /// Inside a parallel section, where further sections run serially.
    bool is_inside;
};

/// The calling thread's own record, zeroed at first.
struct nl_thread *_Nonnull nl_this_thread(void);

/// Processors this process may run on: `taskset` and cpusets count.
int nl_processor_count(void);

/// Names the calling thread (at most 15 bytes are kept).
void nl_name_thread(const char *_Nonnull name);

/// Adds to the calling thread's nice value (19 at most): a lower priority, which needs no permission.
/// Returns 0, or errno.
int nl_lower_thread_priority(int by);

/// Asks for the first two cache lines of each page of an array that will soon be read from end to end: the processor
/// follows a run of lines by itself, but not from one page into the next.
static inline void nl_prefetch_pages(const void *_Nonnull start, long bytes) {
    for (long page = 0; page < bytes; page += 4096) {
        __builtin_prefetch((const char *)start + page, 0, 2);
        __builtin_prefetch((const char *)start + page + 64, 0, 2);
    }
}

/// Tells the processor that this is a waiting loop.
static inline void nl_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
