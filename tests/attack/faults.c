/* A file system that fails on demand: preloaded, it lets the n-th call of one kind on a file below
   one folder fail with a given error, or be short. Nothing else is touched.

   arm() and calls() are called from Python through ctypes; until armed every call goes through. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE, FSYNC, RENAME, READ, MKDIR, UNLINK, OPEN, KINDS };
static char root[PATH_MAX];
static size_t root_length;
static int armed_kind = -1, armed_error;
static long armed_number;
static int sticky; /* all calls after the n-th fail, too: a disk that is full stays full */
static atomic_long counts[KINDS];

void arm(const char *folder, int kind, long number, int error, int stays) {
  strncpy(root, folder, sizeof root - 1);
  root_length = strlen(root);
  for (int i = 0; i < KINDS; i++) counts[i] = 0;
  armed_kind = kind; armed_number = number; armed_error = error; sticky = stays;
}
void disarm(void) { armed_kind = -1; root_length = 0; }
long calls(int kind) { return counts[kind]; }

static int below(const char *path) {
  char full[PATH_MAX + 2];
  if (!root_length || !path) return 0;
  if (path[0] != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 0;
    if (snprintf(full, sizeof full, "%s/%s", here, path) >= (int)sizeof full) return 0;
    path = full;
  }
  return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}
static int below_fd(int fd) {
  char link[64], path[PATH_MAX];
  if (!root_length || fd < 3) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return below(path);
}
/* Whether this call is the one: 0 no, 1 fail (errno is set), 2 be short. */
static int hit(int kind) {
  long number = ++counts[kind];
  if (kind != armed_kind || !armed_number) return 0;
  if (number != armed_number && !(sticky && number > armed_number)) return 0;
  if (armed_error < 0) return 2;
  errno = armed_error;
  return 1;
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  if (below_fd(fd)) {
    int what = hit(WRITE);
    if (what == 1) return -1;
    if (what == 2 && size > 1) size /= 2;
  }
  return real(fd, data, size);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(pwrite64);
  if (below_fd(fd) && hit(WRITE) == 1) return -1;
  return real(fd, data, size, at);
}
/* What shutil.copyfile copies with: both a read and a write of large parts. */
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
  REAL(sendfile64);
  if (below_fd(out) || below_fd(in)) {
    int what = hit(WRITE);
    if (what == 1) return -1;
    if (what == 2 && size > 1) size = size > 256 ? 256 : size / 2;
  }
  return real(out, in, at, size);
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) { return sendfile64(out, in, at, size); }
ssize_t read(int fd, void *data, size_t size) {
  REAL(read);
  if (below_fd(fd)) {
    int what = hit(READ);
    if (what == 1) return -1;
    if (what == 2 && size > 1) size = (size + 1) / 2;
  }
  return real(fd, data, size);
}
int fsync(int fd) { REAL(fsync); return below_fd(fd) && hit(FSYNC) == 1 ? -1 : real(fd); }
int rename(const char *a, const char *b) {
  REAL(rename);
  return (below(a) || below(b)) && hit(RENAME) == 1 ? -1 : real(a, b);
}
int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return below(path) && hit(MKDIR) == 1 ? -1 : real(path, mode);
}
int unlink(const char *path) { REAL(unlink); return below(path) && hit(UNLINK) == 1 ? -1 : real(path); }

static int opened(const char *path, int flags, mode_t mode, const char *name) {
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
  if (below(path) && hit(OPEN) == 1) return -1;
  return real(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
  return opened(path, flags, mode, "open");
}
int open64(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
  return opened(path, flags, mode, "open64");
}
