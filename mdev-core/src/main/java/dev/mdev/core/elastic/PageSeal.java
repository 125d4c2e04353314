package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32C;

import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;

/// Protects pages outside this process: against damage by a CRC-32C, or also against readers and
/// forgers by AES-256-GCM, with a key that only this object has. What proves a page stays here.
final class PageSeal {
    private static final int TAG_BYTES = 16;

    /// Null if pages are not encrypted.
    private final @Nullable SecretKey key;

    /// No number is used twice with the key.
    private final AtomicLong nonces = new AtomicLong();

    private PageSeal(@Nullable SecretKey key) {
        this.key = key;
    }

    static PageSeal checking() {
        return new PageSeal(null);
    }

    static PageSeal encrypting() {
        try {
            KeyGenerator keys = KeyGenerator.getInstance("AES");
            keys.init(256, new SecureRandom());
            return new PageSeal(keys.generateKey());
        } catch (GeneralSecurityException e) {
            throw new MdevException(Errno.EOPNOTSUPP, "no AES: " + e, e);
        }
    }

    /// The proof of a page.
    ///
    /// @param number the CRC, or the nonce
    @SuppressWarnings("ArrayRecordComponent") // handed over, not compared
    record Proof(long number, byte[] tag) {}

    /// A page as it goes out.
    @SuppressWarnings("ArrayRecordComponent") // handed over, not compared
    record Sealed(byte[] bytes, Proof proof) {}

    /// @param offset where the page begins
    Sealed seal(long page, byte[] from, int offset) {
        byte[] plain = Arrays.copyOfRange(from, offset, offset + Page.SIZE);
        if (key == null) {
            return new Sealed(plain, new Proof(crcOf(plain), new byte[0]));
        }
        long nonce = nonces.incrementAndGet();
        byte[] secret = crypt(key, Cipher.ENCRYPT_MODE, nonce, page, plain);
        return new Sealed(
                Arrays.copyOf(secret, Page.SIZE),
                new Proof(nonce, Arrays.copyOfRange(secret, Page.SIZE, secret.length)));
    }

    /// @param sealed one page, as it came back
    /// @throws MdevException EIO if it is not the page that went out
    byte[] open(long page, byte[] sealed, Proof proof) {
        if (key != null) {
            byte[] secret = Arrays.copyOf(sealed, Page.SIZE + TAG_BYTES);
            System.arraycopy(proof.tag(), 0, secret, Page.SIZE, TAG_BYTES);
            return crypt(key, Cipher.DECRYPT_MODE, proof.number(), page, secret);
        }
        if (crcOf(sealed) != proof.number()) {
            throw damaged(page);
        }
        return sealed;
    }

    private static byte[] crypt(SecretKey key, int mode, long nonce, long page, byte[] bytes) {
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            byte[] iv = ByteBuffer.allocate(12).putInt(0).putLong(nonce).array();
            cipher.init(mode, key, new GCMParameterSpec(8 * TAG_BYTES, iv));
            cipher.updateAAD(ByteBuffer.allocate(8).putLong(0, page));
            return cipher.doFinal(bytes);
        } catch (javax.crypto.AEADBadTagException e) {
            throw damaged(page);
        } catch (GeneralSecurityException e) {
            throw new MdevException(Errno.EIO, "AES of page=%d: %s".formatted(page, e), e);
        }
    }

    private static MdevException damaged(long page) {
        return new MdevException(
                Errno.EIO, "the backing store returns another page than it took: page=" + page);
    }

    private static long crcOf(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return crc.getValue();
    }
}
