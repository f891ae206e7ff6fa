#!/usr/bin/env bash
# Goes on with a study whose coordinating process is gone: its node failed, it was killed, its time was up.
#
#     profiles/dgx/resume.sh [targets and options of snakemake; all, without any]
#
# Jobs that it had submitted run on. They are waited for, since what they train is kept and then
# taken, not trained again; nothing that was finished is lost.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

submitted() { # this user's jobs of this folder, but for the one that this script may run in
  squeue --noheader --user "$(id -un)" --states pending,running,configuring,completing --format '%i|%Z' |
    awk -F'|' -v here="$PWD" -v own="${SLURM_JOB_ID:-}" '$2 == here && $1 != own' | wc -l
}
while true; do
  if ! n=$(submitted); then # this does not mean that no job is left
    echo "squeue does not say whether jobs that were submitted before still run; asking it again"
  elif ((n > 0)); then
    echo "waiting for $n jobs that were submitted before"
  else
    break
  fi
  sleep "${RESUME_POLL_SECONDS:-20}"
done
(($# > 0)) || set -- all
snakemake --profile dgx "$@" --unlock
exec snakemake --profile dgx "$@"
