"""`twin simulate`: a city that moves, for demos, training and load."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.settings import settings
from ui.terminal.output import finish
from ui.terminal.simulator.doors import Api, demo_password
from ui.terminal.simulator.run import Plan, Simulation, told


def simulate(
    vehicles: Annotated[int, typer.Option("--vehicles", min=0, help="Vehicles that drive")] = 300,
    crews: Annotated[int, typer.Option("--crews", min=0, help="Crews that drive")] = 120,
    sensors: Annotated[int, typer.Option("--sensors", min=0, help="Sensors that report")] = 50,
    rate: Annotated[
        float, typer.Option("--rate", min=0.01, max=50, help="Positions a second")
    ] = 1.0,
    reports_per_minute: Annotated[
        float, typer.Option("--reports-per-minute", min=0, max=600, help="Citizens' reports")
    ] = 0.0,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="0: until Ctrl-C")] = 0.0,
    answer: Annotated[bool, typer.Option("--answer", help="Dispatched crews drive there")] = False,
    user: Annotated[str, typer.Option("--user", help="Who reads the city")] = "dispatcher",
    password: Annotated[str, typer.Option("--password", help="Default: the demo log-in")] = "",
    url: Annotated[str, typer.Option("--url", help="Default: this installation")] = "",
    mqtt: Annotated[str, typer.Option("--mqtt", help="HOST:PORT; default: this installation")] = "",
) -> None:
    """Drive the running system through its public doors: MQTT, HTTP, Open311."""
    config = settings()
    api = Api(url or f"http://127.0.0.1:{config.port}")
    api.log_in(user, password or demo_password(user))
    plan = Plan(
        vehicles=vehicles,
        crews=crews,
        sensors=sensors,
        rate_hz=rate,
        reports_per_minute=reports_per_minute,
        seconds=seconds,
        answer=answer,
    )
    host, _, port = (mqtt or f"127.0.0.1:{config.mqtt_port}").rpartition(":")
    counts = told(Simulation(api, host, int(port), plan).run())
    finish(counts, ", ".join(f"{name} {count}" for name, count in counts.items()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)
