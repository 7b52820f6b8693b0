"""The `twin` command: finds what stands in `ui/terminal/commands` and keeps the common manners.

A command is a module with `register(app: typer.Typer) -> None`. It raises TwinError to fail: the
person reads one sentence and the exit code is 2; `output.finish(..., partly=True)` exits with 1.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Any

import psycopg
import typer
from sqlalchemy.exc import DBAPIError, OperationalError

from twin.errors import TwinError
from twin.log import start_logging
from ui.terminal import commands, output
from ui.terminal.paths import use_default_home, use_running_ports

FAILED = 2
# typer carries its own click and shows only the leaves of its error tree.
CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def application() -> typer.Typer:
    """Return the typer application with every command that is there."""
    app = typer.Typer(
        name="twin",
        help="Lvrong Twin (绿容孪生). Every command takes --json: one object on standard output.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)  # commands keep their names even when there is only one
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        importlib.import_module(f"{commands.__name__}.{found.name}").register(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command: exit 0 done, 1 done in part, 2 not done with one sentence why."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output.use_json("--json" in words)
    words = [word for word in words if word != "--json"]
    use_default_home()
    use_running_ports()
    start_logging()
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        # Outside of "standalone" mode click hands back the code of typer.Exit.
        code = typer.main.get_command(application()).main(words, "twin", standalone_mode=False)
    except TwinError as why:
        return _failed(why.detail, why.code)
    except CLICK_ERROR as why:
        return _failed(_usage(why), "usage")
    except (typer.Abort, KeyboardInterrupt):
        return _failed("Interrupted.", "interrupted")
    except OperationalError:
        return _failed(
            "The database does not answer; start the installation with ./up.", "unavailable"
        )
    except DBAPIError as why:
        return _failed(f"The database refused this: {str(why.orig).splitlines()[0]}", "database")
    except psycopg.Error as why:
        return _failed(f"The database refused this: {str(why).splitlines()[0]}", "database")
    except BrokenPipeError:
        return 0
    return code if isinstance(code, int) else 0


def _usage(why: Any) -> str:
    context = getattr(why, "ctx", None)
    return f"{why.format_message()} (see {context.command_path if context else 'twin'} --help)"


def _failed(sentence: str, code: str) -> int:
    if output.wants_json():
        output.tell({"error": code, "detail": sentence}, "")
    print(sentence, file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    main()
