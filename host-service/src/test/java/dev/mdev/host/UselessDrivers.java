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

import java.util.List;

/// Drivers of the host that fail at loading.
final class UselessDrivers {
    private UselessDrivers() {}

    /// A driver whose only device has no name.
    static final class Crooked implements ParentDriver {
        @Override
        public String name() {
            return "crooked";
        }

        @Override
        public List<ParentDevice> probe(ParentHost host) {
            return List.of(new Nameless(host.allocateAperture("crooked", 16)));
        }
    }

    private record Nameless(Aperture aperture) implements ParentDevice {
        @Override
        public String name() {
            throw new NoClassDefFoundError("crooked/Names");
        }

        @Override
        public String description() {
            return "";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of();
        }

        @Override
        public List<MdevType> types() {
            return List.of();
        }

        @Override
        public MdevDevice create(MdevContext context) {
            throw new MdevException(Errno.ENODEV, "no devices");
        }
    }

    /// A driver that does not even have a name.
    static final class Mute implements ParentDriver {
        @Override
        public String name() {
            throw new IllegalStateException("no name today");
        }

        @Override
        public List<ParentDevice> probe(ParentHost host) {
            return List.of();
        }
    }

    /// A driver whose devices do not work.
    static final class Broken implements ParentDriver {
        @Override
        public String name() {
            return "broken";
        }

        @Override
        public List<ParentDevice> probe(ParentHost host) {
            throw new MdevException(Errno.EIO, "the card is on fire");
        }
    }

    /// A driver that does not return until a test releases it.
    static final class Blocked implements ParentDriver {
        @Override
        public String name() {
            return "blocked";
        }

        @Override
        public List<ParentDevice> probe(ParentHost host) {
            HostileDriver.Stuck.hang(true);
            return List.of();
        }
    }
}
