"""A product: what a type of device reports, may be told, and how long what it said is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Title = Mapping[str, str]
NUMBER, INTEGER, BOOLEAN, ENUM, TEXT = "number", "integer", "boolean", "enum", "text"
MAX_TEXT = 200


class NotInModel(ValueError):
    """A value that its property does not admit; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Property:
    """One declared value of a device; all but texts are stored as one number.

    A boolean is 0 or 1, an enum the position of its code in the declaration: codes are only added
    at the end, never moved.
    """

    name: str
    title: Title
    type: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    period_s: float | None = None
    codes: Mapping[str, Title] = field(default_factory=dict)
    observed: str | None = None  # the name of the quantity in a public vocabulary (SensorThings)

    @property
    def is_numeric(self) -> bool:
        """True for what is stored as a number: everything but texts."""
        return self.type != TEXT

    def number(self, value: Any) -> float:
        """Return the stored number of a reported value; NotInModel says why there is none."""
        if self.type == ENUM:
            return self._code(value)
        if self.type == BOOLEAN:
            if isinstance(value, bool) or value in (0, 1):
                return float(value)
            raise NotInModel(f"{self.name} is not true or false")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise NotInModel(f"{self.name} is not a number")
        if self.type == INTEGER and value != int(value):
            raise NotInModel(f"{self.name} is not a whole number")
        if not self.holds(value):
            raise NotInModel(f"{self.name} {value:g} is not within {self.range_text()}")
        return float(value)

    def text(self, value: Any) -> str:
        """Return a reported text; NotInModel where it is none."""
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise NotInModel(f"{self.name} is not a text of at most {MAX_TEXT} characters")
        return value.replace("\0", "")

    def holds(self, value: float) -> bool:
        """Tell whether a number lies in the declared range; the limits belong to it."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def range_text(self) -> str:
        """Return the declared range in words of a refusal."""
        low = "-∞" if self.low is None else f"{self.low:g}"
        return f"{low} to {'∞' if self.high is None else f'{self.high:g}'}"

    def value(self, number: float | None) -> Any:
        """Return what a stored number means: true or false, the code, a whole number, the number."""
        if number is None or math.isnan(number):
            return None
        if self.type == BOOLEAN:
            return bool(number)
        if self.type == ENUM:
            codes = list(self.codes)
            return codes[int(number)] if 0 <= number < len(codes) else None
        return int(number) if self.type == INTEGER else number

    def _code(self, value: Any) -> float:
        said = str(value).lower() if isinstance(value, bool) else str(value)
        for place, code in enumerate(self.codes):
            if code == said:
                return float(place)
        raise NotInModel(f"{self.name} {said[:40]!r} is none of {', '.join(self.codes)}")


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a device may tell that is no measured value: an alarm of its own, a button pressed."""

    name: str
    title: Title
    level: int = 4  # 1 critical … 4 information


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a device may be told to do; `args` are described like properties."""

    name: str
    title: Title
    args: tuple[Property, ...] = ()
    ttl_s: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One golden vector of a codec: these bytes mean these values."""

    payload: str  # hexadecimal
    values: Mapping[str, Any]
    port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How raw bytes become values: not at all (JSON), a declared layout, or JavaScript."""

    type: str = "json"  # json | layout | javascript
    layout: tuple[Mapping[str, Any], ...] = ()
    byte_order: str = "big"
    script: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)  # vendor's name → property
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How many days each coarseness is kept: every value, minutes, hours."""

    raw_days: int = 90
    minute_days: int = 400
    hour_days: int = 3650


@dataclass(frozen=True, kw_only=True)
class Product:
    """A type of device. Tables are `up_{key}` and `last_{key}`: the key is a plain SQL name."""

    key: str
    title: Title
    kind: str  # the kind of the thing that a device of this product is
    properties: tuple[Property, ...]
    events: tuple[Event, ...] = ()
    commands: tuple[Command, ...] = ()
    settings: tuple[Property, ...] = ()  # what the shadow may desire
    codec: Codec = Codec()
    retention: Retention = Retention()
    category: str = "environment"
    protocol: str = "mqtt"  # how its devices usually speak: mqtt http coap jt808 hj212 ais
    open: bool = False  # numbers that are not declared are kept as loose observations
    moves: bool = False  # its devices report positions
    thing: Mapping[str, Any] = field(default_factory=dict)  # field values of the thing of a device
    main: str = ""  # the property that colours its devices on the map
    icon: str = "radio"
    note: Title | None = None
    version: int = 1
    doc: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, name: str) -> Property:
        return self.by_name[name]

    @property
    def by_name(self) -> Mapping[str, Property]:
        """The properties by name."""
        made: dict[str, Property] | None = self.__dict__.get("_by_name")
        if made is None:
            made = {one.name: one for one in self.properties}
            object.__setattr__(self, "_by_name", made)
        return made

    @property
    def numeric(self) -> tuple[Property, ...]:
        """The properties that are stored as numbers."""
        return tuple(one for one in self.properties if one.is_numeric)

    @property
    def period_s(self) -> float | None:
        """The shortest declared period: how often a device of this product is heard at least."""
        periods = [one.period_s for one in self.properties if one.period_s]
        return min(periods) if periods else None

    @property
    def shown(self) -> Property | None:
        """The property that stands for the device on the map and in lists."""
        return self.by_name.get(self.main) or next(iter(self.numeric), None)
