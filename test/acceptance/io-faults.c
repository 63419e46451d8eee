/* Fails the Nth write, flush, rename or unlink below FAULT_ROOT with FAULT_ERRNO; with FAULT_COUNT, appends a byte for each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int calls;

static int strikes(const char *path) {
  const char *root = getenv("FAULT_ROOT"), *at = getenv("FAULT_AT"), *count = getenv("FAULT_COUNT");
  if (root == NULL || path == NULL || strncmp(path, root, strlen(root)) != 0) return 0;
  int call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (count != NULL) {
    int fd = syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd >= 0) {
      syscall(SYS_write, fd, ".", 1);
      syscall(SYS_close, fd);
    }
  }
  if (at == NULL || call != atoi(at)) return 0;
  errno = atoi(getenv("FAULT_ERRNO"));
  return 1;
}

static int strikes_fd(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strikes(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *b, size_t n) { return strikes_fd(fd) ? -1 : REAL(write)(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { return strikes_fd(fd) ? -1 : REAL(pwrite)(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { return strikes_fd(fd) ? -1 : REAL(pwrite64)(fd, b, n, o); }
ssize_t writev(int fd, const struct iovec *v, int n) { return strikes_fd(fd) ? -1 : REAL(writev)(fd, v, n); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t o) { return strikes_fd(fd) ? -1 : REAL(pwritev64)(fd, v, n, o); }
int fsync(int fd) { return strikes_fd(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return strikes_fd(fd) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *a, const char *b) { return strikes(b) ? -1 : REAL(rename)(a, b); }
int link(const char *a, const char *b) { return strikes(b) ? -1 : REAL(link)(a, b); }
int unlink(const char *a) { return strikes(a) ? -1 : REAL(unlink)(a); }
int remove(const char *a) { return strikes(a) ? -1 : REAL(remove)(a); }
