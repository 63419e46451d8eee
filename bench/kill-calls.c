// Loaded before the C library: counts the calls that change what lies below the folder KILL_BELOW, in all threads of the
// process, and kills it just before the one of number KILL_AT. Where KILL_TORN is set, that call, if it writes, still
// writes the first half. Each call counted is noted in the file KILL_LOG.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FDS 4096

static atomic_int calls;
static atomic_uchar below[MAX_FDS];
static const char *folder;
static size_t folder_length;
static int kill_at, torn, log_fd = -1;

__attribute__((constructor)) static void begin(void) {
  folder = getenv("KILL_BELOW");
  folder_length = folder ? strlen(folder) : 0;
  const char *at = getenv("KILL_AT");
  kill_at = at ? atoi(at) : 0;
  torn = getenv("KILL_TORN") != NULL;
  const char *log = getenv("KILL_LOG");
  if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_below(const char *path) {
  return folder && path && strncmp(path, folder, folder_length) == 0;
}

static int fd_below(int fd) {
  return fd >= 0 && fd < MAX_FDS && atomic_load(&below[fd]);
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

// Whether this is the call to die at; it does not return where nothing can be torn.
static int counted(const char *name, const char *path, int can_tear) {
  int nth = atomic_fetch_add(&calls, 1) + 1;
  if (log_fd >= 0) {
    char line[512];
    int length = snprintf(line, sizeof line, "%d %s %s\n", nth, name, path ? path : "");
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    syscall(SYS_write, log_fd, line, length);
  }
  if (nth != kill_at) return 0;
  if (!can_tear || !torn) die();
  return 1;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int opened(int fd, const char *path) {
  if (fd >= 0 && fd < MAX_FDS) atomic_store(&below[fd], is_below(path));
  return fd;
}

#define OPENS (O_CREAT | O_TRUNC)

#define OPEN(symbol) \
  int symbol(const char *path, int flags, ...) { \
    REAL(int, #symbol, const char *, int, ...); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); \
    if ((flags & OPENS) && is_below(path)) counted("open", path, 0); \
    return opened(real(path, flags, mode), path); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
  int symbol(int at, const char *path, int flags, ...) { \
    REAL(int, #symbol, int, const char *, int, ...); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); \
    if ((flags & OPENS) && is_below(path)) counted("open", path, 0); \
    return opened(real(at, path, flags, mode), path); \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(ssize_t, "write", int, const void *, size_t);
  if (fd_below(fd) && counted("write", "", 1)) {
    real(fd, bytes, count / 2);
    die();
  }
  return real(fd, bytes, count);
}

#define PWRITE(symbol, offset_type) \
  ssize_t symbol(int fd, const void *bytes, size_t count, offset_type at) { \
    REAL(ssize_t, #symbol, int, const void *, size_t, offset_type); \
    if (fd_below(fd) && counted("write", "", 1)) { \
      real(fd, bytes, count / 2, at); \
      die(); \
    } \
    return real(fd, bytes, count, at); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

// Half of the pieces, and half of the first where there is one only.
static struct iovec half(const struct iovec *pieces, int *count) {
  struct iovec first = pieces[0];
  if (*count == 1) first.iov_len /= 2;
  else *count /= 2;
  return first;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  if (fd_below(fd) && counted("write", "", 1)) {
    struct iovec first = half(pieces, &count);
    real(fd, count == 1 ? &first : pieces, count);
    die();
  }
  return real(fd, pieces, count);
}

#define PWRITEV(symbol, offset_type) \
  ssize_t symbol(int fd, const struct iovec *pieces, int count, offset_type at) { \
    REAL(ssize_t, #symbol, int, const struct iovec *, int, offset_type); \
    if (fd_below(fd) && counted("write", "", 1)) { \
      struct iovec first = half(pieces, &count); \
      real(fd, count == 1 ? &first : pieces, count, at); \
      die(); \
    } \
    return real(fd, pieces, count, at); \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

// A pipe may get the number next.
int close(int fd) {
  REAL(int, "close", int);
  if (fd >= 0 && fd < MAX_FDS) atomic_store(&below[fd], 0);
  return real(fd);
}

#define ON_FD(symbol, name) \
  int symbol(int fd) { \
    REAL(int, #symbol, int); \
    if (fd_below(fd)) counted(name, "", 0); \
    return real(fd); \
  }
ON_FD(fsync, "fsync")
ON_FD(fdatasync, "fdatasync")

#define TRUNCATE(symbol, offset_type) \
  int symbol(int fd, offset_type length) { \
    REAL(int, #symbol, int, offset_type); \
    if (fd_below(fd)) counted("truncate", "", 0); \
    return real(fd, length); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ON_PATH(symbol, name) \
  int symbol(const char *path) { \
    REAL(int, #symbol, const char *); \
    if (is_below(path)) counted(name, path, 0); \
    return real(path); \
  }
ON_PATH(unlink, "unlink")
ON_PATH(rmdir, "rmdir")

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  if (is_below(path)) counted("mkdir", path, 0);
  return real(path, mode);
}

#define TO_PATH(symbol) \
  int symbol(const char *from, const char *to) { \
    REAL(int, #symbol, const char *, const char *); \
    if (is_below(to)) counted(#symbol, to, 0); \
    return real(from, to); \
  }
TO_PATH(rename)
TO_PATH(link)
