package dev.mdev.host;

import dev.mdev.api.ParentDriver;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.test.context.TestPropertySource;

/// Base of the tests with effects that would disturb others: their server has a state directory
/// that fails, few definitions, and parents that may leave. It was started while the directory was
/// full.
@Import({FailingFiles.Beans.class, OwnHostTest.Leavers.class})
@TestPropertySource(
        properties = {"mdev.max-definitions=3", HostTest.SHORT_DEADLINE, HostTest.SLOW_CALLBACK})
@Tag("slow")
abstract class OwnHostTest extends HostTest {
    @Autowired protected FailingFiles files;

    @TestConfiguration(proxyBeanMethods = false)
    static class Leavers {
        @Bean
        ParentDriver leavers() {
            return new HostileDriver("leavers", "idle", "used", "stuck", "full");
        }
    }

    @BeforeEach
    void makeRoom() {
        files.failWith(null);
    }

    @AfterEach
    void makeRoomAgain() {
        files.failWith(null);
    }
}
