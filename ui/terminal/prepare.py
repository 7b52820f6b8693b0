"""Set up what lives in the database: roles, extensions, migrations, shipped declarations, demo.

`./up` and the tests run the same code; every step may be repeated after it was interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from twin import db, declarations, setup
from twin.errors import TwinError
from twin.settings import ROLES, Settings, settings
from ui.terminal.broker import Broker, broker_address
from ui.terminal.report import SetupError, complain, step

EXTENSIONS = ("postgis", "pg_trgm", "btree_gist")
DATABASE = "twin"
# Parallel workers and JIT each cost a factor of four on small boxes; a forgotten transaction must
# not hold locks.
ROLE_SETTINGS = {
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "5min",
}


def admin_url(config: Settings, database: str | None = None) -> str:
    """Return the address by which set-up makes roles and databases."""
    if config.database_url:
        parts = urlsplit(config.database_url)
        path = f"/{database}" if database else parts.path
        return urlunsplit(("postgresql", parts.netloc, path, parts.query, ""))
    password = quote(config.secret("db-super"), safe="")
    return f"postgresql://postgres:{password}@127.0.0.1:{config.db_port}/{database or DATABASE}"


def ensure_roles(
    conn: psycopg.Connection[tuple[object, ...]], passwords: Mapping[str, str]
) -> None:
    """Make the five roles and set their passwords and planner settings."""
    for role in ROLES:
        name = f"twin_{role}"
        known = conn.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone()
        verb = "alter" if known else "create"
        conn.execute(
            sql.SQL(verb + " role {} login password {}").format(
                sql.Identifier(name), sql.Literal(passwords[role])
            )
        )
        for key, value in ROLE_SETTINGS.items():
            conn.execute(
                sql.SQL("alter role {} set {} = {}").format(
                    sql.Identifier(name), sql.Identifier(key), sql.Literal(value)
                )
            )


def ensure_database(conn: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    """Make the database, owned by twin_owner, when missing."""
    if conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
        return
    conn.execute(
        sql.SQL("create database {} owner twin_owner encoding 'UTF8' template template0").format(
            sql.Identifier(name)
        )
    )


def ensure_server() -> None:
    """Make roles, database and extensions on the private or the given server."""
    config = settings()
    passwords = {role: config.secret(f"db-{role}") for role in ROLES}
    outer = admin_url(config, None if config.database_url else "postgres")
    with psycopg.connect(outer, autocommit=True, connect_timeout=10) as conn:
        ensure_roles(conn, passwords)
        if not config.database_url:
            ensure_database(conn, DATABASE)
    with psycopg.connect(admin_url(config), autocommit=True, connect_timeout=10) as conn:
        name = conn.info.dbname
        for extension in EXTENSIONS:
            conn.execute(
                sql.SQL("create extension if not exists {}").format(sql.Identifier(extension))
            )
        conn.execute(
            sql.SQL("grant create, connect on database {} to twin_owner").format(
                sql.Identifier(name)
            )
        )
        conn.execute("revoke create on schema public from public")


def ensure_tables(*, people: bool = True) -> None:
    """Apply missing migrations and publish what is shipped; accounts are made unless `people` is false."""
    db.migrate()
    setup.publish_shipped(people=people)


def ensure_demo() -> None:
    """Load the demo city once; the note that it is there is written after its last row."""
    size = settings().demo
    if size == "none" or _demo_loaded() == size:
        return
    from ingest import people
    from ingest.demo import load_demo

    with step(f"Demo city ({size})") as tell:
        load_demo(size, lambda part, done, total: tell(f"{done:,} of {total:,} ({part})"))
        setup.assign_crews()
        people.demo()
        with db.engine("owner").begin() as conn:
            declarations.publish(
                conn, "setting", "demo", {"size": size}, origin="local", actor="system:setup"
            )


def _demo_loaded() -> str | None:
    with db.engine("owner").connect() as conn:
        found = conn.scalar(
            text(
                "select doc->>'size' from twin.declaration "
                "where kind_of = 'setting' and key = 'demo' order by version desc limit 1"
            )
        )
    return str(found) if found else None


def prepare() -> None:
    """Do everything a home needs before its parts can run."""
    with step("Database: roles, tables, declarations"):
        ensure_server()
        ensure_tables()
    ensure_demo()
    config = settings()
    Broker(config.home, config.north_mqtt_port, broker_address(config)).ensure({})


def main() -> int:
    """Prepare the home of the settings; one sentence instead of a traceback."""
    try:
        prepare()
    except TwinError as why:
        complain(why.detail)
    except (psycopg.Error, SQLAlchemyError) as why:
        first = str(getattr(why, "orig", None) or why).strip().splitlines()[0]
        complain(SetupError(f"The database refused a step of set-up: {first}").detail)
    else:
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main())
