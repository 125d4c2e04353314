package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.bus.HostDrivers;
import dev.mdev.host.mdev.RemovalRequest;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Filter;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.LongCall;
import dev.mdev.host.web.Paging;

import jakarta.validation.Valid;

import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import java.time.Duration;
import java.util.List;

/// `/api/v1/parents`.
@RestController
@RequestMapping("/api/v1/parents")
class ParentController {
    private final MdevBus bus;
    private final HostDrivers drivers;
    private final ParentExitService exits;
    private final Visibility visibility;

    ParentController(
            MdevBus bus, HostDrivers drivers, ParentExitService exits, Visibility visibility) {
        this.bus = bus;
        this.drivers = drivers;
        this.exits = exits;
        this.visibility = visibility;
    }

    @GetMapping
    Items<ParentView> list(
            @RequestParam(required = false) @Nullable String driver,
            @RequestParam(required = false) Parent.@Nullable Presence presence,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        Caller caller = Caller.current();
        return new Paging(limit, after)
                .sorted(
                        bus.parents().stream()
                                .filter(it -> Filter.fits(driver, it.driverName()))
                                .filter(it -> Filter.fits(presence, it.presence()))
                                .filter(it -> visibility.seesParent(caller, it.name())),
                        Parent::name)
                .map(this::view);
    }

    /// Lets a driver look again: for parents that came, or left before.
    ///
    /// @throws ProblemException if there is no such driver, or it fails
    @PostMapping
    Items<ParentView> lookAgain(
            @Valid @RequestBody DriverRequest request,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (drivers.drivers().stream().noneMatch(it -> it.name().equals(request.driver()))) {
            throw ProblemException.invalid(
                    List.of(new Violation("/driver", "there is no driver=" + request.driver())));
        }
        if (dryRun) {
            throw new DryRunException();
        }
        String parent = request.parent();
        List<Parent> found =
                parent == null
                        ? bus.rescanDriver(request.driver())
                        : List.of(bus.findParent(request.driver(), parent));
        return Items.all(found.stream().map(this::view).toList());
    }

    @GetMapping("/{name}")
    ParentView read(@PathVariable String name) {
        return view(bus.parent(name));
    }

    /// Removes a parent, and ends its devices. With a grace time, the answer lists them.
    @DeleteMapping("/{name}")
    @LongCall("remove")
    ResponseEntity<ParentExitView> remove(
            @PathVariable String name,
            @RequestParam(required = false) @Nullable Duration grace,
            @RequestParam(required = false) @Nullable Boolean force,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        RemovalRequest how = new RemovalRequest(grace, force);
        if (dryRun) {
            exits.check(name, how);
            throw new DryRunException();
        }
        ParentExitView left = exits.remove(name, how);
        return grace == null ? ResponseEntity.noContent().build() : ResponseEntity.ok(left);
    }

    @GetMapping("/{name}/types")
    Items<TypeView> types(
            @PathVariable String name,
            @RequestParam(required = false) @Nullable String deviceApi,
            @RequestParam(required = false) @Nullable Boolean available,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        return new Paging(limit, after)
                .inOrder(
                        view(bus.parent(name)).types().stream()
                                .filter(it -> Filter.fits(deviceApi, it.deviceApi()))
                                .filter(it -> Filter.fits(available, it.availableInstances() > 0))
                                .toList(),
                        TypeView::id);
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
                TypeView.limit(type.maxInstances()),
                available,
                available > 0 ? null : Availability.refusal(parent, type),
                type.demands(),
                type.shared());
    }
}
