#!/usr/bin/env bash
# Fuzzes each target for a while, guided by coverage, and prints what came of it.
#
# fuzz.sh [--target NAME]... [--keep] [MINUTES]
#
#   MINUTES         for each target; default 10
#   --target NAME   only this one: session, chain, rules, config, capture or classbench;
#                   may be repeated
#   --keep          adds new inputs to the corpus in the tree, the fewest that reach what it did not reach
#
# Builds what is not built. Corpus, log and findings of a target stay below tests/fuzz/target/fuzz/NAME, so that the next
# run goes on where this one ended. Ends with status 1 when a target found something: its log says what, and names the
# file with the input, which becomes a test when it is copied to the corpus in the tree.
set -euo pipefail
# shellcheck source=../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qemu-scripts/lib.sh"

readonly MODULE=$ROOT/tests/fuzz
readonly OUT=$MODULE/target/fuzz
readonly REPORT_SECONDS=30
# One input may take so long before it counts as a finding.
readonly INPUT_SECONDS=60

declare -rA CLASSES=([session]=SessionFuzzTest [chain]=ChainFuzzTest [rules]=RuleFuzzTest [config]=ConfigFuzzTest
    [capture]=CaptureFuzzTest [classbench]=ClassBenchFuzzTest)

minutes=10 keep=no targets=()
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --keep) keep=yes ;;
        --target)
            value "$1" $#
            [[ -n ${CLASSES[$2]:-} ]] || wrong_option "$2 is no target"
            targets+=("$2")
            shift
            ;;
        [1-9] | [1-9][0-9] | [1-9][0-9][0-9]) minutes=$1 ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift
done
((${#targets[@]})) || targets=(session chain rules config capture classbench)

# build: sets $java to the command that fuzzes, with the flags of the running JDK.
build() {
    local version flags=(-Xmx512m -XX:+EnableDynamicAgentLoading -XX:-OmitStackTraceInFastThrow)
    progress "building"
    (cd "$ROOT" && mvn -q -DskipTests -Dspotless.check.skip -pl tests/fuzz -am process-test-classes) >&2
    version=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')
    ((version < 24)) || flags+=(--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow)
    java=(java "${flags[@]}" -cp "$MODULE/target/test-classes:$(< "$MODULE/target/class-path")"
        com.code_intelligence.jazzer.Jazzer)
}

# fuzz TARGET: with a line of progress now and then; sets $found.
fuzz() {
    local log=$OUT/$1/log pid due=$REPORT_SECONDS
    mkdir -p "$OUT/$1/corpus"
    rm -f "$OUT/$1"/{crash,timeout,oom,leak}-*
    (cd "$OUT/$1" && exec "${java[@]}" --target_class="org.mypervisor.fuzz.${CLASSES[$1]}" corpus \
        -max_total_time=$((minutes * 60)) -timeout="$INPUT_SECONDS" -print_final_stats=1 \
        -artifact_prefix="$OUT/$1/") > "$log" 2>&1 &
    pid=$!
    started "$pid"
    while alive "$pid"; do
        sleep 1
        ((--due)) || { progress "$1: $(pulse "$log")"; due=$REPORT_SECONDS; }
    done
    found=0
    wait "$pid" || {
        found=1
        grep -A 12 -m 1 '^== ' "$log" >&2 || tail -n 20 "$log" >&2
        progress "$1: found something; all of it is in $log"
    }
}

# pulse LOG: what libFuzzer said last.
pulse() { grep -oE '^#[0-9]+.* exec/s: [0-9]+' "$1" | tail -n 1 | tr -s '\t ' ' ' || true; }

# figure LOG NAME: the last number that libFuzzer gave for it.
figure() { grep -oE "$2: +[0-9]+" "$1" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

# row TARGET: its line of the table.
row() {
    local log=$OUT/$1/log before
    before=$(grep -m 1 -oE 'INITED cov: [0-9]+' "$log" | grep -oE '[0-9]+$' || echo 0)
    printf '%-10s %11s %9s %14s %8s %9s\n' "$1" "$(figure "$log" stat::number_of_executed_units)" \
        "$(figure "$log" stat::average_exec_per_sec)" "$before -> $(figure "$log" ' cov')" \
        "$(find "$OUT/$1/corpus" -type f | wc -l)" "$found"
}

# keep_inputs TARGET: what the corpus in the tree has, stays.
keep_inputs() {
    local tree merged=$OUT/$1/merged
    tree=$(find "$MODULE/src/test/resources/org/mypervisor/fuzz/${CLASSES[$1]}Inputs" -mindepth 1 -type d)
    rm -rf "$merged"
    cp -r "$tree" "$merged"
    (cd "$OUT/$1" && "${java[@]}" --target_class="org.mypervisor.fuzz.${CLASSES[$1]}" merged corpus \
        -merge=1 -use_counters=0) > "$OUT/$1/merge-log" 2>&1 || die "cannot merge; see $OUT/$1/merge-log"
    cp "$merged"/* "$tree/"
    progress "$1: $(find "$tree" -type f | wc -l) inputs in the tree"
}

begin_work
build
rows=() findings=0
for name in "${targets[@]}"; do
    progress "$name: $minutes min"
    fuzz "$name"
    rows+=("$(row "$name")")
    findings=$((findings + found))
    ((found)) || [[ $keep == no ]] || keep_inputs "$name"
done

printf '%-10s %11s %9s %14s %8s %9s\n' target executions a_second coverage inputs findings
printf '%s\n' "${rows[@]}"
((findings == 0))
