package dev.mdev.api;

/// The reason of a failure, as a value: the content of an [MdevException] that is not thrown.
///
/// @param errno the Linux error number that a C caller would get
/// @param reason for people; names the relevant values
public record Refusal(Errno errno, String reason) {
    public static Refusal of(MdevException e) {
        return new Refusal(e.errno(), e.getMessage());
    }

    public MdevException toException() {
        return new MdevException(errno, reason);
    }
}
