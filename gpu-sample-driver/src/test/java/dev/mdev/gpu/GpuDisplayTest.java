package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Display;
import dev.mdev.api.page.PfnRange;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.Map;

final class GpuDisplayTest {
    private final InMemoryHost host = new InMemoryHost(new GpuParentDriver(false), Map.of());
    private final InMemoryMdev mdev = host.parent().create("gpu-sample-16m");
    private final GpuGuest guest = new GpuGuest(mdev);

    @AfterEach
    void close() {
        host.close();
    }

    @Test
    void theMonitorDescribesItself() {
        byte[] edid = new byte[128];
        int sum = 0;
        for (int i = 0; i < edid.length; i++) {
            edid[i] = (byte) mdev.guest().load(GpuGuest.MMIO, i, 1);
            sum += edid[i];
        }
        assertThat(sum & 0xFF).isZero();
        assertThat(edid).startsWith(0, 255, 255, 255, 255, 255, 255, 0);
        assertThat(edid[126]).isZero();
        // The preferred timing: clock in 10 kHz, then active and blank in both directions.
        int clock = (edid[54] & 0xFF) | (edid[55] & 0xFF) << 8;
        int across = (edid[56] & 0xFF) | (edid[58] & 0xF0) << 4;
        int acrossBlank = (edid[57] & 0xFF) | (edid[58] & 0x0F) << 8;
        int down = (edid[59] & 0xFF) | (edid[61] & 0xF0) << 4;
        int downBlank = (edid[60] & 0xFF) | (edid[61] & 0x0F) << 8;
        assertThat(across).isEqualTo(1024);
        assertThat(down).isEqualTo(768);
        double hertz = clock * 10_000.0 / ((across + acrossBlank) * (double) (down + downBlank));
        assertThat(hertz).isBetween(59.9, 60.1);
        assertThat(mdev.guest().load(GpuGuest.MMIO, 0x80, 8)).isZero();
    }

    @Test
    void nothingIsPutOutWhileTheDisplayIsOffOrBlank() {
        assertThat(mdev.picture()).isEmpty();
        guest.setMode(64, 64, 32);
        assertThat(mdev.picture()).isPresent();
        // Linux's bochs_hw_blank.
        mdev.guest().store(GpuGuest.MMIO, 0x402, 1, 1);
        mdev.guest().load(GpuGuest.MMIO, 0x41A, 1);
        mdev.guest().store(GpuGuest.MMIO, 0x400, 1, 0);
        assertThat(mdev.picture()).isEmpty();
        mdev.guest().load(GpuGuest.MMIO, 0x41A, 1);
        mdev.guest().store(GpuGuest.MMIO, 0x400, 1, 0x20);
        assertThat(mdev.picture()).isPresent();
        guest.dispi(Dispi.ENABLE, 0);
        assertThat(mdev.picture()).isEmpty();
    }

    @Test
    void pagesThatWereNeverTouchedAreBlackAndStayUntouched() {
        guest.setMode(1024, 768, 32);
        mdev.guest().store(GpuGuest.VRAM, 4L * (1024 * 500 + 7), 4, 0x00FF_8001);
        Display.Picture picture = mdev.picture().orElseThrow();
        assertThat(picture.width()).isEqualTo(1024);
        assertThat(picture.height()).isEqualTo(768);
        assertThat(pixel(7, 500)).isEqualTo(0xFF_8001);
        assertThat(pixel(8, 500)).isZero();
        assertThat(pixel(0, 0)).isZero();
        PfnRange vram = host.parent().device().pools().getFirst().pfns();
        assertThat(host.parent().aperture().residentPages(vram)).isEqualTo(1);
        assertThat(mdev.counters()).containsEntry("vram_used_pages", 1L);
    }

    @ParameterizedTest
    @CsvSource({
        "15, 2, 0x7c00, 0xff0000", "15, 2, 0x03e0, 0x00ff00", "15, 2, 0x0421, 0x080808",
        "16, 2, 0xf800, 0xff0000", "16, 2, 0x07e0, 0x00ff00", "16, 2, 0x001f, 0x0000ff",
        "16, 2, 0x0821, 0x080408", "24, 3, 0x123456, 0x123456", "32, 4, 0xff123456, 0x123456",
    })
    void everyDepthHasItsColours(String bits, int bytes, String pixel, String rgb) {
        guest.setMode(64, 64, Integer.parseInt(bits));
        mdev.guest().store(GpuGuest.MMIO, 0x604, 4, 0x1E1E_1E1EL);
        storePixel(bytes, Long.decode(pixel), false);
        assertThat(pixel(5, 1)).isEqualTo(Integer.decode(rgb));
        mdev.guest().store(GpuGuest.MMIO, 0x604, 4, 0xBEBE_BEBEL);
        storePixel(bytes, Long.decode(pixel), true);
        assertThat(pixel(5, 1)).isEqualTo(Integer.decode(rgb));
    }

