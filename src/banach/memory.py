"""Free main memory, and whether a computation fits into it."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that can still be taken: the least of what the machine has free and what the process's control groups
    allow (containers and cluster jobs are stopped at the latter); None where neither can be read."""
    found = [n for n in (_free_in_machine(), *_free_in_groups()) if n is not None]
    return min(found) if found else None


def _free_in_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # not Linux: the whole memory, which at least refuses what can never fit
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _free_in_groups() -> list[int]:
    """Free bytes under the limit of each control group (version 2) from the process's own up to the root."""
    try:
        own = Path("/proc/self/cgroup").read_text().split("::", 1)[1].split("\n")[0].strip("/")
    except (OSError, IndexError):
        return []
    free = []
    for group in [_CGROUPS / own, *(_CGROUPS / own).parents]:
        if not group.is_relative_to(_CGROUPS):
            break
        try:
            limit = int((group / "memory.max").read_text())
            used = int((group / "memory.current").read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such file, or "max": no limit here
            continue
        free.append(max(0, limit - used + int(stat.get("inactive_file", 0))))  # file cache is given back on demand
    return free


def shortage(needed: int, what: str, remedy: str) -> str:
    """The message that refuses `what` if it takes more bytes than are free; otherwise ""."""
    free = available()
    if free is None or needed <= free:
        return ""
    return f"{what} would take {gib(needed)} of memory and {gib(free)} are free; {remedy}"


def gib(n: int) -> str:
    """Bytes in GiB, in two or three digits.

    >>> gib(36 * 2**30), gib(3 * 2**28)
    ('36 GiB', '0.75 GiB')
    """
    return f"{n / 2**30:.3g} GiB"
