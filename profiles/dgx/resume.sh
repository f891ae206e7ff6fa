#!/usr/bin/env bash
# Goes on with a study whose coordinating process is gone: its node failed, it was killed, its time was up.
#
#     profiles/dgx/resume.sh [targets and options of snakemake; all, without any]
#
# Jobs that it had submitted run on. They are waited for, since what they train is kept and then
# taken, not trained again; nothing that was finished is lost.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
profile=profiles/$(basename "$here")

# held until Snakemake, which takes this process over, has ended
mkdir -p .snakemake
exec 9> .snakemake/coordinator.lock
if command -v flock > /dev/null && ! flock --nonblock 9; then
  echo "another process coordinates a study in $PWD: let it finish, or end it first"
  exit 1
fi

submitted() { # this user's jobs of this folder that Snakemake has submitted; their comment names a rule
  squeue --noheader --user "$(id -un)" --states pending,running,configuring,completing --format '%i|%Z|%k' |
    awk -F'|' -v here="$PWD" '$2 == here && $3 ~ /^rule_/' | wc -l
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
snakemake --profile "$profile" "$@" --unlock
exec snakemake --profile "$profile" "$@"
