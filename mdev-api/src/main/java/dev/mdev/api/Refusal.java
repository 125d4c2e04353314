package dev.mdev.api;

/// Why something was not done, as a value: what an [MdevException] says, where nothing is thrown.
///
/// @param errno the Linux error number that a C caller would get
/// @param reason for people; names the values that led here
public record Refusal(Errno errno, String reason) {
    public static Refusal of(MdevException e) {
        return new Refusal(e.errno(), e.getMessage());
    }

    public MdevException toException() {
        return new MdevException(errno, reason);
    }
}
