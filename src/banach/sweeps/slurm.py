"""The job-array script for Slurm: one run of a sweep a task, saved before the time is over, and queued again."""

from collections.abc import Sequence
from pathlib import Path

from banach.foreign import as_command, typed
from banach.sweeps.folder import Sweep
from banach.sweeps.worker import Orders, run_command

WARNED = 120
"""Seconds before the end of a job's time at which Slurm sends the signal."""

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array={array}
#SBATCH --output={output}
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{warned}
#SBATCH --requeue
# What your cluster asks for besides stands here, or is given to sbatch: --time, --partition, --cpus-per-task, --gpus

cd -- {folder} || exit 2
warned= cancelled= caught=
# Slurm signals this shell alone (B:), and the shell tells the run, which saves and exits with 75.
trap 'caught=1 warned=1; [ -z "$!" ] || kill -USR1 "$!"' USR1
trap 'caught=1 cancelled=1; [ -z "$!" ] || kill -TERM "$!"' TERM
{command} --index "$SLURM_ARRAY_TASK_ID" &
while :; do  # a signal ends the waiting, not the run
  caught=
  wait "$!"
  code=$?
  [ -n "$caught" ] || break
done
if [ "$code" -gt 128 ] && [ -n "$warned" ]; then code=75; fi  # the signal came before the run had begun
if [ "$code" -eq 75 ] && [ -z "$cancelled" ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
"""


def script(sweep: Sweep, indices: Sequence[int], orders: Orders) -> str:
    """The script that runs these runs as a job array, with this Python and from this folder; for `sbatch`."""
    return array_script(f"sweep-{sweep.path.resolve().name}", sweep.path, indices, run_command(sweep, orders))


def array_script(name: str, folder: Path, indices: Sequence[int], command: Sequence[str]) -> str:
    """The script of a job array called `name`: the command with `--index` and each number; it writes into `folder`."""
    return _SCRIPT.format(
        name=typed(name),
        array=ranges(indices),
        output=typed(f"{str(folder.resolve()).replace('%', '%%')}/slurm-%A_%a.txt"),  # a lone % stands for a field
        warned=WARNED,
        folder=typed(Path.cwd()),
        command=as_command(command),
    )


def ranges(indices: Sequence[int]) -> str:
    """Numbers as Slurm writes them.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in runs)
