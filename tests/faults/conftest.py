"""What the fault tests share: things that report, without a whole city around them."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from twin import db


@pytest.fixture(scope="module")
def vehicles(database: str) -> dict[str, int]:
    """Twenty vehicles in the registry: code -> num."""
    codes = [f"310104-VH-{i:06d}" for i in range(1, 21)]
    with db.engine("owner").begin() as conn:
        for code in codes:
            conn.execute(
                text(
                    "insert into twin.thing (id, kind, code, district, level) "
                    "values (:id, 'vehicle', :code, '310104', 2)"
                ),
                {"id": uuid4(), "code": code},
            )
        rows = conn.execute(text("select code, num from twin.thing where kind = 'vehicle'"))
        return {row.code: row.num for row in rows}
