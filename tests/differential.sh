#!/bin/sh
# Asks any number of random queries of weir in every mode and of PostgreSQL, and compares the answers.
#
#     tests/differential.sh --queries 100000 --seed 7 [--first 0]
#     tests/differential.sh --policy --queries 100000 --seed 7      the same of somebody from whom a
#                                                 policy hides a part (tests/differential/worlds.rs)
#     tests/differential.sh --sql "SELECT …"      one query, with all answers
#     --release: of an optimized build of weir, which is many times as fast
#
# Differences go to target/differential.txt (or --report FILE), each made as small as possible.
set -eu
cd "$(dirname "$0")/.."

WEIR_DIFFERENTIAL_QUERIES=100000
WEIR_DIFFERENTIAL_SEED=$(date +%s)
WEIR_DIFFERENTIAL_REPORT=target/differential.txt
filter=differential::random_queries
while [ $# -gt 0 ]; do
    case $1 in
        --queries) WEIR_DIFFERENTIAL_QUERIES=$2; shift 2 ;;
        --seed) WEIR_DIFFERENTIAL_SEED=$2; shift 2 ;;
        --first) WEIR_DIFFERENTIAL_FIRST=$2; export WEIR_DIFFERENTIAL_FIRST; shift 2 ;;
        --report) WEIR_DIFFERENTIAL_REPORT=$2; shift 2 ;;
        --sql) WEIR_DIFFERENTIAL_SQL=$2; export WEIR_DIFFERENTIAL_SQL; shift 2 ;;
        --release)
            cargo build --release
            WEIR_TEST_PROGRAM=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release/weir
            export WEIR_TEST_PROGRAM
            shift ;;
        --policy) filter=differential::worlds::random_queries; shift ;;
        *) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
done
mkdir -p "$(dirname "$WEIR_DIFFERENTIAL_REPORT")"
export WEIR_DIFFERENTIAL_QUERIES WEIR_DIFFERENTIAL_SEED WEIR_DIFFERENTIAL_REPORT
exec cargo test --test integration -- --nocapture "$filter"
