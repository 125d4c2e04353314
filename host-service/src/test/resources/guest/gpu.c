/*
 * What the tests of a real guest run in it, as a program without libraries of its own:
 *
 *   gpu picture SEED            fills /dev/fb0; prints its width and height
 *   gpu draw SEED ROUNDS        fills it ROUNDS times with changing content, the last as `picture`
 *   gpu touch BDF PAGES STEP    stores to PAGES pages of BAR 0, STEP pages apart, each its number
 *   gpu check BDF PAGES STEP    prints how many of these pages have another content
 *   gpu engine BDF              fills VRAM by a command, copies it to guest memory by DMA, and waits
 *                               for the fence's MSI-X message; the function is bound to vfio-pci
 *
 * A pixel of a picture is a function of the seed and its number, which the tests know, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define RING_IOVA 0x100000
#define COPY_IOVA 0x200000

static void fail(const char *what)
{
    printf("gpu: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t pixel(uint32_t seed, uint32_t i)
{
    return (seed * 1640531527u + i * 2654435761u) >> 8;
}

/* The frame buffer: pixels of 32 bits. */
static volatile uint32_t *screen;
static uint32_t width, height, words_a_line;
static int screen_fd;

static void open_screen(void)
{
    struct fb_var_screeninfo var;
    struct fb_fix_screeninfo fix;
    int fd = screen_fd = open("/dev/fb0", O_RDWR);
    if (fd < 0 || ioctl(fd, FBIOGET_VSCREENINFO, &var) || ioctl(fd, FBIOGET_FSCREENINFO, &fix))
        fail("/dev/fb0");
    if (var.bits_per_pixel != 32)
        fail("32 bits a pixel");
    width = var.xres;
    height = var.yres;
    words_a_line = fix.line_length / 4;
    screen = mmap(0, fix.smem_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (screen == MAP_FAILED)
        fail("mmap /dev/fb0");
}

static void fill(uint32_t seed)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            screen[y * words_a_line + x] = pixel(seed, y * width + x);
    /* Else the kernel waits a while before it copies this to the device. */
    if (fsync(screen_fd))
        fail("fsync");
}

static int draw(uint32_t seed, int rounds)
{
    open_screen();
    for (int i = rounds - 1; i >= 0; i--)
        fill(seed + i);
    printf("%u %u\n", width, height);
    return 0;
}

static volatile uint8_t *map_bar0(const char *bdf, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource0", bdf);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        fail(path);
    void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail("mmap BAR 0");
    return at;
}

static int touch(const char *bdf, size_t pages, size_t step, int check)
{
    volatile uint8_t *bar = map_bar0(bdf, pages * step * PAGE);
    size_t wrong = 0;
    for (size_t i = 0; i < pages; i++) {
        volatile uint32_t *word = (volatile uint32_t *)(bar + i * step * PAGE);
        if (check)
            wrong += *word != 0x1000u + i;
        else
            *word = 0x1000u + i;
    }
    printf("%zu\n", wrong);
    return 0;
}

static int container;

static int open_device(const char *bdf)
{
    char path[256], link[256], group_path[64];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/iommu_group", bdf);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n < 0)
        fail(path);
    link[n] = 0;
    snprintf(group_path, sizeof group_path, "/dev/vfio/%s", strrchr(link, '/') + 1);
    container = open("/dev/vfio/vfio", O_RDWR);
    int group = open(group_path, O_RDWR);
    if (container < 0 || group < 0)
        fail(group_path);
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
        ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
        fail("type 1");
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
    if (device < 0)
        fail("VFIO_GROUP_GET_DEVICE_FD");
    return device;
}

/* A page of memory that the device reaches at an address of ours. */
static void *dma_page(uint64_t iova)
{
    void *at = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof map,
        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .vaddr = (uintptr_t)at,
        .iova = iova,
        .size = PAGE,
    };
    if (at == MAP_FAILED || ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
        fail("VFIO_IOMMU_MAP_DMA");
    return at;
}

