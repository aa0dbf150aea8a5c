/* Owns the edge between a process and the system, preloaded: file calls that fail, stop short, stop or kill, and a shifted clock.
 *
 * What is to happen stands in a small file that the process and the test share in memory (FAULTS_FILE); `struct edge`
 * here and `_Edge` in __init__.py are one layout. Calls go straight to the kernel, so no call passes here twice. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#undef open
#undef open64
#undef openat
#undef openat64
#undef pwrite
#undef pwrite64
#undef ftruncate
#undef ftruncate64

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, RENAME = 16, LINK = 32, TRUNCATE = 64, UNLINK = 128 };
enum { COUNT, FAIL, SHORTEN, KILL_BEFORE, KILL_AFTER, STOP_AFTER };
enum { LOGGED = 8192, TEXT = 256 };

struct edge {
    int64_t clock_offset_ns;
    uint32_t operations; /* 0: nothing is looked at */
    uint32_t action;
    int32_t error;
    int32_t pid;    /* 0: every process */
    int64_t kept;   /* bytes that a short write takes; below 0: all but so many */
    uint64_t first; /* the call that is hit, from 1 */
    uint64_t times; /* how many calls in a row are hit; 0: until the test takes the plan back */
    uint64_t seen;
    uint64_t hit;
    uint64_t lazy; /* bringing data to the disk is answered and not done */
    char text[TEXT];      /* what a path must contain */
    uint8_t log[LOGGED];  /* the operation of each call seen */
};

static struct edge *edge;

__attribute__((constructor)) static void join_edge(void) {
    const char *path = getenv("FAULTS_FILE");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof(struct edge), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (shared != MAP_FAILED) edge = shared;
}

/* Until somebody sends SIGCONT. */
static void stop(void) {
    int saved = errno;
    syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
    errno = saved;
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

/* What this call is to suffer. */
static uint32_t meet(uint32_t operation, const char *path) {
    uint32_t operations = edge ? __atomic_load_n(&edge->operations, __ATOMIC_ACQUIRE) : 0;
    if (!(operations & operation) || !strstr(path, edge->text)) return COUNT;
    if (edge->pid && edge->pid != (int32_t)syscall(SYS_getpid)) return COUNT;
    uint64_t number = __atomic_add_fetch(&edge->seen, 1, __ATOMIC_SEQ_CST);
    if (number <= LOGGED) edge->log[number - 1] = (uint8_t)operation;
    if (edge->action == COUNT || number < edge->first) return COUNT;
    if (edge->times && number >= edge->first + edge->times) return COUNT;
    __atomic_add_fetch(&edge->hit, 1, __ATOMIC_SEQ_CST);
    if (edge->action == KILL_BEFORE) die();
    /* Of a row of hit writes the first is short, and the others fail. */
    if (edge->action == SHORTEN && (operation != WRITE || number > edge->first)) return FAIL;
    return edge->action;
}

static uint32_t meet_descriptor(uint32_t operation, int fd) {
    char link[32], path[4096];
    if (!edge || !(__atomic_load_n(&edge->operations, __ATOMIC_ACQUIRE) & operation)) return COUNT;
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = saved;
    if (size < 0) return COUNT;
    path[size] = 0;
    return meet(operation, path);
}

static long refused(void) {
    errno = edge->error;
    return -1;
}

#define THROUGH(fate, call)               \
    do {                                  \
        uint32_t suffered = (fate);       \
        if (suffered == FAIL)             \
            return refused();             \
        long result = (call);             \
        if (suffered == KILL_AFTER)       \
            die();                        \
        if (suffered == STOP_AFTER)       \
            stop();                       \
        return result;                    \
    } while (0)

/* --- opening ---------------------------------------------------------------------------------------------------- */

static int opened(int folder, const char *path, int flags, mode_t mode) {
    uint32_t operation = (flags & (O_ACCMODE | O_CREAT)) ? OPEN : READ;
    THROUGH(meet(operation, path), syscall(SYS_openat, folder, path, flags, mode));
}

#define HAS_MODE(flags) (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE)
#define OPENER(name)                                      \
    int name(const char *path, int flags, ...) {          \
        va_list more;                                     \
        va_start(more, flags);                            \
        mode_t mode = HAS_MODE(flags) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                     \
        return opened(AT_FDCWD, path, flags, mode);       \
    }
#define OPENER_AT(name)                                   \
    int name(int folder, const char *path, int flags, ...) { \
        va_list more;                                     \
        va_start(more, flags);                            \
        mode_t mode = HAS_MODE(flags) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                     \
        return opened(folder, path, flags, mode);         \
    }

OPENER(open)
OPENER(open64)
OPENER_AT(openat)
OPENER_AT(openat64)

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* The bytes that a write may take: all of them unless this one is to stop short. */
static size_t allowed(uint32_t fate, size_t size) {
    if (fate != SHORTEN) return size;
    int64_t kept = edge->kept < 0 ? (int64_t)size + edge->kept : edge->kept;
    if (kept < 1) kept = 1;
    return (size_t)kept < size ? (size_t)kept : size;
}

ssize_t write(int fd, const void *data, size_t size) {
    uint32_t fate = meet_descriptor(WRITE, fd);
    THROUGH(fate, syscall(SYS_write, fd, data, allowed(fate, size)));
}

static ssize_t written_at(int fd, const void *data, size_t size, int64_t offset) {
    uint32_t fate = meet_descriptor(WRITE, fd);
    THROUGH(fate, syscall(SYS_pwrite64, fd, data, allowed(fate, size), offset));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return written_at(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return written_at(fd, data, size, offset); }

static int truncated(int fd, int64_t size) {
    THROUGH(meet_descriptor(TRUNCATE, fd), syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

/* Nobody here loses power, and a disk that is waited for thousands of times is slow. */
static long sync_unless_lazy(long number, int fd) { return edge && edge->lazy ? 0 : syscall(number, fd); }

int fsync(int fd) { THROUGH(meet_descriptor(SYNC, fd), sync_unless_lazy(SYS_fsync, fd)); }
int fdatasync(int fd) { THROUGH(meet_descriptor(SYNC, fd), sync_unless_lazy(SYS_fdatasync, fd)); }

/* --- names ------------------------------------------------------------------------------------------------------ */

int rename(const char *from, const char *to) {
    THROUGH(meet(RENAME, from), syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int link(const char *from, const char *to) {
    THROUGH(meet(LINK, to), syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    THROUGH(meet(LINK, to), syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}

int unlink(const char *path) { THROUGH(meet(UNLINK, path), syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }

/* --- the clock -------------------------------------------------------------------------------------------------- */

static void shift(struct timespec *moment) {
    int64_t offset = edge ? __atomic_load_n(&edge->clock_offset_ns, __ATOMIC_RELAXED) : 0;
    int64_t rest = (int64_t)moment->tv_nsec + offset % 1000000000;
    moment->tv_sec += (time_t)(offset / 1000000000);
    if (rest < 0) rest += 1000000000, moment->tv_sec -= 1;
    if (rest >= 1000000000) rest -= 1000000000, moment->tv_sec += 1;
    moment->tv_nsec = (long)rest;
}

int clock_gettime(clockid_t clock, struct timespec *moment) {
    int result = (int)syscall(SYS_clock_gettime, clock, moment);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift(moment);
    return result;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    struct timespec now = {0, 0};
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    moment->tv_sec = now.tv_sec;
    moment->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
