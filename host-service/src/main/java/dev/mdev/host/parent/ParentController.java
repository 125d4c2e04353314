package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.device.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.host.web.Items;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/// `/api/v1/parents`.
@RestController
@RequestMapping("/api/v1/parents")
class ParentController {
    private final MdevBus bus;

    ParentController(MdevBus bus) {
        this.bus = bus;
    }

    @GetMapping
    Items<ParentView> list() {
        return new Items<>(bus.parents().stream().map(this::view).toList());
    }

    @GetMapping("/{name}")
    ParentView read(@PathVariable String name) {
        return view(bus.parent(name));
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
                (int) bus.mdevs().stream().filter(mdev -> mdev.parent() == parent).count(),
                parent.usage(),
                parent.types().stream().map(type -> view(parent, type)).toList());
    }

    private TypeView view(Parent parent, MdevType type) {
        int available = bus.available(parent, type);
        String refusal =
                available > 0
                        ? null
                        : parent.explain(type)
                                .orElse("there are %d already".formatted(type.maxInstances()));
        return new TypeView(
                type.id(),
                type.name(),
                type.description(),
                type.deviceApi(),
                type.maxInstances(),
                available,
                refusal,
                type.demands());
    }
}
