package dev.mdev.api;

/// Texts of settings, with errors that an operator can act on.
final class SettingText {
    private SettingText() {}

    static int number(String key, String text, int least, int most) {
        try {
            int value = Integer.parseInt(text.strip());
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            // Falls through: the same message covers a text that is not a number.
        }
        throw bad(key, text, least + " to " + most);
    }

    static boolean flag(String key, String text) {
        return switch (text.strip()) {
            case "true" -> true;
            case "false" -> false;
            default -> throw bad(key, text, "true or false");
        };
    }

    private static MdevException bad(String key, String text, String wanted) {
        return new MdevException(
                Errno.EINVAL, "setting=%s value=\"%s\" wanted=%s".formatted(key, text, wanted));
    }
}
