package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.support.SharingDriver;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.Map;
import java.util.UUID;

/// Clients in other processes that map the same pages of a parent through files of two devices.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class SharedPagesInBarFilesTest extends BarWorld {
    @Test
    void theClientsOfAllDevicesSeeTheSharedPagesAtTheSameTime() throws Exception {
        SharingDriver sharing = new SharingDriver();
        bus.addDriver(sharing, Map.of());
        List<BarClient> clients = List.of(clientOfNewDevice(), clientOfNewDevice());

        for (BarClient client : clients) {
            for (int page = 0; page < SharingDriver.SHARED_PAGES; page++) {
                assertThat(client.load(at(page))).isEqualTo(SharingDriver.contentOf(page));
            }
        }
        clients.getFirst().store(at(1), 7);

        assertThat(clients.getLast().load(at(1))).isEqualTo(SharingDriver.contentOf(1));
        assertThat(sharing.sharedLong(1)).isEqualTo(SharingDriver.contentOf(1));
    }

    private BarClient clientOfNewDevice() throws Exception {
        MdevAssignment assignment =
                later(
                        bus.create(UUID.randomUUID(), SharingDriver.PARENT, SharingDriver.TYPE)
                                .assign("client"));
        BarFile file =
                later(fs.open(assignment, assignment.mdev().region(SharingDriver.SHARED_BAR)));
        assertThat(file.residentPages()).isZero();
        return client(file);
    }
}
