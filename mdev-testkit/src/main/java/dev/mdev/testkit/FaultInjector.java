package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.EnumMap;
import java.util.Map;
import java.util.SplittableRandom;

/// Makes the host fail from time to time, according to a seed, at the places where a real host may
/// fail.
///
/// It is off until [#arm]. The same seed and the same order of uses give the same failures.
public final class FaultInjector {
    /// Where the host can fail.
    public enum Site {
        /// [dev.mdev.api.ParentHost#allocateAperture] finds no memory.
        ALLOCATE(Errno.ENOMEM),
        /// A load by the driver from the aperture fails.
        APERTURE_READ(Errno.EIO),
        /// A store or fill by the driver in the aperture fails.
        APERTURE_WRITE(Errno.EIO),
        /// A device's load from guest memory finds none.
        DMA_READ(Errno.EFAULT),
        /// A device's store to guest memory finds none.
        DMA_WRITE(Errno.EFAULT);

        private final Errno errno;

        Site(Errno errno) {
            this.errno = errno;
        }
    }

    @GuardedBy("this")
    private final SplittableRandom random;

    @GuardedBy("this")
    private final Map<Site, Integer> perMille = new EnumMap<>(Site.class);

    @GuardedBy("this")
    private long failures;

    FaultInjector(SplittableRandom random) {
        this.random = random;
    }

    /// Lets a site fail.
    ///
    /// @param failuresPerMille failures per thousand uses, 0 to 1000
    public synchronized void arm(Site site, int failuresPerMille) {
        perMille.put(site, failuresPerMille);
    }

    /// Turns all failures off.
    public synchronized void disarm() {
        perMille.clear();
    }

    /// Failures so far.
    public synchronized long failures() {
        return failures;
    }

    /// @throws MdevException the site's error, when it is its turn to fail
    synchronized void check(Site site) {
        int rate = perMille.getOrDefault(site, 0);
        if (rate > 0 && random.nextInt(1000) < rate) {
            failures++;
            throw new MdevException(site.errno, "injected failure, site=" + site);
        }
    }
}
