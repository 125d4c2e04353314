package dev.mdev.host.mdev;

import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Selector;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Items;
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

    MdevController(MdevService mdevs) {
        this.mdevs = mdevs;
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
    ResponseEntity<MdevView> create(@Valid @RequestBody MdevSpec spec) {
        UUID uuid = spec.uuid() == null ? UUID.randomUUID() : spec.uuid();
        return created(mdevs.create(uuid, spec));
    }

    /// Creates the device unless it exists: a repeated request changes nothing.
    @PutMapping("/{uuid}")
    ResponseEntity<MdevView> ensure(@PathVariable UUID uuid, @Valid @RequestBody MdevSpec spec) {
        if (spec.uuid() != null && !spec.uuid().equals(uuid)) {
            throw ProblemException.invalid(
                    List.of(new Violation("/uuid", "not the UUID of the path")));
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
    MdevView patch(@PathVariable UUID uuid, @RequestBody MergePatch patch) {
        mdevs.patch(uuid, patch);
        return mdevs.view(uuid);
    }

    /// Ends a device and deletes its definition. With a grace time, the answer names the holder.
    @DeleteMapping("/{uuid}")
    ResponseEntity<RemovalView> remove(
            @PathVariable UUID uuid,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force) {
        RemovalView removed = mdevs.remove(uuid, new RemovalRequest(grace, force));
        return grace == null ? ResponseEntity.noContent().build() : ResponseEntity.ok(removed);
    }

    /// Starts a defined device.
    @PostMapping("/{uuid}/start")
    MdevView start(@PathVariable UUID uuid) {
        return mdevs.start(uuid);
    }

    /// Ends a device; its definition stays.
    @PostMapping("/{uuid}/stop")
    RemovalView stop(
            @PathVariable UUID uuid,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force) {
        return mdevs.stop(uuid, new RemovalRequest(grace, force));
    }

    /// Adopts a foreign device.
    @PostMapping("/{uuid}/adopt")
    MdevView adopt(@PathVariable UUID uuid) {
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
            @Valid @RequestBody(required = false) @Nullable RevokeRequest what) {
        return mdevs.revoke(uuid, what == null ? new RevokeRequest(null, null, null) : what);
    }

    @PostMapping("/{uuid}/reset")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void reset(@PathVariable UUID uuid) {
        mdevs.reset(uuid);
    }
}
