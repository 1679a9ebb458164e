#!/usr/bin/env bash
# Train a model with a plugin, live, then show the run. With OTEL_EXPORTER_OTLP_ENDPOINT set it is sent as well.
set -euo pipefail
synapse_otel=$1
job="demo-$(date +%Y%m%d-%H%M%S)"
echo "\$ synapse-otel run examples/train_digits.py --job-id $job"
"$synapse_otel" run "$(dirname "$0")/train_digits.py" --job-id "$job"
echo
echo "\$ synapse-otel show $job"
"$synapse_otel" show "$job"
