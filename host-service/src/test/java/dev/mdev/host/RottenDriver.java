package dev.mdev.host;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.context.annotation.Bean;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// A driver whose parent `rotten` has 16 pages. Its last two do not read back as zero until they
/// are repaired.
final class RottenDriver implements ParentDriver {
    private static final long PAGES = 16;
    private static final long FIRST_BAD_PAGE = 14;

    private volatile boolean mended;

    @TestConfiguration(proxyBeanMethods = false)
    static class Beans {
        @Bean
        RottenDriver rotten() {
            return new RottenDriver();
        }
    }

    void mend() {
        mended = true;
    }

    @Override
    public String name() {
        return "rotten";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return List.of(new Parent(new Memory(host.allocateAperture("rotten", PAGES))));
    }

    private record Parent(Aperture aperture) implements ParentDevice {
        @Override
        public String name() {
            return "rotten";
        }

        @Override
        public String description() {
            return "a parent whose memory is old";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("pages", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return List.of();
        }

        @Override
        public MdevDevice create(MdevContext context) {
            throw new MdevException(Errno.EIO, "no devices");
        }
    }

    private final class Memory implements Aperture {
        private final Aperture good;

        Memory(Aperture good) {
            this.good = good;
        }

        @Override
        public PfnRange pfns() {
            return good.pfns();
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            good.read(offsetBytes, destination);
            long endBytes = offsetBytes + destination.byteSize();
            if (!mended && endBytes > Page.addressOf(FIRST_BAD_PAGE)) {
                destination.set(ValueLayout.JAVA_BYTE, destination.byteSize() - 1, (byte) 1);
            }
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            good.write(offsetBytes, source);
        }

        @Override
        public void fill(long offsetBytes, long lengthBytes, byte value) {
            good.fill(offsetBytes, lengthBytes, value);
        }
    }
}
