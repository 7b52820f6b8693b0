"""One run of the simulator: traffic, sensors, citizens, and crews that answer a dispatch."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from paho.mqtt.client import MQTTMessageInfo

from twin.errors import TwinError, Unavailable
from ui.terminal.simulator.doors import Api, open_broker
from ui.terminal.simulator.sensing import Sensing
from ui.terminal.simulator.traffic import Mover, Traffic, graph_of, movers_of

log = structlog.get_logger("simulate")
SENSOR_EVERY_S = 20.0
ANSWER_EVERY_S = 2.0
GOING = {"dispatched", "handling"}
COMPLAINTS = (
    "路边有堆积垃圾，影响通行",
    "树枝折断，挂在人行道上方",
    "废物箱已满溢出",
    "路面有积水和淤泥",
    "公共绿地有人乱倒建筑垃圾",
    "店招松动，刮风时晃动",
    "公厕异味较重",
)


@dataclass
class Counts:
    """What a run has sent."""

    vehicles: int = 0
    crews: int = 0
    sensors: int = 0
    positions: int = 0
    telemetry: int = 0
    reports: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run shall do."""

    vehicles: int
    crews: int
    sensors: int
    rate_hz: float
    reports_per_minute: float
    seconds: float
    answer: bool


class Simulation:
    """Reads the city by its public API, then drives it until the time is over."""

    def __init__(self, api: Api, host: str, mqtt_port: int, plan: Plan) -> None:
        self.api, self.plan, self.counts = api, plan, Counts()
        self.over = threading.Event()
        crews = _some(api.features("crew"), plan.crews) if plan.crews else []
        driven = {c["properties"].get("vehicle") for c in crews}
        cars = api.features("vehicle") if plan.vehicles else []
        cars = [c for c in cars if c["properties"]["code"] not in driven]
        cars = _some(cars, plan.vehicles)
        movers = movers_of("crew", crews) + movers_of("vehicle", cars)
        self.sensing = Sensing(api, plan.sensors)
        roads = api.features("road") if movers or plan.reports_per_minute else []
        if not roads and movers:
            raise Unavailable("This city has no roads to drive on; load the kind road first.")
        self.traffic = Traffic(graph_of(roads), movers) if roads else None
        self.counts.vehicles, self.counts.crews = len(cars), len(crews)
        self.counts.sensors = len(self.sensing.devices)
        self.broker = open_broker(host, mqtt_port)
        self._last: MQTTMessageInfo | None = None

    def run(self) -> Counts:
        """Send until the time is over or somebody interrupts."""
        began = time.monotonic()
        helpers = [
            threading.Thread(target=self._guard, args=(work,), daemon=True)
            for work in self._works()
        ]
        for helper in helpers:
            helper.start()
        try:
            self._drive(began)
        except KeyboardInterrupt:
            pass
        finally:
            self.over.set()
            self.counts.seconds = round(time.monotonic() - began, 1)
            self._leave()
        return self.counts

    def _works(self) -> list[Callable[[], None]]:
        works: list[Callable[[], None]] = []
        if self.sensing.devices:
            works.append(self._sense)
        if self.plan.reports_per_minute:
            works.append(self._complain)
        if self.plan.answer and self.traffic:
            works.append(self._answer)
        return works

    def _guard(self, work: Callable[[], None]) -> None:
        """Keep a helper at work when a door is closed for a moment."""
        while not self.over.is_set():
            try:
                work()
            except TwinError as why:
                log.warning("a door is closed, trying again", why=why.detail)
                self.over.wait(2)

    def _drive(self, began: float) -> None:
        """Report every mover at the rate, spread evenly over each period."""
        movers = self.traffic.movers if self.traffic else []
        period = 1 / self.plan.rate_hz
        last = {id(m): began for m in movers}
        step = 0
        while not self._done(began):
            for i, mover in enumerate(movers):
                self._wait_until(began + (step + i / len(movers)) * period)
                now = time.monotonic()
                self._report(mover, now - last[id(mover)])
                last[id(mover)] = now
                if self._done(began):
                    return
            if not movers:
                self.over.wait(period)
            step += 1

    def _done(self, began: float) -> bool:
        return bool(self.plan.seconds) and time.monotonic() - began >= self.plan.seconds

    def _wait_until(self, moment: float) -> None:
        ahead = moment - time.monotonic()
        if ahead > 0.002:
            time.sleep(ahead)

    def _report(self, mover: Mover, seconds: float) -> None:
        assert self.traffic
        self.traffic.advance(mover, seconds)
        self._publish(f"twin/v1/{mover.device}/position", mover.message())
        self.counts.positions += 1

    def _publish(self, topic: str, said: dict[str, Any]) -> None:
        self._last = self.broker.publish(topic, json.dumps(said), qos=1)

    def _sense(self) -> None:
        """Let every sensor report once a period, evenly spread."""
        for device in self.sensing.devices:
            if self.over.wait(SENSOR_EVERY_S / len(self.sensing.devices)):
                return
            self._publish(*self.sensing.message(device))
            self.counts.telemetry += 1

    def _complain(self) -> None:
        """Report something by Open311 from somewhere at a road."""
        services = [s["service_code"] for s in self.api.get("/open311/v2/services.json")]
        assert self.traffic
        while not self.over.wait(random.expovariate(self.plan.reports_per_minute / 60)):
            graph = self.traffic.graph
            lon, lat = graph.nodes[random.choice(graph.main)]
            report = {
                "service_code": random.choice(services),
                "lat": round(float(lat) + random.gauss(0, 0.0002), 6),
                "long": round(float(lon) + random.gauss(0, 0.0002), 6),
                "description": random.choice(COMPLAINTS),
            }
            try:
                self.api.post("/open311/v2/requests.json", report)
                self.counts.reports += 1
            except Unavailable as why:
                self.counts.refused += 1
                log.warning("report refused", why=why.detail)

    def _answer(self) -> None:
        """Send dispatched crews to their tasks, and release them when the task is done."""
        assert self.traffic
        crews = {m.device.split("/")[1]: m for m in self.traffic.movers if m.kind == "crew"}
        while not self.over.wait(ANSWER_EVERY_S):
            tasks: dict[str, tuple[float, float]] = {}
            for event in self.api.get("/api/v1/events?state=open&limit=500")["events"]:
                if event["state"] in GOING and event["holder"] in crews and event["point"]:
                    tasks[event["holder"]] = (event["point"][0], event["point"][1])
            for code, mover in crews.items():
                if code in tasks and mover.task != tasks[code]:
                    found = self.traffic.send(mover, *tasks[code])
                    log.info("crew goes to its task", crew=code, by_road=found)
                elif code not in tasks and mover.task:
                    self.traffic.release(mover)

    def _leave(self) -> None:
        if self._last is not None:
            self._last.wait_for_publish(5)
        self.broker.disconnect()
        self.broker.loop_stop()


def _some(features: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return so many from all over the city."""
    return random.sample(features, min(count, len(features)))


def told(counts: Counts) -> dict[str, Any]:
    """Return the counts as the command's result."""
    return asdict(counts)
