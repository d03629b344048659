#define _GNU_SOURCE
#include "include/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct nl_thread this_thread;

struct nl_thread *nl_this_thread(void) { return &this_thread; }

int nl_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);  // more than 1,024 processors do not fit the set
    return online > 0 ? (int)online : 1;
}

void nl_name_thread(const char *name) {
    char kept[16] = {0};
    for (int i = 0; i < 15 && name[i]; i++) kept[i] = name[i];
    pthread_setname_np(pthread_self(), kept);
}

// On Linux PRIO_PROCESS with a thread's id means that thread alone.
int nl_lower_thread_priority(int by) {
    id_t thread = (id_t)syscall(SYS_gettid);
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, thread);
    if (errno != 0) return errno;
    return setpriority(PRIO_PROCESS, thread, nice + by) == 0 ? 0 : errno;
}
