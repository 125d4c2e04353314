package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Random;

/// First messages near to valid ones: each gets one answer, after which the client is served, or
/// sent away. `mdev.vfiouser.fuzz.versions` says how many there are.
@EnabledOnOs(value = OS.LINUX, disabledReason = "sockets of Linux")
class VersionFuzzTest {
    private static final int VERSIONS = Integer.getInteger("mdev.vfiouser.fuzz.versions", 300);

    private static final String[] TEXTS = {
        "{\"capabilities\": {\"pgsizes\": 4096, \"max_msg_fds\": 16, \"max_dma_maps\": 65535,"
                + " \"max_data_xfer_size\": 1048576, \"migration\": {\"max_bitmap_size\":"
                + " 268435456, \"pgsize\": 4096}, \"write_multiple\": true}}",
        "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576,"
                + "\"migration\":{\"pgsize\":4096}}}",
        "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"a\":[1,-2.5e+3,null,\"\\u00e9\"]}}}",
        "{\"capabilities\":{}}",
        "{}",
        ""
    };

    private static final String[] PIECES = {
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u12",
        "\\ud800",
        "null",
        "true",
        "-",
        "0",
        "1e9",
        "1e999999999",
        "99999999999999999999",
        "0x1",
        "\0",
        "\u00ff",
        " ",
        "[".repeat(3_000),
        "{\"a\":".repeat(3_000),
        "\"max_msg_fds\":",
        "\"migration\":{\"pgsize\":4096}"
    };

    @TempDir Path folder;

    @Test
    void everyVersionIsAnsweredOnce() {
        long seed = Long.getLong("mdev.seed", System.nanoTime());
        Random random = new Random(seed);
        try (TestHost host = new TestHost(folder)) {
            for (int i = 0; i < VERSIONS; i++) {
                propose(random, host, "seed=%d version=%d".formatted(seed, i));
            }
            try (VfioUserClient client = host.client()) {
                assertThat(client.readNumber(7, 0, 4)).as("seed=%d", seed).isEqualTo(0x11e91234);
            }
        }
    }

    private static void propose(Random random, TestHost host, String where) {
        String text = changed(random, TEXTS[random.nextInt(TEXTS.length)]);
        String end = random.nextInt(16) == 0 ? "" : "\0";
        byte[] body =
                VfioUserClient.body()
                        .u16(random.nextInt(16) == 0 ? 1 : 0, random.nextInt(3))
                        .bytes((text + end).getBytes(ISO_8859_1))
                        .done();
        try (VfioUserClient client = new VfioUserClient(host.socket.path())) {
            client.send(9, 1, VfioUserClient.COMMAND, body);

            VfioUserClient.Message reply =
                    Objects.requireNonNull(client.receive(), where + ": " + text);
            assertThat(reply.id()).as(where).isEqualTo(9);
            if (reply.errno() == 0) {
                assertThat(client.readNumber(7, 0, 4)).as(where).isEqualTo(0x11e91234);
            } else {
                assertThat(client.receive()).as("%s: the connection ends", where).isNull();
            }
        }
    }

    private static String changed(Random random, String text) {
        StringBuilder changed = new StringBuilder(text);
        for (int edits = random.nextInt(4); edits > 0; edits--) {
            int from = random.nextInt(changed.length() + 1);
            int to = Math.min(changed.length(), from + random.nextInt(12));
            switch (random.nextInt(4)) {
                case 0 -> changed.delete(from, to);
                case 1 -> changed.insert(from, changed.substring(from, to));
                case 2 -> changed.insert(from, PIECES[random.nextInt(PIECES.length)]);
                default -> changed.replace(from, to, PIECES[random.nextInt(PIECES.length)]);
            }
        }
        return changed.toString();
    }
}
