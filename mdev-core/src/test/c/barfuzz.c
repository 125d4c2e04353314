/* A hostile holder of a BAR file's descriptor: makes random system calls with it.
 *
 *   barfuzz PID FD SIZE SEED STEPS
 *
 * It prints "done" after STEPS calls. What the calls return is of no interest here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096ul
#define ELEMENTS(array) (sizeof(array) / sizeof(array)[0])

static int fd;
static unsigned long size;
static sigjmp_buf on_bus;
static char buffer[64 * PAGE] __attribute__((aligned(4096)));
static int pipes[2];

static void bus(int signal)
{
    (void)signal;
    siglongjmp(on_bus, 1);
}

static unsigned long any(unsigned long below)
{
    return (unsigned long)rand() % below;
}

/* An offset, mostly in the file. */
static long offset(void)
{
    static const long odd[] = {0, 1, -1, 1l << 40, 0x7fffffffffffffffl, 511, 4095};
    switch (any(8)) {
    case 0:
        return odd[any(ELEMENTS(odd))];
    case 1:
        return size - any(3) * PAGE;
    case 2:
        return any(size);
    default:
        return any(size / PAGE) * PAGE;
    }
}

static size_t length(void)
{
    return any(3) == 0 ? any(sizeof buffer) : (1 + any(8)) * PAGE;
}

static void reopen(void)
{
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_RDWR | O_APPEND,
                                O_RDONLY | O_DIRECT, O_PATH, O_RDWR | O_SYNC, O_RDONLY | O_NOATIME,
                                O_RDONLY | O_DIRECTORY, O_RDWR | O_CREAT | O_EXCL};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, flags[any(ELEMENTS(flags))] | O_CLOEXEC, 0600);
    if (again >= 0)
        close(again);
}

static void by_handle(void)
{
    union { struct file_handle handle; char room[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } name;
    int mount;
    name.handle.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(fd, "", &name.handle, &mount, AT_EMPTY_PATH) == 0) {
        int again = open_by_handle_at(fd, &name.handle, O_RDWR | O_CLOEXEC);
        if (again >= 0)
            close(again);
    }
}

static void names(void)
{
    char path[64], new[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(new, sizeof new, "/tmp/barfuzz-%d", getpid());
    switch (any(4)) {
    case 0:
        linkat(fd, "", AT_FDCWD, new, AT_EMPTY_PATH);
        break;
    case 1:
        linkat(AT_FDCWD, path, AT_FDCWD, new, AT_SYMLINK_FOLLOW);
        break;
    case 2:
        rename(path, new);
        break;
    default:
        unlink(path);
    }
    unlink(new);
}

static void locks(void)
{
    static const int flocks[] = {LOCK_EX | LOCK_NB, LOCK_SH | LOCK_NB, LOCK_UN};
    static const int kinds[] = {F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK};
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    if (any(2)) {
        flock(fd, flocks[any(3)]);
    } else {
        struct flock lock = {.l_type = types[any(3)], .l_start = offset(), .l_len = length()};
        fcntl(fd, kinds[any(4)], &lock);
    }
}

static void settings(void)
{
    static const int commands[] = {F_SETFL, F_SETLEASE, F_NOTIFY, F_ADD_SEALS, F_SETPIPE_SZ,
                                   F_SET_RW_HINT, F_SETSIG, F_SETOWN, F_DUPFD_CLOEXEC};
    static const int flags[] = {0, O_DIRECT, O_APPEND, O_NONBLOCK, O_NOATIME};
    int command = commands[any(ELEMENTS(commands))];
    int made;
    if (command == F_SETFL)
        fcntl(fd, command, flags[any(ELEMENTS(flags))]);
    else if (command == F_SETOWN || command == F_SETSIG)
        fcntl(fd, command, 0);
    else if ((made = fcntl(fd, command, any(8))) > 2 && command == F_DUPFD_CLOEXEC)
        close(made);
}

static void ioctls(void)
{
    static const unsigned long requests[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FIBMAP, FIGETBSZ,
                                             FS_IOC_FIEMAP, FICLONE, FICLONERANGE, FIDEDUPERANGE,
                                             0x541b /* FIONREAD */, 0x8004e500 /* FUSE clone */,
                                             FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FIONBIO};
    memset(buffer, any(2) ? 0 : 0x66, PAGE);
    ioctl(fd, any(16) ? requests[any(ELEMENTS(requests))] : (unsigned long)rand(), buffer);
}

static void pipe_data(void)
{
    loff_t at = offset();
    size_t want = any(4 * PAGE);
    if (any(2))
        splice(fd, &at, pipes[1], NULL, want, SPLICE_F_NONBLOCK);
    else
        splice(pipes[0], NULL, fd, &at, want, SPLICE_F_NONBLOCK);
    if (any(4) == 0) {
        struct iovec part = {buffer, PAGE};
        vmsplice(pipes[1], &part, 1, SPLICE_F_NONBLOCK);
    }
    /* What a pipe holds are pages of the cache. */
    if (any(4) == 0)
        while (read(pipes[0], buffer, sizeof buffer) > 0)
            ;
}

static void copies(int null, int zero)
{
    off_t at = offset();
    loff_t from = offset(), to = offset();
    switch (any(3)) {
    case 0:
        sendfile(null, fd, &at, length());
        break;
    case 1:
        sendfile(fd, zero, NULL, length());
        break;
    default:
        copy_file_range(fd, &from, fd, &to, length(), 0);
    }
}

static void direct(void)
{
    static const int flags[] = {0, RWF_NOWAIT, RWF_DSYNC, RWF_HIPRI, RWF_APPEND, 0x80 /* RWF_DONTCACHE */};
    struct iovec parts[2] = {{buffer, any(2 * PAGE)}, {buffer + 8 * PAGE, PAGE}};
    switch (any(4)) {
    case 0:
        pread(fd, buffer + any(2) * 512, length() / 2, offset());
        break;
    case 1:
        pwrite(fd, buffer + any(2) * 512, length() / 2, offset());
        break;
    case 2:
        preadv2(fd, parts, 2, offset(), flags[any(ELEMENTS(flags))]);
        break;
    default:
        pwritev2(fd, parts, 2, offset(), flags[any(ELEMENTS(flags))]);
    }
}

static void mapping(void)
{
    static const int kinds[] = {MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_SHARED | MAP_POPULATE,
                                MAP_PRIVATE | MAP_POPULATE, MAP_SHARED | MAP_LOCKED,
                                MAP_SHARED | MAP_NONBLOCK | MAP_POPULATE};
    /* Not those that take memory from the machine: MADV_HWPOISON, MADV_SOFT_OFFLINE. */
    static const int advices[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
                                  MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
                                  MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD,
                                  MADV_PAGEOUT, 22 /* MADV_POPULATE_READ */, 23 /* MADV_POPULATE_WRITE */,
                                  25 /* MADV_COLLAPSE */};
    static const int rights[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_EXEC | PROT_READ};
    size_t bytes = (1 + any(16)) * PAGE;
    char *at = mmap(NULL, bytes, rights[any(4)], kinds[any(ELEMENTS(kinds))], fd,
                    any(size / PAGE) * PAGE);
    if (at == MAP_FAILED)
        return;
    /* A trap (SIGBUS, SIGSEGV) ends the accesses only. */
    if (sigsetjmp(on_bus, 1) == 0) {
        for (int i = 0; i < 8; i++) {
            volatile uint64_t *word = (volatile uint64_t *)(at + any(bytes / 8) * 8);
            switch (any(5)) {
            case 0:
                *word = rand();
                break;
            case 1:
                madvise(at + any(bytes / PAGE) * PAGE, PAGE, advices[any(ELEMENTS(advices))]);
                break;
            case 2:
                msync(at, bytes, any(2) ? MS_SYNC : MS_ASYNC | MS_INVALIDATE);
                break;
            case 3:
                mprotect(at, bytes, rights[any(4)]);
                break;
            default:
                (void)*word;
            }
        }
    }
    if (any(4) == 0) {
        char *moved = mremap(at, bytes, bytes + PAGE, MREMAP_MAYMOVE);
        if (moved != MAP_FAILED) {
            at = moved;
            bytes += PAGE;
        }
    }
    munmap(at, bytes);
}

/* A process that ends with a mapping that it has stored to. */
static void child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        volatile char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        for (int i = 0; i < 4; i++)
            at[any(size / PAGE) * PAGE] = 1;
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
}

