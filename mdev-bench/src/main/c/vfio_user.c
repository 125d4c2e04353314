/*
 * Round trips of the vfio-user protocol, from a client in C.
 *
 *   vfio_user serve SOCKET                a server in C, the baseline: one region of 4096 bytes
 *   vfio_user SOCKET REGION OFFSET [N]    a client: REGION_READ of 4 bytes, posted REGION_WRITEs
 *                                         with a reply to each 64th, and REGION_WRITE_MULTI of 200
 *                                         writes a message; prints ns of each
 *
 * Run both on one processor (taskset -c 0), so that the figures have no wake-up of another in them.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1, REGION_READ = 9, REGION_WRITE = 10, WRITE_MULTI = 15 };
enum { REPLY = 1, NO_REPLY = 0x10, ERROR = 0x20 };

#define WRITES_A_MESSAGE 200

struct header {
    uint16_t id, command;
    uint32_t size, flags, error;
};

struct access {
    struct header header;
    uint64_t offset;
    uint32_t region, count;
    uint8_t data[8];
};

struct many {
    struct header header;
    uint64_t count;
    struct {
        uint64_t offset;
        uint32_t region, count;
        uint8_t data[8];
    } writes[WRITES_A_MESSAGE];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void get(int fd, void *buffer, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = recv(fd, (char *)buffer + done, bytes - done, 0);
        if (n <= 0)
            die("recv");
        done += n;
    }
}

static void put(int fd, const void *buffer, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = send(fd, (const char *)buffer + done, bytes - done, MSG_NOSIGNAL);
        if (n <= 0)
            die("send");
        done += n;
    }
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

static void serve_one(int fd)
{
    static uint8_t region[4096];
    static struct many message;
    struct header *header = &message.header;
    for (;;) {
        ssize_t n = recv(fd, header, sizeof *header, MSG_WAITALL);
        if (n <= 0)
            return;
        size_t body = header->size - sizeof *header;
        if (header->size < sizeof *header || header->size > sizeof message)
            return;
        get(fd, header + 1, body);
        int quiet = header->flags & NO_REPLY;
        struct access *one = (void *)&message;
        size_t reply = sizeof *header;
        switch (header->command) {
        case VERSION:
            reply += body;
            break;
        case REGION_READ:
            if (one->offset > sizeof region - 8 || one->count > 8)
                return;
            memcpy(one->data, region + one->offset, one->count);
            reply += 16 + one->count;
            break;
        case REGION_WRITE:
            if (one->offset > sizeof region - 8 || one->count > 8)
                return;
            memcpy(region + one->offset, one->data, one->count);
            reply += 16;
            break;
        case WRITE_MULTI:
            if (message.count > WRITES_A_MESSAGE)
                return;
            for (uint64_t i = 0; i < message.count; i++) {
                if (message.writes[i].offset > sizeof region - 8 || message.writes[i].count > 8)
                    return;
                memcpy(region + message.writes[i].offset, message.writes[i].data, message.writes[i].count);
            }
            reply += 8;
            break;
        default:
            return;
        }
        if (quiet)
            continue;
        header->flags = REPLY;
        header->error = 0;
        header->size = reply;
        put(fd, header, reply);
    }
}

static void serve(const char *path)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = address_of(path);
    unlink(path);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1))
        die(path);
    for (;;) {
        int fd = accept(listener, 0, 0);
        if (fd < 0)
            die("accept");
        serve_one(fd);
        close(fd);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void expect_reply(int fd, size_t body)
{
    static uint8_t rest[1 << 16];
    struct header header;
    get(fd, &header, sizeof header);
    if (header.flags & ERROR) {
        fprintf(stderr, "error %u of command %u\n", header.error, header.command);
        exit(1);
    }
    if (header.size - sizeof header > sizeof rest || (body && header.size - sizeof header != body)) {
        fprintf(stderr, "size %u of command %u\n", header.size, header.command);
        exit(1);
    }
    get(fd, rest, header.size - sizeof header);
}

static void negotiate(int fd)
{
    static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true}}";
    struct {
        struct header header;
        uint16_t major, minor;
        char json[sizeof json];
    } __attribute__((packed)) message = {.header = {1, VERSION, sizeof message, 0, 0}};
    memcpy(message.json, json, sizeof json);
    put(fd, &message, sizeof message);
    expect_reply(fd, 0);
}

static int smaller(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words)
{
    if (count == 3 && !strcmp(words[1], "serve"))
        serve(words[2]);
    if (count < 4) {
        fprintf(stderr, "usage: vfio_user serve SOCKET | SOCKET REGION OFFSET [N]\n");
        return 2;
    }
    uint32_t region = atoi(words[2]);
    uint64_t offset = strtoull(words[3], 0, 0);
    long n = count > 4 ? atol(words[4]) : 100000;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = address_of(words[1]);
    if (connect(fd, (void *)&address, sizeof address))
        die(words[1]);
    negotiate(fd);

    double *times = calloc(n, sizeof *times);
    struct access read = {.header = {2, REGION_READ, 32, 0, 0}, .offset = offset, .region = region, .count = 4};
    for (long warm = 0; warm < n; warm++) {
        put(fd, &read, 32);
        expect_reply(fd, 20);
    }
    for (long i = 0; i < n; i++) {
        double start = now();
        put(fd, &read, 32);
        expect_reply(fd, 20);
        times[i] = now() - start;
    }
    qsort(times, n, sizeof *times, smaller);
    printf("read      min %6.0f  median %6.0f  99%% %6.0f ns\n", times[0], times[n / 2], times[n / 100 * 99]);

    struct access write = {.header = {3, REGION_WRITE, 36, 0, 0}, .offset = offset, .region = region, .count = 4};
    double start = 0;
    for (int round = 0; round < 2; round++) {
        start = now();
        for (long i = 1; i <= n / 64 * 64; i++) {
            write.header.flags = i % 64 ? NO_REPLY : 0;
            put(fd, &write, 36);
            if (i % 64 == 0)
                expect_reply(fd, 16);
        }
    }
    printf("posted    %6.0f ns a write\n", (now() - start) / (n / 64 * 64));

    static struct many many = {.header = {4, WRITE_MULTI, sizeof many, 0, 0}, .count = WRITES_A_MESSAGE};
    for (int i = 0; i < WRITES_A_MESSAGE; i++) {
        many.writes[i].offset = offset;
        many.writes[i].region = region;
        many.writes[i].count = 4;
    }
    long messages = n / WRITES_A_MESSAGE;
    for (int round = 0; round < 2; round++) {
        start = now();
        for (long i = 1; i <= messages; i++) {
            many.header.flags = i % 8 && i < messages ? NO_REPLY : 0;
            put(fd, &many, sizeof many);
            if (!many.header.flags)
                expect_reply(fd, 8);
        }
    }
    printf("multi     %6.0f ns a write\n", (now() - start) / (messages * WRITES_A_MESSAGE));
    return 0;
}
