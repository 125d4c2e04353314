package dev.mdev.host.mdev;

import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Selector;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.web.Filter;
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
import java.util.List;
import java.util.UUID;

/// `/api/v1/definitions`: the definitions of devices.
@RestController
@RequestMapping("/api/v1/definitions")
class DefinitionController {
    private final DefinitionService definitions;

    DefinitionController(DefinitionService definitions) {
        this.definitions = definitions;
    }

    @GetMapping
    Items<DefinitionView> list(
            @RequestParam(required = false) @Nullable String parent,
            @RequestParam(required = false) @Nullable String type,
            @RequestParam(required = false) @Nullable Boolean autostart,
            @RequestParam(required = false) @Nullable List<String> label,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        Selector selector = Selector.of(label);
        return new Paging(limit, after)
                .sorted(
                        definitions.list().stream()
                                .filter(it -> selector.test(definitions.metadata(it.uuid())))
                                .filter(it -> Filter.fits(parent, it.parent()))
                                .filter(it -> Filter.fits(type, it.type()))
                                .filter(it -> Filter.fits(autostart, it.autostart())),
                        it -> it.uuid().toString())
                .map(definitions::view);
    }

    @GetMapping("/{uuid}")
    DefinitionView read(@PathVariable UUID uuid) {
        return definitions.view(uuid);
    }

    /// Writes a definition, or changes its autostart.
    @PutMapping("/{uuid}")
    ResponseEntity<DefinitionView> define(
            @PathVariable UUID uuid,
            @Valid @RequestBody DefinitionSpec spec,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            definitions.check(uuid, spec);
            throw new DryRunException();
        }
        DefinitionService.Defined defined = definitions.define(uuid, spec);
        return defined.now()
                ? ResponseEntity.created(URI.create("/api/v1/definitions/" + uuid))
                        .body(definitions.view(defined.definition()))
                : ResponseEntity.ok(definitions.view(defined.definition()));
    }

    /// Changes the display name, the description and the labels.
    @PatchMapping(
            path = "/{uuid}",
            consumes = {MergePatch.TYPE, MediaType.APPLICATION_JSON_VALUE})
    DefinitionView patch(
            @PathVariable UUID uuid,
            @RequestBody MergePatch patch,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            definitions.checkPatch(uuid, patch);
            throw new DryRunException();
        }
        definitions.patch(uuid, patch);
        return definitions.view(uuid);
    }

    /// Writes the definitions in files of mdevctl. A file that is refused does not affect the
    /// others.
    @PostMapping("/import")
    ImportView importFiles(
            @Valid @RequestBody MdevctlFiles files,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            definitions.check(files.files());
            throw new DryRunException();
        }
        return new ImportView(files.files().stream().map(definitions::importFile).toList());
    }

    /// All definitions as files of mdevctl.
    @GetMapping("/export")
    MdevctlFiles exportFiles() {
        return new MdevctlFiles(definitions.list().stream().map(MdevctlFile::of).toList());
    }

    /// Deletes a definition. An active device stays.
    @DeleteMapping("/{uuid}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void undefine(@PathVariable UUID uuid, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = definitions.get(uuid);
            return;
        }
        definitions.undefine(uuid);
    }

    /// Deletes a damaged definition file.
    @DeleteMapping("/quarantined/{file}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void discard(@PathVariable String file, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            definitions.checkDiscard(file);
            return;
        }
        definitions.discard(file);
    }
}
