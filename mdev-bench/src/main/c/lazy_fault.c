/*
 * The yardstick for LazyFaultBench: the same machine, the same guest, the same system calls, in C.
 *
 *   cc -O2 -pthread -o lazy_fault lazy_fault.c
 *   ./lazy_fault continue|mmap|eager PAGES GRANT LANES ROUNDS
 *
 * Each lane is a virtual processor that stores to every page of a BAR of its own, one row of one
 * store a KVM_RUN, and a thread that answers the BAR's faults: by UFFDIO_CONTINUE where offset and
 * physical page run in parallel, by mmap where they do not. GRANT pages are mapped at a fault. After
 * each round everything is revoked, but what was mapped at once (eager): that stays. Prints the percentiles of the stores that faulted, and what a page
 * costs on average, in nanoseconds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ULL
#define GIB (1ULL << 30)
#define CODE_GPA 0ULL
#define MAILBOX_GPA 0x1000ULL
#define TABLES_GPA 0x10000ULL
#define WINDOW 0x200000ULL
#define DOORBELL_GPA 0x400000ULL
#define SIZE_OF_STUB 0x100000ULL
enum { ADDRESS = 8, COUNT = 16, STRIDE = 24, VALUE = 32, STEP = 40, MAX_LANES = 8, BATCH = 16 };
enum kind { CONTINUE, MMAP, EAGER };

static void check(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int vm;
static size_t run_size;
static enum kind kind;
static size_t pages, grant;

struct lane {
    int index, vcpu, uffd, memory, nothing, stop;
    struct kvm_run *run;
    uint8_t *stub, *bar;
    uint64_t window_gpa, bar_gpa;
    pthread_t handler;
    uint64_t *samples;
    size_t nsamples;
    uint64_t total_ns, touched;
};

/* Where page i of the BAR is in the device's memory: in parallel, or every page elsewhere. */
static size_t physical(size_t page)
{
    size_t run = page / grant, runs = pages / grant;
    return kind == MMAP ? (runs - 1 - run) * grant + page % grant : page;
}

