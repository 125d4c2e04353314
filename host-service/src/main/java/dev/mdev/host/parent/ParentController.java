package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.host.mdev.RemovalRequest;
import dev.mdev.host.web.Items;

import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import java.time.Duration;

/// `/api/v1/parents`.
@RestController
@RequestMapping("/api/v1/parents")
class ParentController {
    private final MdevBus bus;
    private final ParentExitService exits;

    ParentController(MdevBus bus, ParentExitService exits) {
        this.bus = bus;
        this.exits = exits;
    }

    @GetMapping
    Items<ParentView> list() {
        return new Items<>(bus.parents().stream().map(this::view).toList());
    }

    @GetMapping("/{name}")
    ParentView read(@PathVariable String name) {
        return view(bus.parent(name));
    }

    /// Removes a parent, and ends its devices. With a grace time, the answer lists them.
    @DeleteMapping("/{name}")
    ResponseEntity<ParentExitView> remove(
            @PathVariable String name,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force) {
        ParentExitView left = exits.remove(name, new RemovalRequest(grace, force));
        return grace == null ? ResponseEntity.noContent().build() : ResponseEntity.ok(left);
    }

    @GetMapping("/{name}/types")
    Items<TypeView> types(@PathVariable String name) {
        return new Items<>(view(bus.parent(name)).types());
    }

    @GetMapping("/{name}/types/{type}")
    TypeView type(@PathVariable String name, @PathVariable String type) {
        Parent parent = bus.parent(name);
        return view(parent, parent.type(type));
    }

    private ParentView view(Parent parent) {
        return new ParentView(
                parent.name(),
                parent.driverName(),
                parent.description(),
                parent.presence(),
                (int) bus.mdevs().stream().filter(mdev -> mdev.parent() == parent).count(),
                parent.usage(),
                parent.types().stream().map(type -> view(parent, type)).toList());
    }

    private TypeView view(Parent parent, MdevType type) {
        int available = Availability.of(bus, parent, type);
        return new TypeView(
                type.id(),
                type.name(),
                type.description(),
                type.deviceApi(),
                type.maxInstances(),
                available,
                available > 0 ? null : Availability.refusal(parent, type),
                type.demands());
    }
}
