package dev.mdev.host.machine;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;

import dev.mdev.core.vm.GuestProgram;

import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

/// A guest program as a client writes it.
///
/// @param steps the steps, in order
/// @param continueAfterFault whether to execute the steps after a fault; no if absent
/// @param deadlineMillis when to stop it; 10 seconds if absent
record ProgramRequest(
        @NotNull @Size(min = 1, max = GuestProgram.MAX_STEPS) List<@NotNull Step> steps,
        @Nullable Boolean continueAfterFault,
        @Nullable @Min(1) Long deadlineMillis) {

    /// A step. Most are a row of accesses: access `i` is at `at + i * stride`, `width` bytes wide.
    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "op")
    @JsonSubTypes({
        @JsonSubTypes.Type(value = Read.class, name = "read"),
        @JsonSubTypes.Type(value = Write.class, name = "write"),
        @JsonSubTypes.Type(value = Check.class, name = "check"),
        @JsonSubTypes.Type(value = Fill.class, name = "fill"),
        @JsonSubTypes.Type(value = Smi.class, name = "smi"),
        @JsonSubTypes.Type(value = Rsm.class, name = "rsm")
    })
    sealed interface Step {
        /// The step's word.
        String op();
    }

    /// Loads `count` values and returns them.
    ///
    /// @param width 1, 2, 4 or 8; 8 if absent
    /// @param count the number of accesses; 1 if absent
    /// @param stride from one to the next in bytes; the width if absent
    record Read(
            @Nullable Address at,
            @Nullable Integer width,
            @Nullable Long count,
            @Nullable Long stride)
            implements Step {
        @Override
        public String op() {
            return "read";
        }
    }

    /// Stores `value`, `value + step`, `value + 2 * step`...
    ///
    /// @param value 0 if absent
    /// @param step 0 if absent
    record Write(
            @Nullable Address at,
            @Nullable Integer width,
            @Nullable Long count,
            @Nullable Long stride,
            @Nullable U64 value,
            @Nullable Long step)
            implements Step {
        @Override
        public String op() {
            return "write";
        }
    }

    /// Loads, and compares with what the same `write` would have stored.
    record Check(
            @Nullable Address at,
            @Nullable Integer width,
            @Nullable Long count,
            @Nullable Long stride,
            @Nullable U64 value,
            @Nullable Long step)
            implements Step {
        @Override
        public String op() {
            return "check";
        }
    }

    /// Stores one value over a whole range.
    ///
    /// @param bytes the range's length, a multiple of the width
    record Fill(
            @Nullable Address at, @Nullable Integer width, @Nullable U64 bytes, @Nullable U64 value)
            implements Step {
        @Override
        public String op() {
            return "fill";
        }
    }

    /// A system management interrupt arrives.
    record Smi() implements Step {
        @Override
        public String op() {
            return "smi";
        }
    }

    /// Leaves system management mode.
    record Rsm() implements Step {
        @Override
        public String op() {
            return "rsm";
        }
    }

    /// A guest-physical address: `gpa`, or a place in a BAR of a device of this machine.
    ///
    /// @param offset in the BAR; 0 if absent
    record Address(
            @Nullable U64 gpa, @Nullable UUID mdev, @Nullable Integer bar, @Nullable U64 offset) {}
}
