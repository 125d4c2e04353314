package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.Map;

/// Whether Linux's `bochs` driver binds, and what it shows then.
final class LinuxBochsTest {
    private final InMemoryHost host =
            new InMemoryHost(new GpuParentDriver(false), Map.of("types-mib", "2,4,16,48"));

    @AfterEach
    void close() {
        host.close();
    }

    private InMemoryMdev device(int mib) {
        return host.parent().create("gpu-sample-" + mib + "m");
    }

    /// `bochs_pci_tbl` requires these four numbers; a class other than VGA keeps the VGA arbiter
    /// and the legacy ranges out of it.
    @Test
    void itIsOneOfTheDevicesThatTheDriverIsFor() {
        InMemoryMdev mdev = device(16);
        assertThat(mdev.identity().vendorId()).isEqualTo(0x1234);
        assertThat(mdev.identity().deviceId()).isEqualTo(0x1111);
        assertThat(mdev.identity().subsystemVendorId()).isEqualTo(0x1AF4);
        assertThat(mdev.identity().subsystemId()).isEqualTo(0x1100);
        assertThat(mdev.identity().classCode()).isEqualTo(0x03_8000);
        assertThat(mdev.regions())
                .extracting(RegionInfo::index)
                .as("neither a ROM nor legacy VGA ranges")
                .containsExactly(0, 2, 4);
    }

    @Test
    void theDriverBindsWithoutAComplaintAndShowsAPicture() {
        InMemoryMdev mdev = device(16);
        LinuxBochs linux = new LinuxBochs(mdev);
        assertThat(linux.probe()).isTrue();
        assertThat(linux.log()).containsExactly("Found bochs VGA, ID 0xb0c5.");
        assertThat(linux.fbSize()).isEqualTo(16 << 20);
        byte[] edid = linux.readEdid();
        int sum = 0;
        for (byte b : edid) {
            sum += b;
        }
        assertThat(sum & 0xFF).as("checksum").isZero();
        assertThat(edid[126]).as("further blocks").isZero();
        assertThat((edid[56] & 0xFF) | (edid[58] & 0xF0) << 4).as("preferred").isEqualTo(1024);

        linux.pipeEnable(TestCard.WIDTH, TestCard.HEIGHT, 0);
        draw(mdev, 0, TestCard.PITCH);
        assertShowsTheCard(mdev);
        assertThat(mdev.mappedPages(0)).isEqualTo(TestCard.PAGES);
        linux.pipeDisable();
        assertThat(mdev.picture()).as("blank").isEmpty();
        linux.pipeEnable(TestCard.WIDTH, TestCard.HEIGHT, 0);
        assertThat(mdev.picture()).map(picture -> picture.rgb()[0]).as("cleared").contains(0);
    }

    /// The second buffer lies elsewhere in VRAM: not at the start of a line of the first.
    @Test
    void aFlipShowsTheOtherBuffer() {
        InMemoryMdev mdev = device(16);
        LinuxBochs linux = new LinuxBochs(mdev);
        linux.probe();
        linux.pipeEnable(TestCard.WIDTH, TestCard.HEIGHT, 0);
        long other = Page.bytesOf(TestCard.PAGES + 3L);
        assertThat(other % TestCard.PITCH).isNotZero();
        draw(mdev, other, TestCard.PITCH);
        assertThat(mdev.picture()).map(picture -> picture.rgb()[0]).contains(0);
        linux.planeUpdate(TestCard.PITCH, other);
        assertShowsTheCard(mdev);
    }

