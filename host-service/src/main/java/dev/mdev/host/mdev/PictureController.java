package dev.mdev.host.mdev;

import dev.mdev.api.Display;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Scanout;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.springframework.http.CacheControl;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.util.UUID;
import java.util.concurrent.Semaphore;

/// `/api/v1/mdevs/{uuid}/picture`: what a device puts out as a display.
@RestController
@RequestMapping("/api/v1/mdevs")
class PictureController {
    /// A picture may be as large as a screen, 64 MiB before it is encoded: so many at a time.
    private static final int MOST_AT_ONCE = 2;

    private final MdevService mdevs;
    private final Semaphore places = new Semaphore(MOST_AT_ONCE);

    PictureController(MdevService mdevs) {
        this.mdevs = mdevs;
    }

    /// @throws ProblemException if the device is no display, shows nothing, or its driver failed
    @GetMapping(path = "/{uuid}/picture", produces = MediaType.IMAGE_PNG_VALUE)
    ResponseEntity<byte[]> picture(@PathVariable UUID uuid) {
        Mdev mdev = mdevs.get(uuid);
        if (!places.tryAcquire()) {
            throw new ProblemException(
                    Problem.UNAVAILABLE, MOST_AT_ONCE + " pictures are being made already");
        }
        try {
            return ResponseEntity.ok()
                    .cacheControl(CacheControl.noStore())
                    .contentType(MediaType.IMAGE_PNG)
                    .body(shownBy(mdev).png());
        } finally {
            places.release();
        }
    }

    private static Display.Picture shownBy(Mdev mdev) {
        return switch (scanoutOf(mdev)) {
            case Scanout.Shown shown -> shown.picture();
            case Scanout.NoDisplay _ -> throw ProblemException.notFound(mdev + " is no display");
            case Scanout.Blank _ ->
                    throw new ProblemException(
                            Problem.WRONG_STATE,
                            mdev + " shows nothing: its display is off or blank");
        };
    }

    private static Scanout scanoutOf(Mdev mdev) {
        try {
            return mdev.scanout();
        } catch (MdevException e) {
            throw ProblemException.driverFailed(e);
        }
    }
}
