package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.client.Service;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import java.util.UUID;
import java.util.concurrent.Callable;

/// A verb.
abstract class Verb implements Callable<Integer> {
    private final Session session;

    Verb(Session session) {
        this.session = session;
    }

    final Session session() {
        return session;
    }

    final Service service() {
        return session.service();
    }

    /// Does it.
    ///
    /// @throws Failure if it fails
    abstract ExitCode run();

    @Override
    public final Integer call() {
        session.check();
        ExitCode code = run();
        session.terminal().flush();
        return code.number();
    }

    static ApiPath mdev(UUID uuid, String... more) {
        return path("mdevs", uuid.toString(), more);
    }

    static ApiPath machine(String name, String... more) {
        return path("machines", name, more);
    }

    static ApiPath parent(String name, String... more) {
        return path("parents", name, more);
    }

    private static ApiPath path(String kind, String name, String... more) {
        String[] all = new String[more.length + 2];
        all[0] = kind;
        all[1] = name;
        System.arraycopy(more, 0, all, 2, more.length);
        return ApiPath.of(all);
    }

    static ObjectNode body() {
        return JsonNodeFactory.instance.objectNode();
    }
}
