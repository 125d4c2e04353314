#!/bin/sh
# Starts the service in its image. Jars of further drivers are mounted to /opt/mdev/drivers.
#
# Environment, beside the service's own settings:
#   JAVA_OPTS   more options for the Java runtime
set -eu
# Unquoted on purpose: options are separated by blanks.
# shellcheck disable=SC2086
exec java -XX:+ExitOnOutOfMemoryError -XX:AOTCache=/opt/mdev/mdev-host.aot \
    -Djna.boot.library.path=/opt/mdev/native -Djna.nounpack=true \
    -Dmdev.plugin-dir=/opt/mdev/drivers --enable-native-access=ALL-UNNAMED ${JAVA_OPTS:-} \
    -cp /opt/mdev/mdev-host.jar dev.mdev.host.MdevHostApplication "$@"