static void show_backdrop(struct lane *l, size_t first, size_t count)
{
    uint8_t *at = l->bar + first * PAGE;
    /* A page that exists in the file is not missing: where nothing is granted, a file without pages. */
    int file = kind == CONTINUE ? l->memory : l->nothing;
    check(mmap(at, count * PAGE, PROT_NONE, MAP_SHARED | MAP_FIXED, file, first * PAGE) == at, "mmap");
    struct uffdio_register r = {.range = {(uint64_t)at, count * PAGE},
                                .mode = UFFDIO_REGISTER_MODE_MISSING |
                                        (kind == CONTINUE ? UFFDIO_REGISTER_MODE_MINOR : 0)};
    check(ioctl(l->uffd, UFFDIO_REGISTER, &r) == 0, "UFFDIO_REGISTER");
    check(mprotect(at, count * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
}

static void revoke_all(struct lane *l)
{
    if (kind == CONTINUE)
        check(madvise(l->bar, pages * PAGE, MADV_DONTNEED) == 0, "madvise");
    else if (kind == MMAP)
        show_backdrop(l, 0, pages);
}

static void answer(struct lane *l, uint64_t address)
{
    size_t first = (address - (uint64_t)l->bar) / PAGE / grant * grant;
    uint8_t *at = l->bar + first * PAGE;
    if (kind == CONTINUE) {
        struct uffdio_continue c = {.range = {(uint64_t)at, grant * PAGE}, .mode = UFFDIO_CONTINUE_MODE_DONTWAKE};
        check(ioctl(l->uffd, UFFDIO_CONTINUE, &c) == 0, "UFFDIO_CONTINUE");
    } else {
        check(mmap(at, grant * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, l->memory,
                   physical(first) * PAGE) == at, "mmap");
    }
    struct uffdio_range r = {address & ~(PAGE - 1), PAGE};
    check(ioctl(l->uffd, UFFDIO_WAKE, &r) == 0, "UFFDIO_WAKE");
}

static void *handle(void *argument)
{
    struct lane *l = argument;
    struct pollfd polled[2] = {{l->stop, POLLIN, 0}, {l->uffd, POLLIN, 0}};
    for (;;) {
        poll(polled, 2, -1);
        if (polled[0].revents)
            return NULL;
        struct uffd_msg messages[BATCH];
        ssize_t bytes = read(l->uffd, messages, sizeof messages);
        for (ssize_t i = 0; i * (ssize_t)sizeof *messages < bytes; i++)
            answer(l, messages[i].arg.pagefault.address);
    }
}

static void set_segment(struct kvm_segment *s, int selector, int type)
{
    memset(s, 0, sizeof *s);
    s->limit = ~0u;
    s->selector = selector;
    s->type = type;
    s->present = 1;
    s->dpl = 3;
    s->db = type != 11;
    s->s = 1;
    s->l = type == 11;
    s->g = 1;
}

static void put(struct lane *l, uint64_t offset, uint64_t value)
{
    memcpy(l->stub + offset, &value, sizeof value);
}

/* Tables of 2 MiB pages for the GiB of the stub and the GiB of the BAR, at the same addresses. */
static void set_tables(struct lane *l)
{
    uint64_t root = TABLES_GPA, pointers = root + PAGE, next = pointers + PAGE;
    uint64_t gibs[2] = {l->window_gpa & -GIB, l->bar_gpa & -GIB};
    put(l, root + (l->window_gpa >> 39) * 8, (l->window_gpa + pointers) | 0x27);
    for (int g = 0; g < 2; g++, next += PAGE) {
        put(l, pointers + (gibs[g] >> 30 & 511) * 8, (l->window_gpa + next) | 0x27);
        for (uint64_t i = 0; i < 512; i++)
            put(l, next + i * 8, (gibs[g] + i * (2 << 20)) | 0xe7);
    }
}

static void set_processor(struct lane *l, int device)
{
    struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[256]; } cpuid = {.head = {.nent = 256}};
    check(ioctl(device, KVM_GET_SUPPORTED_CPUID, &cpuid) == 0, "KVM_GET_SUPPORTED_CPUID");
    check(ioctl(l->vcpu, KVM_SET_CPUID2, &cpuid) == 0, "KVM_SET_CPUID2");
    struct kvm_sregs s;
    check(ioctl(l->vcpu, KVM_GET_SREGS, &s) == 0, "KVM_GET_SREGS");
    set_segment(&s.cs, 0x33, 11);
    set_segment(&s.ds, 0x2b, 3);
    s.es = s.fs = s.gs = s.ss = s.ds;
    s.cr0 = 0x80050033;
    s.cr3 = l->window_gpa + TABLES_GPA;
    s.cr4 = 0x620;
    s.efer = 0x500;
    check(ioctl(l->vcpu, KVM_SET_SREGS, &s) == 0, "KVM_SET_SREGS");
    struct kvm_regs r = {.rip = l->window_gpa + 3, .rbx = l->window_gpa + MAILBOX_GPA,
                         .rbp = l->window_gpa + DOORBELL_GPA, .rflags = 2};
    check(ioctl(l->vcpu, KVM_SET_REGS, &r) == 0, "KVM_SET_REGS");
}

static const uint8_t code[] = {
    0x89, 0x45, 0x00,             /* doorbell: mov [rbp], eax */
    0x48, 0x8b, 0x7b, ADDRESS,    /* mov rdi, [rbx+ADDRESS] */
    0x48, 0x8b, 0x4b, COUNT,      /* mov rcx, [rbx+COUNT] */
    0x48, 0x8b, 0x53, STRIDE,     /* mov rdx, [rbx+STRIDE] */
    0x48, 0x8b, 0x43, VALUE,      /* mov rax, [rbx+VALUE] */
    0x48, 0x8b, 0x73, STEP,       /* mov rsi, [rbx+STEP] */
    0x48, 0x89, 0x07,             /* store: mov [rdi], rax */
    0x48, 0x01, 0xf0,             /* add rax, rsi */
    0x48, 0x01, 0xd7,             /* add rdi, rdx */
    0x48, 0xff, 0xc9,             /* dec rcx */
    0x75, 0xf2,                   /* jnz store */
    0xeb, 0xd9,                   /* jmp doorbell */
};

static void set_slot(int id, uint64_t gpa, uint64_t size, void *memory)
{
    struct kvm_userspace_memory_region r = {id, 0, gpa, size, (uint64_t)memory};
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r) == 0, "KVM_SET_USER_MEMORY_REGION");
}

