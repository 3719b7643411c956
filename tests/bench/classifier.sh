#!/usr/bin/env bash
# Measures what finding the rule for a frame costs, by the number of rules and of flows.
#
# classifier.sh [STYLE [4|6 [ROUNDS]]]
#
# STYLE (access, firewall, nested, ports, wildcards; default access) is how much of the rules is left open: ClassBench-like
# rules whose prefixes of all lengths nest in each other, the narrower ones first, deny and allow mixed. Frames lie at the
# edges of rules and inside. The figures are nanoseconds of the thread's CPU time a frame, without reading its headers, 64 frames
# looked up together, medians over ROUNDS (default 5).
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"

case ${1:-} in --help | -h) usage; exit ;; esac
module=$ROOT/middlebox-offload/target
[[ -d $module/test-classes && -d $module/mypervisor ]] || die "build first, with mvn -q -DskipTests package"
exec java -Xmx2g -XX:+UseSerialGC \
    -cp "$module/classes:$module/test-classes:$module/mypervisor/lib/*" \
    org.mypervisor.offload.rules.ClassifierBenchmark "${1:-access}" "${2:-4}" "${3:-5}"
