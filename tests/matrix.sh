#!/usr/bin/env bash
# Runs every cell of the matrices of front-ends, QEMU guests and dpdk-testpmd, and of pairs of port types, and the long forms
# of other tests; ends with a table of the results.
#
# matrix.sh [--filter REGEX] [--short]
#
#   --filter REGEX   only cells whose name has a match (Java's syntax), as 'qemu/pci' or 'killed'
#   --short          only the cells that test.sh runs too
#
# Installs what is missing (install.sh) and makes the test guest. Cells are reported as they end; those that cannot run
# here are skipped with a reason. The last line names a file with all output. Status 1 when a cell failed or none ran.
set -euo pipefail
# shellcheck source=../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qemu-scripts/lib.sh"

filter='' form=full
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --filter) value "$1" $#; filter=$2; shift ;;
        --short) form=short ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift
done

results=$ROOT/tests/integration/target/matrix
log=$ROOT/tests/integration/target/matrix.log

# show_new: the cells that have ended since the last call.
shown=0
show_new() {
    local cell result seconds lines=()
    mapfile -t lines < <(all_results)
    while ((shown < ${#lines[@]})); do
        IFS=$'\t' read -r cell result seconds <<< "${lines[shown]}"
        progress "$cell: $result ($seconds s)"
        shown=$((shown + 1))
    done
}
# They run one after the other; the one that was written to last is the one that runs.
all_results() {
    local files=()
    mapfile -t files < <(ls -tr "$results"/*.tsv 2> /dev/null)
    ((${#files[@]} == 0)) || cat "${files[@]}" 2> /dev/null || true
}

# long_form NAME GOAL OPTION...: a run of Maven of its own as a cell.
long_form() {
    local name=long/$1 begin=$SECONDS result=passed
    shift
    [[ $form == full ]] && grep -qP -- "$filter" <<< "$name" || return 0
    (cd "$ROOT" && mvn -B --no-transfer-progress "$@") >> "$log" 2>&1 < /dev/null || result=FAILED status=1
    mkdir -p "$results"
    printf '%s\t%s\t%d\n' "$name" "$result" $((SECONDS - begin)) >> "$results/long.tsv"
    show_new
}

table() {
    local cell result seconds
    printf '\n%-52s %8s  %s\n' cell seconds result
    while IFS=$'\t' read -r cell result seconds; do printf '%-52s %8s  %s\n' "$cell" "$seconds" "$result"; done < <(all_results)
}

# count PATTERN: how many cells ended so.
count() { all_results | cut -f 2 | grep -c "^$1" || true; }

"$SCRIPTS/install.sh" --with-testpmd --with-experiment
progress "test guest: $("$SCRIPTS/build-guest-image.sh" | tr '\n' ' ')"

begin_work
rm -rf "$results"
mkdir -p "${log%/*}"
goals=(verify -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false -Dspotless.check.skip)
progress "building, then running cells; all output is in $log"
(cd "$ROOT" && exec mvn -B --no-transfer-progress "${goals[@]}" -Dit.test='QemuMatrixIT,TestpmdMatrixIT,InterfaceMatrixIT' \
    -Dfailsafe.failIfNoSpecifiedTests=false -Dmatrix="$form" -Dmatrix.filter="$filter") > "$log" 2>&1 < /dev/null &
maven=$!
started "$maven"
while alive "$maven"; do
    show_new
    sleep 1
done
status=0
wait "$maven" || status=$?
show_new
long_form 10000-connections test -Dspotless.check.skip -pl middlebox-offload -am -Dcycles=10000 \
    -Dtest='HostileFrontendTest#dpdk_bc900f86aa*' -Dsurefire.failIfNoSpecifiedTests=false
long_form man-pages package -Pman -Dspotless.check.skip -DskipTests -pl middlebox-offload -am
table
printf '%s passed, %s failed, %s skipped; all output: %s\n' "$(count passed)" "$(count FAILED)" "$(count skipped)" "$log"
((shown > 0)) || { tail -n 20 "$log" >&2; die "no cell ran"; }
((status == 0)) || exit 1