static void open_bar(struct lane *l)
{
    l->memory = memfd_create("vram", MFD_CLOEXEC);
    check(ftruncate(l->memory, pages * PAGE) == 0, "ftruncate");
    check(fallocate(l->memory, 0, 0, pages * PAGE) == 0, "fallocate");
    l->nothing = memfd_create("nothing", MFD_CLOEXEC);
    check(ftruncate(l->nothing, pages * PAGE) == 0, "ftruncate");
    uint64_t size = pages * PAGE + (2 << 20);
    uint64_t reserved = (uint64_t)mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    l->bar = (uint8_t *)((reserved + (2 << 20) - 1) & -(2ULL << 20));
    l->stop = eventfd(0, EFD_CLOEXEC);
    if (kind == EAGER) {
        check(mmap(l->bar, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, l->memory, 0) == l->bar, "mmap");
        return;
    }
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    l->uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    check(l->uffd >= 0, "USERFAULTFD_IOC_NEW");
    close(device);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |
                                                          UFFD_FEATURE_THREAD_ID};
    check(ioctl(l->uffd, UFFDIO_API, &api) == 0, "UFFDIO_API");
    show_backdrop(l, 0, pages);
    check(pthread_create(&l->handler, NULL, handle, l) == 0, "pthread_create");
}

static void open_lane(struct lane *l, int device, int index)
{
    l->index = index;
    l->window_gpa = (uint64_t)index * 16 * (1 << 20);
    l->bar_gpa = (uint64_t)(index + 1) * GIB;
    l->stub = mmap(NULL, SIZE_OF_STUB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(l->stub, code, sizeof code);
    set_tables(l);
    l->vcpu = ioctl(vm, KVM_CREATE_VCPU, index);
    check(l->vcpu >= 0, "KVM_CREATE_VCPU");
    l->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, l->vcpu, 0);
    set_slot(2 * index, l->window_gpa, SIZE_OF_STUB, l->stub);
    open_bar(l);
    set_slot(2 * index + 1, l->bar_gpa, pages * PAGE, l->bar);
    set_processor(l, device);
}

static void store(struct lane *l, uint64_t gpa, uint64_t value)
{
    put(l, MAILBOX_GPA + ADDRESS, gpa);
    put(l, MAILBOX_GPA + COUNT, 1);
    put(l, MAILBOX_GPA + STRIDE, PAGE);
    put(l, MAILBOX_GPA + VALUE, value);
    put(l, MAILBOX_GPA + STEP, 0);
    check(ioctl(l->vcpu, KVM_RUN, 0) == 0, "KVM_RUN");
    check(l->run->exit_reason == KVM_EXIT_MMIO && l->run->mmio.phys_addr == l->window_gpa + DOORBELL_GPA,
          "not the doorbell");
}

static void touch_all(struct lane *l, int measured)
{
    uint64_t begin = now(), last = begin;
    for (size_t page = 0; page < pages; page++) {
        store(l, l->bar_gpa + page * PAGE, page);
        uint64_t end = now();
        if (measured && page % grant == 0)
            l->samples[l->nsamples++] = end - last;
        last = end;
    }
    if (measured) {
        l->total_ns += last - begin;
        l->touched += pages;
    }
}

static int rounds;

static void *drive(void *argument)
{
    struct lane *l = argument;
    l->samples = calloc((size_t)rounds * (pages / grant + 1), sizeof *l->samples);
    for (int round = 0; round < rounds + 2; round++) {
        revoke_all(l);
        touch_all(l, round >= 2);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    check(argc == 6, "usage: lazy_fault continue|mmap|eager PAGES GRANT LANES ROUNDS");
    kind = argv[1][0] == 'c' ? CONTINUE : argv[1][0] == 'm' ? MMAP : EAGER;
    pages = strtoul(argv[2], NULL, 10);
    grant = strtoul(argv[3], NULL, 10);
    int lanes = atoi(argv[4]);
    rounds = atoi(argv[5]);
    int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    vm = ioctl(device, KVM_CREATE_VM, 0);
    check(vm >= 0, "KVM_CREATE_VM");
    run_size = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
    static struct lane all[MAX_LANES];
    pthread_t drivers[MAX_LANES];
    for (int i = 0; i < lanes; i++)
        open_lane(&all[i], device, i);
    for (int i = 0; i < lanes; i++)
        check(pthread_create(&drivers[i], NULL, drive, &all[i]) == 0, "pthread_create");
    size_t n = 0;
    uint64_t total = 0, touched = 0;
    for (int i = 0; i < lanes; i++) {
        pthread_join(drivers[i], NULL);
        n += all[i].nsamples;
        total += all[i].total_ns;
        touched += all[i].touched;
    }
    uint64_t *samples = calloc(n, sizeof *samples);
    for (int i = 0, at = 0; i < lanes; at += all[i].nsamples, i++)
        memcpy(samples + at, all[i].samples, all[i].nsamples * sizeof *samples);
    qsort(samples, n, sizeof *samples, compare);
    printf("%llu %llu %llu\n", (unsigned long long)samples[n / 2], (unsigned long long)samples[n * 99 / 100],
           (unsigned long long)(total / touched));
    return 0;
}
