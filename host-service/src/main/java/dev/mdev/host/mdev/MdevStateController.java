package dev.mdev.host.mdev;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.io.IOException;
import java.util.UUID;

/// `/api/v1/mdevs/{uuid}/state`: a device's registers and pages as a stream.
@RestController
@RequestMapping("/api/v1/mdevs/{uuid}/state")
class MdevStateController {
    private final StateService states;

    MdevStateController(StateService states) {
        this.states = states;
    }

    /// Writes the state while it is read from the device, so its length is unknown until the end.
    @GetMapping(produces = MediaType.APPLICATION_OCTET_STREAM_VALUE)
    void save(@PathVariable UUID uuid, HttpServletResponse response) throws IOException {
        response.setContentType(MediaType.APPLICATION_OCTET_STREAM_VALUE);
        states.save(uuid, response.getOutputStream());
    }

    @PutMapping(consumes = MediaType.APPLICATION_OCTET_STREAM_VALUE)
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void restore(
            @PathVariable UUID uuid,
            @RequestParam(defaultValue = "false") boolean dryRun,
            HttpServletRequest request)
            throws IOException {
        if (dryRun) {
            states.check(uuid);
            return;
        }
        states.restore(uuid, request.getInputStream());
    }
}
