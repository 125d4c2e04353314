package dev.mdev.cli.client;

import dev.mdev.cli.failure.Failure;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;

import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/// The certificates in a file: who may vouch for a service, in place of those whom the Java runtime
/// trusts.
final class Authorities {
    /// More than all public authorities together have.
    private static final int MAX_BYTES = 4 << 20;

    private Authorities() {}

    /// TLS that trusts the certificates of a file and no others.
    ///
    /// @param file certificates as PEM
    /// @throws Failure if it cannot be read, or has no certificate
    static SSLContext contextOf(Path file) {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            for (Certificate certificate :
                    CertificateFactory.getInstance("X.509")
                            .generateCertificates(new ByteArrayInputStream(read(file)))) {
                store.setCertificateEntry("authority-" + store.size(), certificate);
            }
            if (store.size() == 0) {
                throw noCertificates(file);
            }
            TrustManagerFactory trust =
                    TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            return context;
        } catch (IOException e) {
            throw Failure.usage("cannot read ca-file=" + file);
        } catch (GeneralSecurityException e) {
            throw noCertificates(file);
        }
    }

    private static byte[] read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                throw Failure.usage("ca-file=%s has more than %d bytes".formatted(file, MAX_BYTES));
            }
            return bytes;
        }
    }

    private static Failure noCertificates(Path file) {
        return Failure.usage("ca-file=%s wanted=certificates as PEM".formatted(file));
    }
}
