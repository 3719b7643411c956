#!/usr/bin/env bash
# Measures the parts of a frame's way alone, with JMH: nanoseconds a frame, in one thread, without anything that another
# CPU's caches or a system call would cost.
#
# jmh.sh [JMH ARGUMENT]...
#
#   RingBenchmark      32 chains taken from a transmitq and given back; "refill" is the driver's part in it
#   WireBenchmark      a turn of a wire from ring to ring, without elements (rules=0) and with a filter
#   ElementBenchmark   filter and count on a burst; "snapshots" is the part in it that is not theirs
#
# Without arguments everything runs, for about seven minutes. A regular expression chooses benchmarks, the rest is JMH's:
#
#   jmh.sh Wire -p ring=split -p frameBytes=64      for these values of parameters; -l lists benchmarks, -lp values too
#   jmh.sh Ring -prof gc                            "gc.alloc.rate.norm": bytes a frame, to be about 0
#   jmh.sh Element -f 1 -wi 2 -i 3 -w 1s -r 1s      forks, iterations and time of warm-up and measurement
#   jmh.sh -rf json -rff FILE                       figures into a file; -h explains all arguments
#
# Builds if something has changed; JVMs get the launcher's flags. tests/jmh/target/jmh can be copied, and compared later with
# another build: java -cp 'COPY/classes:COPY/lib/*' org.openjdk.jmh.Main.
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"

[[ ${1:-} != --help ]] || { usage; exit; }
readonly BUILT=$ROOT/tests/jmh/target/jmh

# is_current: nothing is newer than the build.
is_current() {
    local sources=("$ROOT"/{virtqueue,vhost-user,middlebox-offload,tests/driver-sim,tests/jmh}/{src,pom.xml} "$ROOT/pom.xml")
    [[ -d $BUILT/lib && -z $(find "${sources[@]}" -type f -newer "$BUILT/lib" -print -quit) ]]
}

if ! is_current; then
    progress "building"
    (cd "$ROOT" && mvn -q -DskipTests -Dspotless.check.skip -pl tests/jmh -am package) >&2
    touch "$BUILT/lib"
fi
flags=(-XX:+UseSerialGC -Xms64m -Xmn48m -Xmx512m -XX:-UsePerfData)
version=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')
((version < 24)) || flags+=(--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow)
exec java "${flags[@]}" -cp "$BUILT/classes:$BUILT/lib/*" org.openjdk.jmh.Main "$@"
