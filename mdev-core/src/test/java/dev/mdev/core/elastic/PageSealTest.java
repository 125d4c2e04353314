package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.stream.Stream;

/// Pages outside this process.
final class PageSealTest {
    private static byte[] page(long seed) {
        byte[] bytes = new byte[Page.SIZE];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    @Test
    void anEncryptedPageShowsNothingOfItsContent() {
        byte[] plain = new byte[Page.SIZE];
        PageSeal seal = PageSeal.encrypting();
        PageSeal.Sealed first = seal.seal(7, plain, 0);
        PageSeal.Sealed second = seal.seal(7, plain, 0);
        assertThat(first.bytes()).isNotEqualTo(plain).isNotEqualTo(second.bytes());
        assertThat(seal.open(7, first.bytes(), first.proof())).isEqualTo(plain);
    }

    @Test
    void aChangedPageIsNotOpened() {
        for (PageSeal seal : new PageSeal[] {PageSeal.checking(), PageSeal.encrypting()}) {
            PageSeal.Sealed sealed = seal.seal(3, page(1), 0);
            sealed.bytes()[100] ^= 1;
            assertThatThrownBy(() -> seal.open(3, sealed.bytes(), sealed.proof()))
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
        }
    }

    @Test
    void anEncryptedPageIsNotOpenedAsAnother() {
        PageSeal seal = PageSeal.encrypting();
        PageSeal.Sealed sealed = seal.seal(3, page(1), 0);
        assertThatThrownBy(() -> seal.open(4, sealed.bytes(), sealed.proof()))
                .isInstanceOf(MdevException.class);
    }

    @Test
    void aFileOfSlotsHasNoName(@TempDir Path folder) throws IOException {
        try (StoredPages pages = new StoredPages(new FileSlots(folder), PageSeal.checking());
                Stream<Path> names = Files.list(folder)) {
            assertThat(names).isEmpty();
            for (long page : new long[] {0, 1000, 5}) {
                pages.put(page, page(page), 0);
            }
            byte[] back = new byte[Page.SIZE];
            for (long page : new long[] {5, 0, 1000}) {
                pages.get(page, back, 0);
                assertThat(back).isEqualTo(page(page));
            }
            pages.drop(5);
            assertThat(pages.has(5)).isFalse();
            assertThatThrownBy(() -> pages.get(5, back, 0)).isInstanceOf(MdevException.class);
        }
    }

    /// The thread that writes a device's page away often works for another device.
    @Test
    void anInterruptedThreadLosesNoContentOfAFileOfSlots(@TempDir Path folder) {
        try (StoredPages pages = new StoredPages(new FileSlots(folder), PageSeal.checking())) {
            pages.put(0, page(1), 0);
            Thread.currentThread().interrupt();
            pages.put(1, page(2), 0);
            assertThat(Thread.interrupted()).as("still interrupted").isTrue();
            byte[] back = new byte[Page.SIZE];
            pages.get(0, back, 0);
            assertThat(back).isEqualTo(page(1));
            pages.get(1, back, 0);
            assertThat(back).isEqualTo(page(2));
        }
    }
}
