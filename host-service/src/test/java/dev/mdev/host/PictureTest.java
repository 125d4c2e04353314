package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.US_ASCII;

import org.junit.jupiter.api.Test;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.UUID;

import javax.imageio.ImageIO;

/// A device's picture, over HTTP.
class PictureTest extends HostTest {
    /// 32 bits a pixel, 96 by 64, on; then a gradient: pixel i has the colour 0x010203 * i.
    private static final String PROGRAM =
            """
            {"steps":[
              {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x506"},"width":2,"value":32},
              {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x502"},"width":2,"value":96},
              {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x504"},"width":2,"value":64},
              {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x508"},"width":2,"value":%2$d},
              {"op":"write","at":{"mdev":"%1$s","bar":0},"width":4,"count":3000,"step":66051}]}
            """;

    @Test
    void theGuestsPictureIsAPng() throws Exception {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.run("vm1", PROGRAM.formatted(mdev, 0x41)).requireStatus(200);

        HttpResponse<byte[]> response = picture(mdev);

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.headers().firstValue("Content-Type")).contains("image/png");
        assertThat(response.headers().firstValue("Cache-Control")).contains("no-store");
        BufferedImage image = read(response.body());
        assertThat(image.getWidth()).isEqualTo(96);
        assertThat(image.getHeight()).isEqualTo(64);
        for (int i = 0; i < 96 * 64; i++) {
            int expected = i < 3000 ? (i * 0x01_02_03) & 0xFF_FFFF : 0;
            assertThat(image.getRGB(i % 96, i / 96) & 0xFF_FFFF)
                    .as("pixel %d", i)
                    .isEqualTo(expected);
        }
        // A picture maps nothing: 12,000 bytes are three pages.
        assertThat(api.get("/api/v1/mdevs/" + mdev).numberAt("/residentPages")).isEqualTo(3);
    }

    @Test
    void theSamePictureGivesTheSameBytes() throws Exception {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.run("vm1", PROGRAM.formatted(mdev, 0x41)).requireStatus(200);
        assertThat(Digest.of(picture(mdev).body())).isEqualTo(Digest.of(picture(mdev).body()));
    }

    /// Two clients that do not read their pictures hold both places until they are gone: the
    /// service never buffers more.
    @Test
    void aPictureThatIsOnItsWayHasItsPlaceUntilItIsThere() throws Exception {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        // 2560 by 1600 pixels that no compression makes much smaller.
        api.run(
                        "vm1",
                        """
                        {"steps":[
                          {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x506"},"width":2,"value":32},
                          {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x502"},"width":2,"value":2560},
                          {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x504"},"width":2,"value":1600},
                          {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x508"},"width":2,"value":65},
                          {"op":"write","at":{"mdev":"%1$s","bar":0},"width":8,"count":2048000,
                           "step":-7046029254386353131}],
                         "deadlineMillis":600000}
                        """
                                .formatted(mdev))
                .requireStatus(200);
        Digest all = Digest.of(picture(mdev).body());
        assertThat(all.bytes()).as("more than what sockets take").isGreaterThan(8 << 20);
        try (Socket _ = admitted(mdev);
                Socket _ = admitted(mdev)) {
            Answer refused = api.get(pathOf(mdev));

            refused.requireProblem(503, "unavailable");
            assertThat(refused.at("/detail")).contains("2 pictures");
        }
        assertThat(Digest.of(picture(mdev).body())).isEqualTo(all);
    }

    /// A client that has a place, and reads only the status line. A place becomes free some time
    /// after the former client has everything.
    private Socket admitted(UUID mdev) throws IOException {
        while (true) {
            Socket socket = ask(mdev);
            String status = new String(socket.getInputStream().readNBytes(12), US_ASCII);
            if (status.equals("HTTP/1.1 200")) {
                return socket;
            }
            socket.close();
            assertThat(status).isEqualTo("HTTP/1.1 503");
        }
    }

    private Socket ask(UUID mdev) throws IOException {
        Socket socket = new Socket();
        socket.setReceiveBufferSize(4096);
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port()));
        String head = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n".formatted(pathOf(mdev));
        socket.getOutputStream().write(head.getBytes(US_ASCII));
        return socket;
    }

    @Test
    void whatHasNoPictureSaysWhy() {
        UUID off = api.createMdev("gpu0", "gpu-sample-16m");
        Answer dark = api.get(pathOf(off)).requireProblem(409, "wrong-state");
        assertThat(dark.at("/detail")).contains("shows nothing");
        UUID blind = api.createMdev(HostileDriver.PARENT, "denies");
        Answer none = api.get(pathOf(blind)).requireProblem(404, "not-found");
        assertThat(none.at("/detail")).contains("is not a display");
        api.get(pathOf(UUID.randomUUID())).requireProblem(404, "not-found");
    }

    @Test
    void aClientThatWantsSomethingElseIsToldSo() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.send("GET", pathOf(mdev), "", Map.of("Accept", "text/plain"))
                .requireProblem(406, "not-acceptable");
        api.send("POST", pathOf(mdev), "", Map.of()).requireProblem(405, "method-not-allowed");
    }

    private static String pathOf(UUID mdev) {
        return "/api/v1/mdevs/%s/picture".formatted(mdev);
    }

    /// Polls until there is a place.
    private HttpResponse<byte[]> picture(UUID mdev) {
        HttpResponse<byte[]> response = api.bytes(pathOf(mdev));
        while (response.statusCode() == 503) {
            response = api.bytes(pathOf(mdev));
        }
        return response;
    }

    private static BufferedImage read(byte[] png) throws IOException {
        return ImageIO.read(new ByteArrayInputStream(png));
    }
}
