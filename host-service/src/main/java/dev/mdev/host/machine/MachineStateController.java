package dev.mdev.host.machine;

import dev.mdev.core.vm.MachineRestore;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.DryRunException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
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

/// `/api/v1/machines/{name}/state`: a machine with its memory and devices as a stream.
@RestController
@RequestMapping("/api/v1/machines/{name}/state")
class MachineStateController {
    private final MachineStateService states;
    private final MachineCatalog catalog;

    MachineStateController(MachineStateService states, MachineCatalog catalog) {
        this.states = states;
        this.catalog = catalog;
    }

    /// Writes the state while the machine runs, so its length is unknown until the end.
    @GetMapping(produces = MediaType.APPLICATION_OCTET_STREAM_VALUE)
    void save(@PathVariable String name, HttpServletResponse response) throws IOException {
        response.setContentType(MediaType.APPLICATION_OCTET_STREAM_VALUE);
        states.save(name, response.getOutputStream());
    }

    /// Makes a machine out of a state.
    ///
    /// @param newUuids whether its devices get new uuids
    /// @param parent where its devices are made; any parent with their driver and type if null
    @PutMapping(consumes = MediaType.APPLICATION_OCTET_STREAM_VALUE)
    @ResponseStatus(HttpStatus.CREATED)
    RestoredView restore(
            @PathVariable String name,
            @RequestParam(defaultValue = "false") boolean newUuids,
            @RequestParam(required = false) @Nullable String parent,
            @RequestParam(defaultValue = "false") boolean dryRun,
            HttpServletRequest request)
            throws IOException {
        if (dryRun) {
            states.check(name);
            throw new DryRunException();
        }
        MachineRestore.Restored restored =
                states.restore(
                        name,
                        new MachineStateService.Wanted(newUuids, parent),
                        request.getInputStream());
        // A new machine has no labels of an older one.
        catalog.note(name, Metadata.NONE);
        return RestoredView.of(restored);
    }
}
