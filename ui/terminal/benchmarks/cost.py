"""CPU seconds of the parts of a benchmark, so that a figure can be read apart from the load."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import text

from twin import db

_TICK = os.sysconf("SC_CLK_TCK")
_PARENT, _OWN, _WITH_ENDED = 1, slice(11, 13), slice(11, 15)


def threads(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process's first thread, and of all its others."""
    try:
        tasks = {int(task.name): task for task in Path(f"/proc/{pid}/task").iterdir()}
    except OSError:
        return 0.0, 0.0
    spent = {number: _seconds(task, _OWN) for number, task in tasks.items()}
    return spent.pop(pid, 0.0), sum(spent.values())


def process(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    return _seconds(Path(f"/proc/{pid}"), _OWN)


def postmaster() -> int:
    """Return the process whose children are this database's backends; 0 where it runs elsewhere."""
    with db.engine("owner").connect() as conn:
        backend = conn.scalar(text("select pg_backend_pid()"))
        return _parent(Path(f"/proc/{backend}"))


def database(master: int) -> float:
    """Return the CPU seconds of a database server with all its backends, ended ones too."""
    if not master:
        return 0.0
    running = [p for p in Path("/proc").iterdir() if p.name.isdigit() and _parent(p) == master]
    own = _seconds(Path(f"/proc/{master}"), _WITH_ENDED)
    return own + sum(_seconds(one, _OWN) for one in running)


def _fields(where: Path) -> list[str]:
    """Return what stands after the name in `stat`; nothing for a process that ended meanwhile."""
    try:
        said = (where / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return said.rpartition(")")[2].split()


def _seconds(where: Path, which: slice) -> float:
    return sum(map(int, _fields(where)[which])) / _TICK


def _parent(where: Path) -> int:
    fields = _fields(where)
    return int(fields[_PARENT]) if fields else 0
