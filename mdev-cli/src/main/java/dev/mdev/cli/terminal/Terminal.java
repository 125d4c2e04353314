package dev.mdev.cli.terminal;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Printable;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.function.Supplier;

/// Where a verb writes. Everything is UTF-8, in each locale.
///
/// One thread uses it.
public final class Terminal {
    private static final String CLEAR_TO_END = "\u001b[K";

    private final InputStream in;
    private final OutputStream out;
    private final OutputStream errors;
    private final boolean isTerminal;
    private final Supplier<OptionalInt> rows;
    private boolean hasFailed;

    /// @param isTerminal whether `out` is a terminal
    /// @param rows the lines that the terminal shows at once, if that is known
    public Terminal(
            InputStream in,
            OutputStream out,
            OutputStream errors,
            boolean isTerminal,
            Supplier<OptionalInt> rows) {
        this.in = in;
        this.out = new BufferedOutputStream(out);
        this.errors = errors;
        this.isTerminal = isTerminal;
        this.rows = rows;
    }

    /// One of unknown size.
    public Terminal(InputStream in, OutputStream out, OutputStream errors, boolean isTerminal) {
        this(in, out, errors, isTerminal, OptionalInt::empty);
    }

    /// The streams of this process.
    public static Terminal ofProcess(boolean isTerminal) {
        return new Terminal(
                new FileInputStream(FileDescriptor.in),
                new FileOutputStream(FileDescriptor.out),
                new FileOutputStream(FileDescriptor.err),
                isTerminal,
                Stty::rows);
    }

    /// Whether people look at the output.
    public boolean isTerminal() {
        return isTerminal;
    }

    /// The lines that people see at once, if that is known.
    public OptionalInt rows() {
        return isTerminal ? rows.get() : OptionalInt.empty();
    }

    public InputStream in() {
        return in;
    }

    /// Prints a line. Characters that a terminal could obey are escaped.
    public void line(String text) {
        safeLine(Printable.of(text));
    }

    /// Prints lines that are harmless, or whose escape sequences are ours.
    public void safeLine(String text) {
        byte[] bytes = (text + "\n").getBytes(StandardCharsets.UTF_8);
        try {
            out.write(bytes);
        } catch (IOException e) {
            throw outputFailed(e);
        }
    }

    /// Writes a text over the line that it wrote last, for people at a terminal.
    public void renew(String text) {
        byte[] bytes = ("\r" + Printable.of(text) + CLEAR_TO_END).getBytes(StandardCharsets.UTF_8);
        try {
            out.write(bytes);
        } catch (IOException e) {
            throw outputFailed(e);
        }
        flush();
    }

    /// Writes bytes as they are.
    public OutputStream bytes() {
        return out;
    }

    public void flush() {
        if (hasFailed) {
            // What is left cannot be written either, and the failure has been told.
            return;
        }
        try {
            out.flush();
        } catch (IOException e) {
            throw outputFailed(e);
        }
    }

    /// Prints a line to the errors. If nobody reads them, nothing is left to do about it.
    public void error(String text) {
        byte[] bytes = (Printable.of(text) + "\n").getBytes(StandardCharsets.UTF_8);
        try {
            errors.write(bytes);
            errors.flush();
        } catch (IOException e) {
            return;
        }
    }

    private RuntimeException outputFailed(IOException cause) {
        hasFailed = true;
        String message = String.valueOf(cause.getMessage());
        return isPipe() || message.toLowerCase(Locale.ROOT).contains("broken pipe")
                ? new ClosedPipeException(cause)
                : new Failure(ExitCode.FAILED, "cannot write the output: " + message);
    }

    /// Whether the output is a pipe or a socket. The message of the error depends on the locale.
    private static boolean isPipe() {
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/1")).toString();
            return target.startsWith("pipe:") || target.startsWith("socket:");
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }
}
