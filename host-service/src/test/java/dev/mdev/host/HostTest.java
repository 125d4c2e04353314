package dev.mdev.host;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.annotation.Import;
import org.springframework.test.context.TestPropertySource;

/// Base of the tests of a running server. They share one, and each leaves it empty.
///
/// Its deadlines are longer than a busy machine needs. Tests that wait for a driver's to pass have
/// a server with [#SHORT_DEADLINE].
@TestPropertySource(properties = "mdev.engine=software")
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.driver-deadline=60s",
            "mdev.machines.max-machines=4",
            "mdev.machines.max-ram=64MB",
            "mdev.machines.max-program-time=10m",
            "mdev.machines.max-program-values=5000"
        })
@Import(HostileDriver.Beans.class)
abstract class HostTest {
    /// Short enough to wait for, and longer than a good driver's callback takes on a busy machine.
    static final String SHORT_DEADLINE = "mdev.driver-deadline=3s";

    /// With it, only callbacks that are overdue are slow.
    static final String SLOW_CALLBACK = "mdev.slow-callback=3s";

    @LocalServerPort private int port;

    /// Set before each test.
    protected Api api = new Api(0);

    @BeforeEach
    void connect() {
        api.close();
        api = new Api(port);
    }

    @AfterEach
    void cleanUp() {
        HostileDriver.Stuck.releaseAll();
        api.removeEverything();
        api.close();
    }

    protected int port() {
        return port;
    }
}