    private void storePixel(int bytes, long pixel, boolean bigEndian) {
        for (int i = 0; i < bytes; i++) {
            int shift = 8 * (bigEndian ? bytes - 1 - i : i);
            mdev.guest().store(GpuGuest.VRAM, (64 + 5L) * bytes + i, 1, pixel >>> shift);
        }
    }

    @Test
    void thePaletteColoursEightBits() {
        guest.setMode(64, 64, 8);
        mdev.guest().store(GpuGuest.MMIO, 0x408, 1, 200);
        for (int colour : new int[] {0x3F, 0x00, 0x21}) {
            mdev.guest().store(GpuGuest.MMIO, 0x409, 1, colour);
        }
        mdev.guest().store(GpuGuest.VRAM, 3, 1, 200);
        assertThat(pixel(3, 0)).isEqualTo(0xFF0087);
        // As a driver reads the palette back.
        mdev.guest().store(GpuGuest.MMIO, 0x407, 1, 200);
        assertThat(mdev.guest().load(GpuGuest.MMIO, 0x409, 1)).isEqualTo(0x3F);
        assertThat(mdev.guest().load(GpuGuest.MMIO, 0x409, 1)).isEqualTo(0x00);
        assertThat(mdev.guest().load(GpuGuest.MMIO, 0x409, 1)).isEqualTo(0x21);
        guest.dispi(Dispi.ENABLE, Dispi.ENABLED | Dispi.DAC_8BIT);
        assertThat(pixel(3, 0)).isEqualTo(0x3F0021);
    }

    @Test
    void modesThatDoNotFitAreBroughtToTheNearestThatDo() {
        guest.setMode(1023, 5000, 32);
        assertThat(guest.dispi(Dispi.XRES)).isEqualTo(1023);
        int lines = (int) ((16L << 20) / (1023 * 4));
        assertThat(guest.dispi(Dispi.YRES)).isEqualTo(lines);
        assertThat(guest.dispi(Dispi.VIRT_HEIGHT)).isEqualTo(lines);
        guest.dispi(Dispi.YRES, 768);
        guest.dispi(Dispi.Y_OFFSET, lines);
        assertThat(guest.dispi(Dispi.Y_OFFSET)).isZero();
        guest.dispi(Dispi.BPP, 13);
        assertThat(guest.dispi(Dispi.BPP)).isEqualTo(8);
        guest.dispi(Dispi.ENABLE, Dispi.ENABLED | Dispi.GET_CAPS);
        assertThat(guest.dispi(Dispi.XRES)).isEqualTo(16000);
        assertThat(guest.dispi(Dispi.YRES)).isEqualTo(12000);
        assertThat(guest.dispi(Dispi.BPP)).isEqualTo(32);
    }

    @Test
    void switchingTheDisplayOnClearsTheScreenUnlessToldNotTo() {
        mdev.guest().store(GpuGuest.VRAM, 0, 4, 0x55);
        guest.dispi(Dispi.ENABLE, Dispi.ENABLED | Dispi.NO_CLEAR);
        assertThat(mdev.guest().load(GpuGuest.VRAM, 0, 4)).isEqualTo(0x55);
        guest.setMode(64, 64, 32);
        assertThat(mdev.guest().load(GpuGuest.VRAM, 0, 4)).isZero();
    }

    /// Double buffering: the picture starts where the offsets say.
    @Test
    void offsetsPanThePicture() {
        guest.setMode(640, 480, 32);
        guest.dispi(Dispi.VIRT_WIDTH, 800);
        mdev.guest().store(GpuGuest.VRAM, 4L * (800 * 481 + 17), 4, 0xABCDEF);
        guest.dispi(Dispi.X_OFFSET, 16);
        guest.dispi(Dispi.Y_OFFSET, 480);
        assertThat(pixel(1, 1)).isEqualTo(0xABCDEF);
    }

    @Test
    void aPictureLargerThanAScreenIsNotPutOut() {
        guest.setMode(16000, 1000, 8);
        assertThat(mdev.picture()).isPresent();
        guest.setMode(8000, 2097, 8);
        assertThat(mdev.picture()).isPresent();
        guest.setMode(4096, 4096, 8);
        assertThat(mdev.picture()).map(Display.Picture::height).contains(4096);
        guest.setMode(4104, 4088, 4);
        assertThat(mdev.picture()).isEmpty();
    }

    /// The colour of a pixel of what is put out, `0x00RRGGBB`.
    private int pixel(int x, int y) {
        Display.Picture picture = mdev.picture().orElseThrow();
        return picture.rgb()[y * picture.width() + x];
    }
}
