package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;

/// Making an active device persistent: `mdev define -u UUID`.
class DefineVerbTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String PUT = "PUT /api/v1/definitions/" + UUID;
    private static final String DEVICE =
            "{\"parent\":\"p\",\"type\":\"t\",\"state\":{\"autostart\":%s},\"attributes\":[%s]}";
    private static final String SPEED = "{\"name\":\"speed\",\"value\":\"1\"}";

    private static String asked(String device, String... options) throws IOException {
        String[] all = new String[options.length + 3];
        all[0] = "define";
        all[1] = "-u";
        all[2] = UUID;
        System.arraycopy(options, 0, all, 3, options.length);
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs/" + UUID, device).on(PUT, 200, Stub.JSON, "{}");
            assertThat(Run.of(stub.url(), all).requireOk().out()).isEqualTo(UUID + "\n");
            return stub.requests().getLast().substring(PUT.length() + 1);
        }
    }

    @Test
    void itBeginsWithoutAutostartAndAttributes() throws IOException {
        assertThat(asked(DEVICE.formatted("false", "")))
                .isEqualTo("{\"parent\":\"p\",\"type\":\"t\",\"autostart\":false}");
    }

    @Test
    void whatIsDefinedAlreadyStays() throws IOException {
        assertThat(asked(DEVICE.formatted("true", SPEED)))
                .isEqualTo(
                        "{\"parent\":\"p\",\"type\":\"t\",\"autostart\":true,\"attributes\":[%s]}"
                                .formatted(SPEED));
    }

    @Test
    void anOptionReplacesIt() throws IOException {
        assertThat(asked(DEVICE.formatted("false", SPEED), "-a", "--attr", "speed=2"))
                .isEqualTo(
                        "{\"parent\":\"p\",\"type\":\"t\",\"autostart\":true,\"attributes\":[%s]}"
                                .formatted(SPEED.replace('1', '2')));
    }
}
