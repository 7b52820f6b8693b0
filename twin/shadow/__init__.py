"""The shadow: what a device should be, what it says it is, and what it is told to do.

For the doors: `due`, `acknowledged`, `uplink` over the psycopg connection of their transaction.
For the API: `state` and `commands` over SQLAlchemy.
"""

from __future__ import annotations

from twin.shadow.doors import (
    CHANNELS,
    Downlink,
    Refused,
    acknowledged,
    desired,
    due,
    standing,
    uplink,
    waiting,
)

__all__ = [
    "CHANNELS",
    "Downlink",
    "Refused",
    "acknowledged",
    "desired",
    "due",
    "standing",
    "uplink",
    "waiting",
]
