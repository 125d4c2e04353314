package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;

/// Random messages, near to valid ones, in pieces, with random descriptors, and replies that nobody
/// awaits: each message that wants one gets exactly one reply, and nothing is left when the client
/// goes, also in the middle of a message. `mdev.vfiouser.fuzz.messages` says how many there are.
@EnabledOnOs(value = OS.LINUX, disabledReason = "sockets of Linux")
class SessionFuzzTest {
    private static final int MESSAGES = Integer.getInteger("mdev.vfiouser.fuzz.messages", 200_000);
    private static final int PER_CLIENT = 2_000;
    private static final long[] NUMBERS = {
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        16,
        20,
        24,
        32,
        33,
        0x21,
        0x24,
        0xfff,
        0x1000,
        0x1001,
        0x10000,
        0x100000,
        0x7fff_ffffL,
        0xffff_ffffL,
        0x1_0000_0000L,
        1L << 40,
        1L << 51,
        1L << 52,
        Long.MAX_VALUE,
        Long.MIN_VALUE,
        -1,
        -4096
    };

    @TempDir Path folder;

    @Test
    void everyRequestIsAnsweredOnceAndNothingIsLeft() throws IOException {
        long seed = Long.getLong("mdev.seed", System.nanoTime());
        Random random = new Random(seed);
        try (TestHost host = new TestHost(folder);
                TestHost.GuestRam ram = new TestHost.GuestRam(1 << 20);
                NativeFd file = TestHost.GuestRam.memfd(1 << 16, false);
                EventFd event = new EventFd(Syscalls.ofThisProcess(), "event")) {
            List<NativeFd> fds = List.of(ram.fd, file, event.fd());
            long before;
            try (VfioUserClient client = host.client()) {
                before = descriptors();
            }
            for (int done = 0; done < MESSAGES; done += PER_CLIENT) {
                try (VfioUserClient client = host.client()) {
                    for (int i = 0; i < PER_CLIENT; i++) {
                        exchange(
                                random,
                                client,
                                fds,
                                "seed=%d message=%d".formatted(seed, done + i));
                    }
                    vanish(random, client, ram.fd);
                }
            }
            try (VfioUserClient client = host.client()) {
                assertThat(client.readNumber(7, 0, 4)).as("seed=%d", seed).isEqualTo(0x11e91234);
                assertThat(descriptors()).as("seed=%d", seed).isEqualTo(before);
            }
        }
    }

    private static void exchange(
            Random random, VfioUserClient client, List<NativeFd> fds, String where) {
        int command = random.nextInt(8) == 0 ? random.nextInt(24) : 2 + random.nextInt(17);
        byte[] body = bodyOf(random, command);
        NativeFd[] attached = new NativeFd[random.nextInt(4) == 0 ? random.nextInt(4) : 0];
        for (int i = 0; i < attached.length; i++) {
            attached[i] = fds.get(random.nextInt(fds.size()));
        }
        int id = random.nextInt(1 << 16);
        boolean quiet = random.nextInt(4) == 0;
        if (random.nextInt(16) == 0) {
            client.send(random.nextInt(1 << 16), command, VfioUserClient.REPLY, body, attached);
        }
        byte[] message =
                VfioUserClient.message(id, command, quiet ? VfioUserClient.NO_REPLY : 0, body);
        int first = random.nextInt(8) == 0 ? 1 + random.nextInt(message.length) : message.length;
        client.sendRaw(Arrays.copyOf(message, first), attached);
        if (first < message.length) {
            client.sendRaw(Arrays.copyOfRange(message, first, message.length));
        }
        if (quiet) {
            return;
        }
        VfioUserClient.Message reply =
                Objects.requireNonNull(client.receive(), where + " command=" + command);
        assertThat(reply.id()).as(where).isEqualTo(id);
        assertThat(reply.command()).as(where).isEqualTo(command);
        assertThat(reply.flags() & 0xf).as(where).isEqualTo(VfioUserClient.REPLY);
        reply.fds().forEach(NativeFd::close);
    }

    /// Sends a part of a message, with or without a descriptor, and ends.
    private static void vanish(Random random, VfioUserClient client, NativeFd fd) {
        byte[] message = VfioUserClient.message(1, 2, 0, new byte[64]);
        int part = random.nextInt(message.length);
        if (part > 0) {
            client.sendRaw(
                    Arrays.copyOf(message, part),
                    random.nextBoolean() ? new NativeFd[] {fd} : new NativeFd[0]);
        }
    }

    private static byte[] bodyOf(Random random, int command) {
        VfioUserClient.Body body = VfioUserClient.body();
        long u64 = number(random);
        switch (command) {
            case 2 ->
                    body.u32(32, random.nextInt(4))
                            .u64(
                                    random.nextInt(16) * 4096L,
                                    random.nextInt(64) * 4096L,
                                    random.nextInt(8) * 4096L);
            case 3 ->
                    body.u32(24, random.nextInt(3))
                            .u64(random.nextInt(64) * 4096L, random.nextInt(8) * 4096L);
            case 8 ->
                    body.u32(
                            20 + random.nextInt(4),
                            1L << random.nextInt(3) | 8L << random.nextInt(3),
                            random.nextInt(6),
                            random.nextInt(9),
                            random.nextInt(4));
            case 9 -> body.u64(near(random)).u32(random.nextInt(10), random.nextInt(40));
            case 10 -> {
                int count = random.nextInt(12);
                body.u64(near(random)).u32(random.nextInt(10), count).bytes(new byte[count]);
            }
            case 15 -> body.u64(1).u64(near(random)).u32(random.nextInt(9), 4).u64(u64);
            case 16 ->
                    body.u32(4096, (long) random.nextInt(8) << 16 | random.nextInt(10))
                            .u64(random.nextInt(8), 4096L * random.nextInt(4), 4096);
            default -> {
                for (int i = random.nextInt(6); i > 0; i--) {
                    body.u64(number(random));
                }
            }
        }
        byte[] all = body.done();
        if (random.nextInt(4) == 0 && all.length > 0) {
            int at = random.nextInt(all.length);
            all[at] = (byte) random.nextInt();
        }
        return random.nextInt(16) == 0 ? Arrays.copyOf(all, random.nextInt(all.length + 9)) : all;
    }

    private static long near(Random random) {
        return random.nextInt(8) == 0 ? number(random) : random.nextInt(4200);
    }

    private static long number(Random random) {
        return NUMBERS[random.nextInt(NUMBERS.length)];
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.filter(SessionFuzzTest::isOurs).count();
        }
    }

    private static boolean isOurs(Path fd) {
        try {
            String link = Files.readSymbolicLink(fd).toString();
            return link.startsWith("/memfd")
                    || link.contains("eventfd")
                    || link.startsWith("socket");
        } catch (IOException e) {
            return false;
        }
    }
}