static void attributes(void)
{
    struct timespec times[2] = {{1, 2}, {3, UTIME_NOW}};
    struct stat stat;
    struct statfs statfs;
    struct statx statx_;
    switch (any(10)) {
    case 0:
        fsetxattr(fd, "user.x", "y", 1, 0);
        break;
    case 1:
        fgetxattr(fd, "security.capability", buffer, 64);
        break;
    case 2:
        flistxattr(fd, buffer, PAGE);
        break;
    case 3:
        fremovexattr(fd, "user.x");
        break;
    case 4:
        fchmod(fd, any(010000));
        break;
    case 5:
        fchown(fd, any(100), any(100));
        break;
    case 6:
        futimens(fd, times);
        break;
    case 7:
        fstat(fd, &stat);
        break;
    case 8:
        fstatfs(fd, &statfs);
        break;
    default:
        statx(fd, "", AT_EMPTY_PATH | (any(2) ? AT_STATX_FORCE_SYNC : 0), STATX_ALL, &statx_);
    }
}

static void size_and_cache(void)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE};
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE};
    switch (any(8)) {
    case 0:
        ftruncate(fd, offset());
        break;
    case 1:
        fallocate(fd, modes[any(ELEMENTS(modes))], offset(), length());
        break;
    case 2:
        readahead(fd, offset(), any(2) ? size : length());
        break;
    case 3:
        posix_fadvise(fd, offset(), length(), any(6));
        break;
    case 4:
        fsync(fd);
        break;
    case 5:
        fdatasync(fd);
        break;
    case 6:
        sync_file_range(fd, offset(), length(), any(8));
        break;
    default:
        lseek(fd, offset(), whences[any(5)]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    fd = syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, atoi(argv[1]), 0), atoi(argv[2]), 0);
    size = strtoul(argv[3], NULL, 10);
    srand(atoi(argv[4]));
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || null < 0 || zero < 0 || pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
        return 3;
    struct sigaction action = {.sa_handler = bus, .sa_flags = SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN);
    for (long step = 0, steps = atol(argv[5]); step < steps; step++) {
        switch (any(24)) {
        case 0:
            reopen();
            break;
        case 1:
            by_handle();
            break;
        case 2:
            names();
            break;
        case 3:
            locks();
            break;
        case 4:
            settings();
            break;
        case 5:
            ioctls();
            break;
        case 6:
        case 7:
            pipe_data();
            break;
        case 8:
        case 9:
            copies(null, zero);
            break;
        case 10:
        case 11:
        case 12:
            direct();
            break;
        case 13:
            child();
            break;
        case 14:
        case 15:
            attributes();
            break;
        case 16:
        case 17:
        case 18:
            size_and_cache();
            break;
        default:
            mapping();
        }
    }
    puts("done");
    return 0;
}
