#!/usr/bin/env bash
# A cluster of separate processes on this machine, and one `toytip run` on it: what a run on several hosts looks
# like, in small. On real hosts start the same scheduler and workers there, with addresses that they can reach.
#
#   cluster/local.sh [N] [arguments of toytip run]        as: cluster/local.sh 4 --source data/green-2023
set -euo pipefail

workers=${1:-2}
shift || true
port=${TOYTIP_SCHEDULER_PORT:-8786}
bin=${TOYTIP_BIN:-}
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; }
trap stop EXIT

"${bin}dask" scheduler --host 127.0.0.1 --port "$port" --dashboard-address 127.0.0.1:0 2>/dev/null &
pids+=($!)
for _ in $(seq "$workers"); do
  "${bin}dask" worker "tcp://127.0.0.1:$port" --host 127.0.0.1 --nthreads 1 --dashboard-address 127.0.0.1:0 2>/dev/null &
  pids+=($!)
done

"${bin}toytip" run --scheduler "tcp://127.0.0.1:$port" "$@"