static volatile uint8_t *map_region(int device, int index, uint64_t *offset)
{
    struct vfio_region_info info = {.argsz = sizeof info, .index = index};
    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
        fail("region info");
    *offset = info.offset;
    void *at = mmap(0, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, info.offset);
    if (at == MAP_FAILED)
        fail("mmap BAR 4");
    return at;
}

static int message(int device)
{
    char buffer[sizeof(struct vfio_irq_set) + sizeof(int)] = {0};
    struct vfio_irq_set *set = (void *)buffer;
    int fd = eventfd(0, EFD_NONBLOCK);
    set->argsz = sizeof buffer;
    set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    set->index = VFIO_PCI_MSIX_IRQ_INDEX;
    set->count = 1;
    memcpy(set->data, &fd, sizeof fd);
    if (fd < 0 || ioctl(device, VFIO_DEVICE_SET_IRQS, set))
        fail("MSI-X");
    return fd;
}

struct command {
    uint16_t opcode, flags;
    uint32_t value;
    uint64_t destination, source;
    uint32_t destination_pitch, source_pitch, row_bytes, rows;
    uint64_t fence, zero[2];
};

static int engine(const char *bdf)
{
    uint64_t offset;
    int device = open_device(bdf);
    uint16_t on;
    struct vfio_region_info config = {.argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX};
    ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config);
    pread(device, &on, 2, config.offset + 4);
    on |= 6; /* memory decoding, bus mastering */
    pwrite(device, &on, 2, config.offset + 4);
    volatile uint8_t *bar = map_region(device, 4, &offset);
    volatile uint8_t *registers = bar + PAGE;
    int interrupt = message(device);
    struct command *ring = dma_page(RING_IOVA);
    uint32_t *copy = dma_page(COPY_IOVA);
    ring[0] = (struct command){.opcode = 1, .value = 0xA5C3F00D, .destination = 0x2000, .row_bytes = 2048, .rows = 1};
    ring[1] = (struct command){.opcode = 4, .source = 0x2000, .destination = COPY_IOVA, .row_bytes = 2048, .rows = 1};
    ring[2] = (struct command){.opcode = 5, .flags = 3, .fence = 4711, .destination = COPY_IOVA + 2048};
    *(volatile uint64_t *)(registers + 0x08) = RING_IOVA;
    *(volatile uint32_t *)(registers + 0x10) = PAGE / sizeof *ring;
    *(volatile uint32_t *)(registers + 0x2c) = 3;
    *(volatile uint32_t *)(registers + 0x00) = 1;
    *(volatile uint32_t *)bar = 3; /* the doorbell */
    struct pollfd wait = {.fd = interrupt, .events = POLLIN};
    int interrupts = poll(&wait, 1, 300000);
    size_t right = 0;
    for (int i = 0; i < 512; i++)
        right += copy[i] == 0xA5C3F00D;
    printf("interrupts=%d right=%zu stored=%u fence=%u error=%u\n", interrupts, right, copy[512],
           *(volatile uint32_t *)(bar + 2 * PAGE), *(volatile uint32_t *)(registers + 0x1c));
    return 0;
}

int main(int count, char **words)
{
    setvbuf(stdout, 0, _IOLBF, 0);
    if (count == 3 && !strcmp(words[1], "picture"))
        return draw(strtoul(words[2], 0, 0), 1);
    if (count == 4 && !strcmp(words[1], "draw"))
        return draw(strtoul(words[2], 0, 0), atoi(words[3]));
    if (count == 5 && !strcmp(words[1], "touch"))
        return touch(words[2], atol(words[3]), atol(words[4]), 0);
    if (count == 5 && !strcmp(words[1], "check"))
        return touch(words[2], atol(words[3]), atol(words[4]), 1);
    if (count == 3 && !strcmp(words[1], "engine"))
        return engine(words[2]);
    printf("gpu: wrong words\n");
    return 2;
}
