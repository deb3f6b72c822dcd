#!/usr/bin/env bash
# Start a Dask scheduler and N workers (2 by default) as separate processes on this machine, and run `toytip run` on them.
# To use several hosts, start the same processes there, with addresses that the other hosts can reach.
#
#   Usage:   cluster/local.sh [N] [arguments of toytip run]
#   Example: cluster/local.sh 4 --source data/green-2023
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
