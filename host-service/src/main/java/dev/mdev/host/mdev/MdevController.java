package dev.mdev.host.mdev;

import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Selector;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.LongCall;
import dev.mdev.host.web.Paging;

import jakarta.validation.Valid;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.UUID;

/// `/api/v1/mdevs`.
@RestController
@RequestMapping("/api/v1/mdevs")
class MdevController {
    private static final int MAX_RECENT = 256;

    private final MdevService mdevs;
    private final MdevRehearsal rehearsal;

    MdevController(MdevService mdevs, MdevRehearsal rehearsal) {
        this.mdevs = mdevs;
        this.rehearsal = rehearsal;
    }

    @GetMapping
    Items<MdevView> list(
            @RequestParam(required = false) @Nullable String parent,
            @RequestParam(required = false) @Nullable String type,
            @RequestParam(required = false) @Nullable String machine,
            @RequestParam(required = false) @Nullable Activity activity,
            @RequestParam(required = false) @Nullable Owner owner,
            @RequestParam(required = false) @Nullable Boolean defined,
            @RequestParam(required = false) @Nullable List<String> label,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        return mdevs.list(
                new MdevFilter(parent, type, machine, activity, owner, defined),
                Selector.of(label),
                new Paging(limit, after));
    }

    @PostMapping
    ResponseEntity<MdevView> create(
            @Valid @RequestBody MdevSpec spec,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        UUID uuid = spec.uuid() == null ? UUID.randomUUID() : spec.uuid();
        if (dryRun) {
            mdevs.checkCreate(uuid, spec);
            throw new DryRunException();
        }
        return created(mdevs.create(uuid, spec));
    }

    /// Creates the device unless it exists: a repeated request changes nothing.
    @PutMapping("/{uuid}")
    ResponseEntity<MdevView> ensure(
            @PathVariable UUID uuid,
            @Valid @RequestBody MdevSpec spec,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (spec.uuid() != null && !spec.uuid().equals(uuid)) {
            throw ProblemException.invalid(
                    List.of(new Violation("/uuid", "not the UUID of the path")));
        }
        if (dryRun) {
            mdevs.checkEnsure(uuid, spec);
            throw new DryRunException();
        }
        MdevService.Ensured ensured = mdevs.ensure(uuid, spec);
        return ensured.made() ? created(ensured.mdev()) : ResponseEntity.ok(ensured.mdev());
    }

    private static ResponseEntity<MdevView> created(MdevView mdev) {
        return ResponseEntity.created(URI.create("/api/v1/mdevs/" + mdev.uuid())).body(mdev);
    }

    @GetMapping("/{uuid}")
    MdevView read(@PathVariable UUID uuid) {
        return mdevs.view(uuid);
    }

    /// Changes the display name, the description and the labels.
    @PatchMapping(
            path = "/{uuid}",
            consumes = {MergePatch.TYPE, MediaType.APPLICATION_JSON_VALUE})
    MdevView patch(
            @PathVariable UUID uuid,
            @RequestBody MergePatch patch,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            rehearsal.patch(uuid, patch);
            throw new DryRunException();
        }
        mdevs.patch(uuid, patch);
        return mdevs.view(uuid);
    }

    /// Ends a device and deletes its definition. With a grace time, the answer names the holder.
    @DeleteMapping("/{uuid}")
    @LongCall("remove")
    ResponseEntity<RemovalView> remove(
            @PathVariable UUID uuid,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        RemovalRequest how = new RemovalRequest(grace, force);
        if (dryRun) {
            rehearsal.end(uuid, how, false);
            throw new DryRunException();
        }
        RemovalView removed = mdevs.remove(uuid, how);
        return grace == null ? ResponseEntity.noContent().build() : ResponseEntity.ok(removed);
    }

    /// Starts a defined device.
    @PostMapping("/{uuid}/start")
    MdevView start(@PathVariable UUID uuid, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            rehearsal.start(uuid);
            throw new DryRunException();
        }
        return mdevs.start(uuid);
    }

    /// Ends a device; its definition stays.
    @PostMapping("/{uuid}/stop")
    @LongCall("stop")
    RemovalView stop(
            @PathVariable UUID uuid,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        RemovalRequest how = new RemovalRequest(grace, force);
        if (dryRun) {
            rehearsal.end(uuid, how, true);
            throw new DryRunException();
        }
        return mdevs.stop(uuid, how);
    }

    /// Adopts a foreign device.
    @PostMapping("/{uuid}/adopt")
    MdevView adopt(@PathVariable UUID uuid, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            rehearsal.adopt(uuid);
            throw new DryRunException();
        }
        return mdevs.adopt(uuid);
    }

    @GetMapping("/{uuid}/faults")
    FaultsView faults(@PathVariable UUID uuid, @RequestParam(defaultValue = "20") int limit) {
        if (limit < 0 || limit > MAX_RECENT) {
            throw ProblemException.invalid(
                    List.of(new Violation("", "limit is 0 to " + MAX_RECENT)));
        }
        return FaultsView.of(mdevs.get(uuid), limit);
    }

    @PostMapping("/{uuid}/revoke")
    RevokeResult revoke(
            @PathVariable UUID uuid,
            @Valid @RequestBody(required = false) @Nullable RevokeRequest what,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        RevokeRequest wanted = what == null ? new RevokeRequest(null, null, null) : what;
        if (dryRun) {
            var _ = mdevs.checkRevoke(uuid, wanted);
            throw new DryRunException();
        }
        return mdevs.revoke(uuid, wanted);
    }

    @PostMapping("/{uuid}/reset")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void reset(@PathVariable UUID uuid, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = mdevs.get(uuid);
            return;
        }
        mdevs.reset(uuid);
    }
}
