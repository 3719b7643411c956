#!/usr/bin/env bash
# Compares the af_packet wire with that of dpdk-testpmd (net_af_packet, io) on the same veth pairs in one run, interleaved.
#
# compare-af-packet.sh [ROUNDS [SECONDS]]
#
# A generator in one namespace sends UDP frames of 1,024 flows as fast as it can on CPU 0; the wire runs on CPU 1; what
# arrives in the other namespace is counted by the kernel, over SECONDS (default 5) of each of ROUNDS (default 5). The last
# lines are medians in million frames a second and the ratios ours/testpmd. Ends with status 1 when a ratio is below 0.98, a
# tie within what testpmd differs from itself. Root only: it makes network namespaces.
set -euo pipefail
# shellcheck disable=SC2034 # it is used there
type=af_packet vdev=net_af_packet
# shellcheck source=veth-wires.sh
. "$(dirname "${BASH_SOURCE[0]}")/veth-wires.sh"
