/* A client of a BAR file: takes the descriptor of another process, maps it, and does what it reads.
 *
 *   barclient PID FD SIZE [huge]
 *
 * Each line of input is one command, and gets one line of output. An access that gets SIGBUS is
 * answered "bus". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096ul

static int fd;
static volatile unsigned char *bar;
static unsigned long size;
static __thread sigjmp_buf *on_bus;

static void bus(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
    if (on_bus == NULL)
        _exit(99);
    siglongjmp(*on_bus, 1);
}

static volatile uint64_t *at(unsigned long offset)
{
    return (volatile uint64_t *)(bar + offset);
}

/* Counts in one word, until told to stop. */
struct counter {
    pthread_t thread;
    unsigned long offset;
    volatile int stop;
    uint64_t done;
    int bus;
};

static struct counter counters[16];
static int ncounters;

static void *count(void *argument)
{
    struct counter *self = argument;
    sigjmp_buf here;
    on_bus = &here;
    if (sigsetjmp(here, 1) != 0) {
        self->bus = 1;
        return NULL;
    }
    while (!self->stop) {
        *at(self->offset) = *at(self->offset) + 1;
        self->done++;
    }
    return NULL;
}

static const char *result(long value)
{
    static char text[64];
    if (value >= 0)
        return "done";
    snprintf(text, sizeof text, "%s", strerrorname_np(errno));
    return text;
}

/* What a hostile holder of the descriptor may try. */
static const char *attack(const char *name)
{
    char page[PAGE] __attribute__((aligned(4096)));
    char path[64];
    memset(page, 0x66, sizeof page);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (!strcmp(name, "truncate"))
        return result(ftruncate(fd, 0));
    if (!strcmp(name, "grow"))
        return result(ftruncate(fd, 1l << 40));
    if (!strcmp(name, "fallocate"))
        return result(fallocate(fd, 0, 0, 1 << 20));
    if (!strcmp(name, "punch"))
        return result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
    if (!strcmp(name, "flock"))
        return result(flock(fd, LOCK_EX));
    if (!strcmp(name, "fcntl-lock")) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        return result(fcntl(fd, F_SETLK, &lock));
    }
    if (!strcmp(name, "readahead"))
        return result(readahead(fd, 0, size));
    if (!strcmp(name, "willneed"))
        return result(madvise((void *)bar, size, MADV_WILLNEED));
    if (!strcmp(name, "ioctl"))
        return result(ioctl(fd, 0x4004667f, page));
    if (!strcmp(name, "getflags"))
        return result(ioctl(fd, 0x80086601, page));
    if (!strcmp(name, "setxattr"))
        return result(fsetxattr(fd, "user.x", "y", 1, 0));
    if (!strcmp(name, "getxattr"))
        return result(fgetxattr(fd, "user.x", page, 1));
    if (!strcmp(name, "listxattr"))
        return result(flistxattr(fd, page, sizeof page));
    if (!strcmp(name, "chmod"))
        return result(fchmod(fd, 0777));
    if (!strcmp(name, "utimes"))
        return result(futimens(fd, NULL));
    if (!strcmp(name, "stat")) {
        struct stat stat;
        return result(fstat(fd, &stat));
    }
    if (!strcmp(name, "fsync"))
        return result(fsync(fd));
    if (!strcmp(name, "msync"))
        return result(msync((void *)bar, size, MS_SYNC | MS_INVALIDATE));
    if (!strcmp(name, "reopen"))
        return result(open(path, O_RDWR));
    if (!strcmp(name, "reopen-truncate"))
        return result(open(path, O_RDWR | O_TRUNC));
    if (!strcmp(name, "write"))
        return result(pwrite(fd, page, 100, 32 * PAGE));
    if (!strcmp(name, "write-page"))
        return result(pwrite(fd, page, sizeof page, 33 * PAGE));
    if (!strcmp(name, "append"))
        return result(pwrite(fd, page, 100, size));
    if (!strcmp(name, "lseek"))
        return result(lseek(fd, 0, SEEK_DATA));
    if (!strcmp(name, "copy")) {
        loff_t from = 34 * PAGE, to = 35 * PAGE;
        return result(copy_file_range(fd, &from, fd, &to, PAGE, 0));
    }
    if (!strcmp(name, "direct")) {
        fcntl(fd, F_SETFL, O_DIRECT);
        long got = pread(fd, page, sizeof page, 36 * PAGE);
        int error = errno;
        pread(fd, page, 512, 37 * PAGE);
        pwrite(fd, page, sizeof page, 38 * PAGE);
        fcntl(fd, F_SETFL, 0);
        errno = error;
        return result(got);
    }
    if (!strcmp(name, "exec"))
        return result((long)mmap(NULL, PAGE, PROT_EXEC, MAP_SHARED, fd, 0));
    return "unknown";
}

static void run(char *line)
{
    unsigned long offset, number;
    unsigned long long value;
    char name[32];
    if (sscanf(line, "load %lu", &offset) == 1) {
        printf("%llx\n", (unsigned long long)*at(offset));
    } else if (sscanf(line, "store %lu %llx", &offset, &value) == 2) {
        *at(offset) = value;
        puts("ok");
    } else if (sscanf(line, "fill %lu %lu %llx", &offset, &number, &value) == 3) {
        for (unsigned long i = 0; i < number; i++)
            *at(offset + i * PAGE) = value + i;
        puts("ok");
    } else if (sscanf(line, "check %lu %lu %llx", &offset, &number, &value) == 3) {
        unsigned long wrong = 0;
        for (unsigned long i = 0; i < number; i++)
            wrong += *at(offset + i * PAGE) != value + i;
        printf("%lx\n", wrong);
    } else if (sscanf(line, "until %lu %llx", &offset, &value) == 2) {
        while (*at(offset) != value)
            ;
        puts("ok");
    } else if (sscanf(line, "count %lu", &offset) == 1) {
        struct counter *counter = &counters[ncounters++];
        counter->offset = offset;
        pthread_create(&counter->thread, NULL, count, counter);
        puts("ok");
    } else if (!strncmp(line, "stop", 4)) {
        unsigned long buses = 0;
        for (int i = 0; i < ncounters; i++)
            counters[i].stop = 1;
        for (int i = 0; i < ncounters; i++) {
            pthread_join(counters[i].thread, NULL);
            printf("%llx ", (unsigned long long)counters[i].done);
            buses += counters[i].bus;
        }
        printf("%lu\n", buses);
        ncounters = 0;
    } else if (sscanf(line, "attack %31s", name) == 1) {
        puts(attack(name));
    } else {
        puts("unknown");
    }
}

int main(int argc, char **argv)
{
    char line[256];
    struct sigaction action = {.sa_sigaction = bus, .sa_flags = SA_SIGINFO};
    if (argc < 4)
        return 2;
    int process = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    fd = syscall(SYS_pidfd_getfd, process, atoi(argv[2]), 0);
    size = strtoul(argv[3], NULL, 10);
    if (fd < 0)
        return 3;
    bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bar == MAP_FAILED)
        return 4;
    if (argc > 4 && madvise((void *)bar, size, MADV_HUGEPAGE) < 0)
        return 5;
    sigaction(SIGBUS, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin) != NULL) {
        sigjmp_buf here;
        on_bus = &here;
        if (sigsetjmp(here, 1) == 0)
            run(line);
        else
            puts("bus");
    }
    return 0;
}
