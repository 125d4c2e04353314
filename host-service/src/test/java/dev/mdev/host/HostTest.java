package dev.mdev.host;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.annotation.Import;
import org.springframework.test.context.TestPropertySource;

/// Base of the tests of a running server. They share one, and each leaves it empty.
@TestPropertySource(properties = "mdev.engine=software")
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.driver-deadline=300ms",
            "mdev.machines.max-machines=4",
            "mdev.machines.max-ram=64MB",
            "mdev.machines.max-program-time=20s",
            "mdev.machines.max-program-values=5000"
        })
@Import(HostileDriver.Beans.class)
abstract class HostTest {
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
