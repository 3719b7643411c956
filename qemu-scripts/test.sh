#!/usr/bin/env bash
# Builds Mypervisor and runs every test.
#
# test.sh [--unit]
#
#   --unit   unit tests only: seconds, no QEMU, no DPDK, no privileges
#
# Installs what is missing (install.sh), makes the test guest, runs unit tests on every JDK of version 17 or later that is
# found, and integration tests with QEMU guests, dpdk-testpmd and network namespaces (as root) on the JDK of JAVA_HOME (else
# the one on the PATH).
# Skipped tests are listed with their reason. The last line counts all tests.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

unit_only=no
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --unit) unit_only=yes ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift
done

passed=0 failed=0 skipped=0 reasons=()

# java_home: of the JDK that Maven uses.
java_home() { dirname "$(dirname "$(readlink -f "$(command -v "${JAVA_HOME:+$JAVA_HOME/bin/}javac")")")"; }

java_version() { sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"; }

# other_jdks: folders of the JDKs beside the one in use.
other_jdks() {
    local used home
    used=$(java_home)
    for home in /usr/lib/jvm/*/; do
        home=$(readlink -f "$home")
        [[ -x $home/bin/java && -r $home/release && $home != "$used" ]] || continue
        (($(java_version "$home") < 17)) || echo "$home"
    done | sort -u
}

# jvm_flags VERSION: what this JDK wants to hear to let us do what we do, as the launcher has it.
jvm_flags() { (($1 < 24)) || echo "--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow"; }

# maven GOAL OPTION...: runs it and adds up what its tests reported.
maven() {
    local status=0
    find "$ROOT" -path '*-reports/TEST-*.xml' -delete
    # A failed test must not keep those of later modules from running; it is counted, and fails this script at its end.
    (cd "$ROOT" && mvn -B --no-transfer-progress -Dmaven.test.failure.ignore "$@") || status=$?
    add_up "$status"
    return 0
}

add_up() {
    local report line tests=0 bad=0 aside=0
    while IFS= read -r report; do
        line=$(grep -m 1 '<testsuite ' "$report")
        tests=$((tests + $(attribute tests "$line")))
        bad=$((bad + $(attribute errors "$line") + $(attribute failures "$line")))
        aside=$((aside + $(attribute skipped "$line")))
        while IFS= read -r line; do
            reasons+=("$(basename "$report" .xml | sed 's/^TEST-//'): $line")
        done < <(sed -n -e 's/.*<skipped message="\([^"]*\)".*/\1/p' \
            -e 's/.*<skipped[^>]*><!\[CDATA\[\(.*: Assumption failed: \)\{0,1\}\(.*\)/\2/p' "$report" | sed 's/]]><.*//')
    done < <(find "$ROOT" -path '*-reports/TEST-*.xml')
    # A build that broke without a failed test has failed all the same.
    (($1 == 0 || bad > 0)) || bad=1
    passed=$((passed + tests - bad - aside)) failed=$((failed + bad)) skipped=$((skipped + aside))
    ((passed >= 0)) || passed=0
}

# attribute NAME TAG: its value. The space keeps "tests" from matching within another name.
attribute() {
    local value=${2#* "$1"=\"}
    echo "${value%%\"*}"
}

summary() {
    ((${#reasons[@]} == 0)) || { echo "skipped:"; printf '  %s\n' "${reasons[@]}"; }
    echo "$passed passed, $failed failed, $skipped skipped"
}

if [[ $unit_only == no ]]; then
    "$SCRIPTS/install.sh" --with-testpmd --with-experiment
    progress "test guest: $("$SCRIPTS/build-guest-image.sh" | tr '\n' ' ')"
fi

home=$(java_home)
flags=$(jvm_flags "$(java_version "$home")")
if [[ $unit_only == yes ]]; then
    progress "unit tests on Java $(java_version "$home")"
    maven test ${flags:+-Dtest.jvmArgs="$flags"}
else
    progress "unit and integration tests on Java $(java_version "$home")"
    maven verify ${flags:+-Dtest.jvmArgs="$flags"}
fi

while IFS= read -r home; do
    progress "unit tests on Java $(java_version "$home")"
    flags=$(jvm_flags "$(java_version "$home")")
    maven test -Dspotless.check.skip -Dtest.jvm="$home/bin/java" ${flags:+-Dtest.jvmArgs="$flags"}
done < <(other_jdks)

summary
((failed == 0))
