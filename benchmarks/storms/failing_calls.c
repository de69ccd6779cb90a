/* Counts the calls that write below one folder, and lets one of them fail, or kills the process there.
   Load it with LD_PRELOAD; the process itself says when: arm_fault(folder, at, error, action, lasts). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { FAIL = 0, HALF = 1, KILL_BEFORE = 2, KILL_HALF = 3, KILL_AFTER = 4 };

static char folder[PATH_MAX];
static size_t folder_length = 0;
static volatile long calls = 0;
static long fault_at = -1;
static int fault_error = 0, fault_action = 0, fault_lasts = 0;

void arm_fault(const char *below, long at, int error, int action, int lasts) {
  strncpy(folder, below, sizeof folder - 1);
  fault_at = at, fault_error = error, fault_action = action, fault_lasts = lasts, calls = 0;
  folder_length = strlen(folder);
}
void disarm_fault(void) { folder_length = 0; }
long count_calls(void) { return calls; }

static int is_below(const char *path) {
  if (!folder_length || !path) return 0;
  if (path[0] == '/') return strncmp(path, folder, folder_length) == 0;
  char here[PATH_MAX];
  return getcwd(here, sizeof here) && strncmp(here, folder, folder_length) == 0;
}
static int is_file_below(int descriptor) {
  if (!folder_length) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, folder, folder_length) == 0;
}
/* Say what this call has to do: -1 is to go on. */
static int next_action(void) {
  long number = __sync_fetch_and_add(&calls, 1);
  if (number == fault_at) return fault_action;
  if (fault_at >= 0 && number > fault_at && fault_lasts && fault_action <= HALF) return FAIL;
  return -1;
}
static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

#define REAL(type, name) static __typeof__(type) real; if (!real) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define GUARD(below, call)                                              \
  if (!(below)) return call;                                            \
  int action = next_action();                                           \
  if (action == KILL_BEFORE || action == KILL_HALF) die();              \
  if (action == FAIL || action == HALF) { errno = fault_error; return -1; } \
  if (action == KILL_AFTER) { (void)!call; die(); }                     \
  return call;

#define GUARD_WRITE(descriptor, whole, half)                            \
  if (!is_file_below(descriptor)) return whole;                         \
  int action = next_action();                                           \
  if (action == KILL_BEFORE) die();                                     \
  if (action == KILL_HALF) { (void)!half; die(); }                      \
  if (action == KILL_AFTER) { (void)!whole; die(); }                    \
  if (action == HALF) return half;                                      \
  if (action == FAIL) { errno = fault_error; return -1; }               \
  return whole;

#define OPENER(name)                                                    \
  int name(const char *path, int flags, ...) {                          \
    REAL(int (*)(const char *, int, ...), #name);                       \
    mode_t mode = 0;                                                    \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    GUARD((flags & (O_WRONLY | O_RDWR | O_CREAT)) && is_below(path), real(path, flags, mode)) \
  }
OPENER(open)
OPENER(open64)
#define OPENER_AT(name)                                                 \
  int name(int at, const char *path, int flags, ...) {                  \
    REAL(int (*)(int, const char *, int, ...), #name);                  \
    mode_t mode = 0;                                                    \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    GUARD((flags & (O_WRONLY | O_RDWR | O_CREAT)) && is_below(path), real(at, path, flags, mode)) \
  }
OPENER_AT(openat)
OPENER_AT(openat64)

ssize_t write(int descriptor, const void *data, size_t n) {
  REAL(ssize_t (*)(int, const void *, size_t), "write");
  GUARD_WRITE(descriptor, real(descriptor, data, n), real(descriptor, data, n / 2 ? n / 2 : n))
}
ssize_t pwrite(int descriptor, const void *data, size_t n, off_t at) {
  REAL(ssize_t (*)(int, const void *, size_t, off_t), "pwrite");
  GUARD_WRITE(descriptor, real(descriptor, data, n, at), real(descriptor, data, n / 2 ? n / 2 : n, at))
}
ssize_t pwrite64(int descriptor, const void *data, size_t n, off64_t at) {
  REAL(ssize_t (*)(int, const void *, size_t, off64_t), "pwrite64");
  GUARD_WRITE(descriptor, real(descriptor, data, n, at), real(descriptor, data, n / 2 ? n / 2 : n, at))
}
ssize_t writev(int descriptor, const struct iovec *parts, int n) {
  REAL(ssize_t (*)(int, const struct iovec *, int), "writev");
  GUARD_WRITE(descriptor, real(descriptor, parts, n), real(descriptor, parts, n > 1 ? n / 2 : n))
}
#define ON_FILE(name)                                                   \
  int name(int descriptor) {                                            \
    REAL(int (*)(int), #name);                                          \
    GUARD(is_file_below(descriptor), real(descriptor))                  \
  }
ON_FILE(fsync)
ON_FILE(fdatasync)
#define ON_PATHS(name)                                                  \
  int name(const char *from, const char *to) {                          \
    REAL(int (*)(const char *, const char *), #name);                   \
    GUARD(is_below(to), real(from, to))                                 \
  }
ON_PATHS(rename)
ON_PATHS(link)
int mkdir(const char *path, mode_t mode) {
  REAL(int (*)(const char *, mode_t), "mkdir");
  GUARD(is_below(path), real(path, mode))
}
