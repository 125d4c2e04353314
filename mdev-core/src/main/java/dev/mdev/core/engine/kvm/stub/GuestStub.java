package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.page.Access;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;

/// The program that a virtual processor runs: fewer than 200 bytes of x86-64 machine code that do
/// the guest's loads and stores, each by one real instruction of the requested width.
///
/// ```
/// doorbell:  mov [rbp], eax        ; a store to where no memory is: KVM_EXIT_MMIO, "I am done"
/// fetch:     mov rdi, [rbx+ADDRESS]; the next row of accesses, from the mailbox
///            mov rcx, [rbx+COUNT]
///            mov rdx, [rbx+STRIDE]
///            mov rax, [rbx+VALUE]
///            mov rsi, [rbx+STEP]
///            jmp [rbx+ROUTINE]
/// load:      mov rax, [rdi]        ; or movzx, or mov eax: the access
///            mov [rsi], rax        ; the value, into the mailbox
///            add rsi, 8
///            add rdi, rdx
///            dec rcx
///            jnz load
///            jmp doorbell
/// store:     mov [rdi], rax        ; or eax, ax, al: the access
///            add rax, rsi
///            add rdi, rdx
///            dec rcx
///            jnz store
///            jmp doorbell
/// ```
///
/// A machine with system management mode also has an instruction of its own to leave that mode:
///
/// ```
/// rsm:       rsm
/// ```
///
/// All state is in registers, so the next run of the processor continues an interrupted row, and
/// rip and rcx show its progress ([#done]).
public final class GuestStub {
    /// The program's entry for a new row.
    private final int fetch;

    private final int rsm;
    private final byte[] code;

    /// Indexed by [#index].
    private final Routine[] routines = new Routine[8];

    /// Offsets of one routine's instructions in the code.
    ///
    /// @param access the instruction that makes the guest's access
    /// @param accessDone the value of rip when an access, including its value, is complete
    /// @param counted the value of rip when it has also been counted in rcx
    record Routine(int access, int accessDone, int counted) {}

    /// Fields of the mailbox, in bytes from its start.
    static final int ROUTINE = 0;

    static final int ADDRESS = 8;
    static final int COUNT = 16;
    static final int STRIDE = 24;
    static final int VALUE = 32;
    static final int STEP = 40;

    public GuestStub() {
        Assembler a = new Assembler();
        int doorbell = a.here();
        a.bytes(0x89, 0x45, 0x00);
        fetch = a.here();
        a.bytes(0x48, 0x8b, 0x7b, ADDRESS);
        a.bytes(0x48, 0x8b, 0x4b, COUNT);
        a.bytes(0x48, 0x8b, 0x53, STRIDE);
        a.bytes(0x48, 0x8b, 0x43, VALUE);
        a.bytes(0x48, 0x8b, 0x73, STEP);
        a.bytes(0xff, 0x63, ROUTINE);
        for (int width = 1; width <= 8; width <<= 1) {
            routines[index(Access.READ, width)] = load(a, width, doorbell);
            routines[index(Access.WRITE, width)] = store(a, width, doorbell);
        }
        rsm = a.here();
        a.bytes(0x0f, 0xaa);
        code = a.code();
    }

    private static Routine load(Assembler a, int widthBytes, int doorbell) {
        int access = a.here();
        switch (widthBytes) {
            case 1 -> a.bytes(0x0f, 0xb6, 0x07);
            case 2 -> a.bytes(0x0f, 0xb7, 0x07);
            case 4 -> a.bytes(0x8b, 0x07);
            default -> a.bytes(0x48, 0x8b, 0x07);
        }
        a.bytes(0x48, 0x89, 0x06);
        int accessDone = a.here();
        a.bytes(0x48, 0x83, 0xc6, 8);
        return rest(a, access, accessDone, doorbell);
    }

    private static Routine store(Assembler a, int widthBytes, int doorbell) {
        int access = a.here();
        switch (widthBytes) {
            case 1 -> a.bytes(0x88, 0x07);
            case 2 -> a.bytes(0x66, 0x89, 0x07);
            case 4 -> a.bytes(0x89, 0x07);
            default -> a.bytes(0x48, 0x89, 0x07);
        }
        int accessDone = a.here();
        a.bytes(0x48, 0x01, 0xf0);
        return rest(a, access, accessDone, doorbell);
    }

    private static Routine rest(Assembler a, int access, int accessDone, int doorbell) {
        a.bytes(0x48, 0x01, 0xd7);
        a.bytes(0x48, 0xff, 0xc9);
        int counted = a.here();
        a.jumpIfNotZero(access);
        a.jump(doorbell);
        return new Routine(access, accessDone, counted);
    }

    private static int index(Access access, int widthBytes) {
        return access.ordinal() * 4 + Integer.numberOfTrailingZeros(widthBytes);
    }

    /// Copies the program to its place in the guest.
    void copyTo(MemorySegment memory) {
        MemorySegment.copy(MemorySegment.ofArray(code), 0, memory, 0, code.length);
    }

    /// The instruction that leaves system management mode.
    int rsm() {
        return rsm;
    }

    int fetch() {
        return fetch;
    }

    Routine routine(Access access, int widthBytes) {
        return routines[index(access, widthBytes)];
    }

    /// The number of completed accesses of a row, from the position of the program.
    ///
    /// @param count of the row
    /// @param left rcx
    /// @param codeOffset rip, less the address of the code
    long done(Routine routine, long count, long left, long codeOffset) {
        if (codeOffset < fetch) {
            return count;
        }
        if (codeOffset < routines[0].access) {
            return 0;
        }
        boolean inRoutine = codeOffset >= routine.access && codeOffset < routine.counted;
        boolean uncounted = inRoutine && codeOffset >= routine.accessDone;
        return count - left + (uncounted ? 1 : 0);
    }

    /// Machine code under construction.
    private static final class Assembler {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        int here() {
            return out.size();
        }

        void bytes(int... bytes) {
            for (int b : bytes) {
                out.write(b);
            }
        }

        void jumpIfNotZero(int target) {
            bytes(0x75, target - (here() + 2));
        }

        void jump(int target) {
            int distance = target - (here() + 5);
            bytes(0xe9, distance, distance >> 8, distance >> 16, distance >> 24);
        }

        byte[] code() {
            return out.toByteArray();
        }
    }
}
