package dev.mdev.host.mdev;

import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.web.Items;

import jakarta.validation.Valid;

import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.net.URI;
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
    Items<MdevDefinition> list() {
        return new Items<>(definitions.list());
    }

    @GetMapping("/{uuid}")
    MdevDefinition read(@PathVariable UUID uuid) {
        return definitions.get(uuid);
    }

    /// Writes a definition, or changes its autostart.
    @PutMapping("/{uuid}")
    ResponseEntity<MdevDefinition> define(
            @PathVariable UUID uuid, @Valid @RequestBody DefinitionSpec spec) {
        DefinitionService.Defined defined = definitions.define(uuid, spec);
        return defined.now()
                ? ResponseEntity.created(URI.create("/api/v1/definitions/" + uuid))
                        .body(defined.definition())
                : ResponseEntity.ok(defined.definition());
    }

    /// Deletes a definition. An active device stays.
    @DeleteMapping("/{uuid}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void undefine(@PathVariable UUID uuid) {
        definitions.undefine(uuid);
    }

    /// Deletes a damaged definition file.
    @DeleteMapping("/quarantined/{file}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void discard(@PathVariable String file) {
        definitions.discard(file);
    }
}
