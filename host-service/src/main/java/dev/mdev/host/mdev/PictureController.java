package dev.mdev.host.mdev;

import dev.mdev.api.Display;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Scanout;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.RequestWork;
import dev.mdev.host.web.TransferLimit;

import jakarta.servlet.http.HttpServletResponse;

import org.springframework.http.CacheControl;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.io.IOException;
import java.io.OutputStream;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;

/// `/api/v1/mdevs/{uuid}/picture`: the output of a display device.
@RestController
@RequestMapping("/api/v1/mdevs")
class PictureController {
    /// A picture may be as large as a screen, 64 MiB before it is encoded: the maximum number at a
    /// time.
    private static final int MAX_CONCURRENT = 2;

    private final MdevService mdevs;
    private final TransferLimit limit;
    private final Semaphore places = new Semaphore(MAX_CONCURRENT);

    PictureController(MdevService mdevs, TransferLimit limit) {
        this.mdevs = mdevs;
        this.limit = limit;
    }

    /// A picture keeps its place until the client has all of it, or either is given up: until then
    /// the bytes are in memory.
    ///
    /// @throws ProblemException if the device is not a display, shows nothing, or its driver failed
    @GetMapping(path = "/{uuid}/picture", produces = MediaType.IMAGE_PNG_VALUE)
    void picture(@PathVariable UUID uuid, HttpServletResponse response) throws IOException {
        Mdev mdev = mdevs.get(uuid);
        if (!places.tryAcquire()) {
            throw new ProblemException(
                    Problem.UNAVAILABLE, MAX_CONCURRENT + " pictures are already in transfer");
        }
        AtomicBoolean taken = new AtomicBoolean(true);
        Runnable release =
                () -> {
                    if (taken.getAndSet(false)) {
                        places.release();
                    }
                };
        RequestWork.current().whenGivenUp(release);
        try {
            send(Png.encode(pictureOf(mdev)), response);
        } finally {
            release.run();
        }
    }

    private void send(byte[] png, HttpServletResponse response) throws IOException {
        OutputStream out = RequestWork.current().access(() -> headed(png, response));
        out.write(png);
        out.flush();
    }

    private OutputStream headed(byte[] png, HttpServletResponse response) throws IOException {
        response.setContentType(MediaType.IMAGE_PNG_VALUE);
        response.setHeader(HttpHeaders.CACHE_CONTROL, CacheControl.noStore().getHeaderValue());
        response.setContentLength(png.length);
        return limit.limited(response.getOutputStream());
    }

    private static Display.Picture pictureOf(Mdev mdev) {
        return switch (mdev.scanout()) {
            case Scanout.Shown shown -> shown.picture();
            case Scanout.NoDisplay _ -> throw ProblemException.notFound(mdev + " is not a display");
            case Scanout.Blank _ ->
                    throw new ProblemException(
                            Problem.WRONG_STATE,
                            mdev + " shows nothing: its display is off or blank");
        };
    }
}
