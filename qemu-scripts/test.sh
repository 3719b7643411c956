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
# Limits of time and rate can be broken by other load on the machine. So a class that failed for nothing else is run once
# more, alone: what then passes counts as passed and is listed with what it failed with; what fails again, or for any other
# reason, fails the run. Skipped tests are listed with their reason. The last line counts all tests.
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

# So many classes do not fail by chance.
readonly MOST_RETRIED=4
# What tests say that measured a time or a rate: Bystanders, KillSeries, OffloadCells, QemuGuestsIT.
readonly TIMED=': (bystanders in .*, held up for|TCP before|TCP with offloads|(with ARP, )?answers came back after|connectivity came back after)'

passed=0 failed=0 skipped=0 reasons=() failures=() recovered=()
# Of the classes with a failure in the present run: how many, where the report is, and what it says.
declare -A failed_tests=() failed_reports=() failed_messages=()

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

# run_tests GOAL OPTION...: has Maven run them and adds up what they reported.
run_tests() {
    local status=0
    failed_tests=() failed_reports=() failed_messages=()
    maven "$@" || status=$?
    add_up "$status"
    retry "$@"
    failures+=(${failed_messages[@]+"${failed_messages[@]}"})
}

reports() { find "$ROOT" -path '*-reports/TEST-*.xml'; }

maven() {
    reports | xargs -r rm
    # A failed test must not keep those of later modules from running; it is counted, and fails this script at its end.
    (cd "$ROOT" && mvn -B --no-transfer-progress -Dmaven.test.failure.ignore "$@")
}

add_up() {
    local report line class tests=0 bad=0 aside=0 of_class
    while IFS= read -r report; do
        class=$(basename "$report" .xml | sed 's/^TEST-//')
        line=$(grep -m 1 '<testsuite ' "$report")
        tests=$((tests + $(attribute tests "$line")))
        aside=$((aside + $(attribute skipped "$line")))
        of_class=$(failures_in "$line")
        if ((of_class)); then
            bad=$((bad + of_class))
            failed_tests[$class]=$of_class failed_reports[$class]=$report failed_messages[$class]=$(messages "$class" "$report")
        fi
        while IFS= read -r line; do
            reasons+=("$class: $line")
        done < <(sed -n -e 's/.*<skipped message="\([^"]*\)".*/\1/p' \
            -e 's/.*<skipped[^>]*><!\[CDATA\[\(.*: Assumption failed: \)\{0,1\}\(.*\)/\2/p' "$report" | sed 's/]]><.*//')
    done < <(reports)
    # A build that broke without a failed test has failed all the same.
    (($1 == 0 || bad > 0)) || { bad=1; failures+=("the build broke: Maven ended with status $1"); }
    passed=$((passed + tests - bad - aside)) failed=$((failed + bad)) skipped=$((skipped + aside))
    ((passed >= 0)) || passed=0
}

failures_in() { echo $(($(attribute errors "$1") + $(attribute failures "$1"))); } # of a <testsuite>

# messages CLASS REPORT: a line for each test that failed, with the begin of what it said.
messages() {
    awk -v class="$1" '
        match($0, /<testcase name="[^"]*"/) { name = substr($0, RSTART + 16, RLENGTH - 17) }
        /<(failure|error)[ >]/ {
            said = match($0, / message="[^"]*"/) ? substr($0, RSTART + 10, RLENGTH - 11) : "no message"
            gsub(/&#10;/, " ", said); gsub(/&lt;/, "<", said); gsub(/&gt;/, ">", said); gsub(/&quot;/, "\"", said); gsub(/&amp;/, "\\&", said)
            print class "." name ": " substr(said, 1, 400)
        }' "$2"
}

# retry GOAL OPTION...: once more, class by class.
retry() {
    local class
    ((${#failed_tests[@]} <= MOST_RETRIED)) || return 0
    for class in "${!failed_tests[@]}"; do
        ! grep -qvE "$TIMED" <<< "${failed_messages[$class]}" || continue
        progress "$class failed; once more, alone"
        if passes_alone "$class" "$@"; then
            passed=$((passed + failed_tests[$class])) failed=$((failed - failed_tests[$class]))
            recovered+=("${failed_messages[$class]}")
            unset "failed_messages[$class]"
        fi
    done
}

# passes_alone CLASS GOAL OPTION...
passes_alone() {
    local class=$1 report=${failed_reports[$1]} module selection=(-Dtest="$1")
    module=${report#"$ROOT/"} module=${module%%/target/*}
    [[ $report != */failsafe-reports/* ]] || selection=(-Dit.test="$class" -Dtest=none)
    shift
    maven -pl "$module" -am -Dsurefire.failIfNoSpecifiedTests=false "${selection[@]}" "$@" || return 1
    [[ -r $report ]] && (($(failures_in "$(grep -m 1 '<testsuite ' "$report")") == 0))
}

# attribute NAME TAG: its value. The space keeps "tests" from matching within another name.
attribute() {
    local value=${2#* "$1"=\"}
    echo "${value%%\"*}"
}

list() { # TITLE LINE...
    (($# > 1)) || return 0
    echo "$1:"
    shift
    printf '%s\n' "$@" | sed 's/^/  /'
}

summary() {
    list "skipped" ${reasons[@]+"${reasons[@]}"}
    list "failed, and passed when run once more" ${recovered[@]+"${recovered[@]}"}
    list "failed" ${failures[@]+"${failures[@]}"}
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
    run_tests test ${flags:+-Dtest.jvmArgs="$flags"}
else
    progress "unit and integration tests on Java $(java_version "$home")"
    run_tests verify ${flags:+-Dtest.jvmArgs="$flags"}
fi

while IFS= read -r home; do
    progress "unit tests on Java $(java_version "$home")"
    flags=$(jvm_flags "$(java_version "$home")")
    run_tests test -Dspotless.check.skip -Dtest.jvm="$home/bin/java" ${flags:+-Dtest.jvmArgs="$flags"}
done < <(other_jdks)

summary
((failed == 0))