    /// Modes whose width is not a multiple of 8, which the driver does not round.
    @ParameterizedTest
    @CsvSource({"1366, 768", "1680, 1050", "1400, 1050", "641, 481", "1920, 1080"})
    void everyModeOfTheDriverHasItsSize(int width, int height) {
        InMemoryMdev mdev = device(16);
        LinuxBochs linux = new LinuxBochs(mdev);
        linux.probe();
        linux.pipeEnable(width, height, 0);
        long last = 4L * width * height - 4;
        mdev.guest().store(0, last, 4, 0x00AB_CDEF);
        assertThat(mdev.picture())
                .hasValueSatisfying(picture -> {
                    assertThat(picture.width()).isEqualTo(width);
                    assertThat(picture.height()).isEqualTo(height);
                    assertThat(picture.rgb()[width * height - 1]).isEqualTo(0xABCDEF);
                });
    }

    @Test
    void theDriverSaysOfOddSizesWhatTheGuideSays() {
        LinuxBochs small = new LinuxBochs(device(2));
        assertThat(small.probe()).isFalse();
        LinuxBochs odd = new LinuxBochs(device(48));
        assertThat(odd.probe()).isTrue();
        assertThat(odd.log()).contains("Size mismatch: pci=67108864, bochs=50331648");
        assertThat(odd.fbSize()).isEqualTo(48 << 20);
        assertThat(new LinuxBochs(device(4)).probe()).isTrue();
    }

    /// QEMU allows accesses of 1, 2 and 4 bytes to the display registers and cuts them into the
    /// registers' own width.
    @Test
    void registersBearEveryWidth() {
        InMemoryMdev mdev = device(16);
        mdev.guest().store(2, 0x502, 4, 480 << 16 | 640);
        assertThat(mdev.guest().load(2, 0x502, 2)).isEqualTo(640);
        assertThat(mdev.guest().load(2, 0x504, 2)).isEqualTo(480);
        mdev.guest().store(2, 0x503, 1, 3);
        assertThat(mdev.guest().load(2, 0x502, 4)).isEqualTo(480 << 16 | 0x0380);
        assertThat(mdev.guest().load(2, 0x500, 1)).isEqualTo(0xC5);
        assertThat(mdev.guest().load(2, 0x501, 1)).isEqualTo(0xB0);
        // Index and data of the palette with one store: the bytes go in ascending order.
        mdev.guest().store(2, 0x408, 2, 0x3F07);
        // The entry changes with its third byte.
        mdev.guest().store(2, 0x409, 1, 0x3E);
        mdev.guest().store(2, 0x409, 1, 0x3D);
        mdev.guest().store(2, 0x407, 1, 7);
        assertThat(mdev.guest().load(2, 0x409, 1)).isEqualTo(0x3F);
    }

    @Test
    void theByteOrderRegisterTakesOnlyItsTwoValues() {
        InMemoryMdev mdev = device(16);
        assertThat(mdev.guest().load(2, 0x600, 4)).isEqualTo(8);
        assertThat(mdev.guest().load(2, 0x604, 4)).isEqualTo(0x1E1E_1E1EL);
        mdev.guest().store(2, 0x604, 4, 0xBEBE_BEBEL);
        assertThat(mdev.guest().load(2, 0x604, 4)).isEqualTo(0xBEBE_BEBEL);
        mdev.guest().store(2, 0x604, 4, 0x1234_5678);
        assertThat(mdev.guest().load(2, 0x604, 4)).isEqualTo(0xBEBE_BEBEL);
        mdev.guest().store(2, 0x604, 4, 0x1E1E_1E1EL);
        assertThat(mdev.guest().load(2, 0x604, 4)).isEqualTo(0x1E1E_1E1EL);
    }

    private static void draw(InMemoryMdev mdev, long address, int pitch) {
        for (int y = 0; y < TestCard.HEIGHT; y++) {
            for (int x = 0; x < TestCard.WIDTH; x++) {
                long at = address + (long) y * pitch + 4L * x;
                mdev.guest().store(0, at, 4, TestCard.rgb(x, y));
            }
        }
    }

    private static void assertShowsTheCard(InMemoryMdev mdev) {
        assertThat(TestCard.differenceTo(mdev.picture().orElseThrow())).isEmpty();
    }
}
