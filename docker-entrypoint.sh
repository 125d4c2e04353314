#!/bin/sh
# Starts the service in its image. Jars of further drivers are mounted to /opt/mdev/drivers.
#
# Environment, beside the service's own settings:
#   JAVA_OPTS   more options for the Java runtime
set -eu

# As in bin/mdev-host; the Dockerfile makes the cache of classes with the same.
memory="-XX:+UseG1GC -XX:MinHeapFreeRatio=10 -XX:MaxHeapFreeRatio=20 -XX:G1PeriodicGCInterval=10000 \
    -XX:+UseCompactObjectHeaders -XX:TrimNativeHeapInterval=10000"

# Unquoted on purpose: options are separated by blanks.
# shellcheck disable=SC2086
exec java -XX:+ExitOnOutOfMemoryError $memory -XX:AOTCache=/opt/mdev/mdev-host.aot \
    -Djna.boot.library.path=/opt/mdev/native -Djna.nounpack=true \
    -Dmdev.plugin-dir=/opt/mdev/drivers --enable-native-access=ALL-UNNAMED ${JAVA_OPTS:-} \
    -cp /opt/mdev/mdev-host.jar dev.mdev.host.MdevHostApplication "$@"
