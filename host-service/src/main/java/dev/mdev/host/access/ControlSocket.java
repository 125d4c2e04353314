package dev.mdev.host.access;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import jakarta.annotation.PreDestroy;
import jakarta.servlet.ServletException;

import org.apache.catalina.connector.Connector;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.AbstractProtocol;
import org.apache.coyote.http11.Http11NioProtocol;
import org.apache.tomcat.util.threads.VirtualThreadExecutor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.tomcat.autoconfigure.TomcatServerProperties;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;

/// The Unix socket for callers of this machine: whom the file's mode lets connect is an
/// administrator.
@Component
final class ControlSocket implements WebServerFactoryCustomizer<TomcatServletWebServerFactory> {
    private static final Logger log = LoggerFactory.getLogger(ControlSocket.class);
    private static final String FILE = "mdev.sock";
    private static final String AUTO = "auto";
    private static final String NONE = "none";

    /// As the folder of the sockets of devices: it shows nothing.
    private static final String FOLDER_PERMISSIONS = "rwx--x--x";

    private static final Duration HEADER_TIME = Duration.ofSeconds(10);

    private final AccessProperties.Socket properties;
    private final TomcatServerProperties server;
    private final Path folder;
    private Optional<Path> path = Optional.empty();

    ControlSocket(
            AccessProperties properties,
            TomcatServerProperties server,
            @Value("${mdev.socket-dir:/run/mdev-host}") Path folder) {
        this.properties = properties.socket();
        this.server = server;
        this.folder = folder;
    }

    @Override
    public void customize(TomcatServletWebServerFactory factory) {
        path = place();
        path.ifPresent(it -> {
            Connector connector = connector(it);
            factory.addAdditionalConnectors(connector);
            factory.addEngineValves(new Mark(connector));
        });
    }

    /// Where the socket is. Without a setting, a place that cannot be used is no failure.
    private Optional<Path> place() {
        if (properties.path().equals(NONE)) {
            return Optional.empty();
        }
        boolean isWanted = !properties.path().equals(AUTO);
        Path file = (isWanted ? Path.of(properties.path()) : folder.resolve(FILE)).toAbsolutePath();
        try {
            makeRoom(file);
            return Optional.of(file);
        } catch (MdevException e) {
            if (isWanted) {
                throw e;
            }
            log.info("no socket for this machine's callers: {}", e.toString());
            return Optional.empty();
        }
    }

    /// @throws MdevException EBUSY if a process listens there, EEXIST if it is no socket
    private static void makeRoom(Path file) {
        try {
            Path parent = file.getParent();
            if (parent != null && !Files.isDirectory(parent)) {
                Files.createDirectories(
                        parent,
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString(FOLDER_PERMISSIONS)));
            }
            if (parent != null && !Files.isWritable(parent)) {
                throw new MdevException(Errno.EACCES, "cannot write to folder=" + parent);
            }
            if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
                removeStale(file);
            }
        } catch (IOException e) {
            throw new MdevException(
                    Errno.EACCES, "mdev.access.socket.path=%s: %s".formatted(file, e), e);
        }
    }

    private static void removeStale(Path file) throws IOException {
        Object mode = Files.getAttribute(file, "unix:mode", LinkOption.NOFOLLOW_LINKS);
        if (!(mode instanceof Integer bits) || (bits & 0170000) != 0140000) {
            throw new MdevException(
                    Errno.EEXIST, "mdev.access.socket.path=%s is no socket".formatted(file));
        }
        try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            probe.connect(UnixDomainSocketAddress.of(file));
        } catch (IOException e) {
            // Nobody listens: a service that was killed left it.
            Files.delete(file);
            return;
        }
        throw new MdevException(Errno.EBUSY, "another service listens at socket=" + file);
    }

    private Connector connector(Path file) {
        Http11NioProtocol protocol = new Http11NioProtocol();
        Connector connector = new Connector(protocol);
        connector.setProperty("unixDomainSocketPath", file.toString());
        connector.setProperty("unixDomainSocketPathPermissions", properties.permissions());
        Duration timeout = server.getConnectionTimeout();
        protocol.setConnectionTimeout((int) (timeout == null ? HEADER_TIME : timeout).toMillis());
        protocol.setMaxConnections(server.getMaxConnections());
        connector.setProperty("maxExtensionSize", "16");
        connector.setProperty("maxTrailerSize", "16");
        ((AbstractProtocol<?>) protocol).setExecutor(new VirtualThreadExecutor("socket-handler-"));
        return connector;
    }

    /// Tells the requests of the socket from all others: nothing that a client sends does.
    private static final class Mark extends ValveBase {
        private final Connector connector;

        Mark(Connector connector) {
            super(true);
            this.connector = connector;
        }

        @Override
        public void invoke(Request request, Response response)
                throws IOException, ServletException {
            if (connector.equals(request.getConnector())) {
                request.setAttribute(Credentials.BY_SOCKET, true);
            }
            getNext().invoke(request, response);
        }
    }

    @EventListener
    void ready(ApplicationReadyEvent event) {
        path.ifPresent(it -> {
            giveToGroup(it);
            log.info("callers of this machine: socket={} mode={}", it, properties.mode());
        });
    }

    private void giveToGroup(Path file) {
        String name = properties.group();
        if (name == null) {
            return;
        }
        try {
            GroupPrincipal group =
                    file.getFileSystem()
                            .getUserPrincipalLookupService()
                            .lookupPrincipalByGroupName(name);
            PosixFileAttributeView view =
                    Files.getFileAttributeView(file, PosixFileAttributeView.class);
            view.setGroup(group);
        } catch (IOException e) {
            throw new MdevException(
                    Errno.EPERM, "mdev.access.socket.group=%s: %s".formatted(name, e), e);
        }
    }

    @PreDestroy
    void remove() {
        path.ifPresent(it -> {
            try {
                Files.deleteIfExists(it);
            } catch (IOException e) {
                log.warn("the socket stays: {}", e.toString());
            }
        });
    }
}
