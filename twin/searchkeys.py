"""What else things are found by: words of their search fields, and their names in pinyin.

The worker keeps both and follows the journal. A value that very many things share (a species) names
none of them and is left to filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pypinyin import Style, lazy_pinyin
from sqlalchemy import Connection, text

from twin import db
from twin.kinds import Kind

READER = "search"
# A value that more things of a kind share does not tell one from the others.
SHARED_BY = 60
BIG = 1_000
_BATCH = 5_000
_NAMES = 10_000
_TYPES = frozenset(("text", "link", "list"))


def fields(kind: Kind) -> list[str]:
    """Return the fields of a kind by whose words its things are found."""
    wanted = dict.fromkeys((*kind.search, *(("address",) if "address" in kind.fields else ())))
    return [n for n in wanted if n in kind.fields and kind.fields[n].type in _TYPES]


def follow(kinds: Mapping[str, Kind]) -> int:
    """Bring the words up to the journal; the first time all of them. Returns how many kinds changed."""
    with db.engine("app").begin() as conn:
        after = conn.execute(
            text("select seq from twin.reader where name = :n for update"), {"n": READER}
        ).scalar()
        few: dict[str, set[int]] = {}
        if after is None:
            upto = int(
                conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one()
            )
            whole = dict[str, None].fromkeys(kinds)
        else:
            upto, whole, few = _changed(conn, after)
        for name in whole:
            if name in kinds:
                rebuild(conn, kinds[name])
        if whole:
            sample(conn)
        for name, nums in few.items():
            if name in kinds and name not in whole:
                touch(conn, kinds[name], nums)
        if after is None or upto > after:
            conn.execute(
                text(
                    "insert into twin.reader (name, seq) values (:n, :s) "
                    "on conflict (name) do update set seq = excluded.seq, at = now()"
                ),
                {"n": READER, "s": upto},
            )
    # Names go in transactions of their own: half a million of them take a while the first time.
    while whole and spell():
        pass
    touched = sorted({num for nums in few.values() for num in nums})
    while touched and spell(touched):
        pass
    return len(whole) + len(few)


def _changed(conn: Connection, after: int) -> tuple[int, dict[str, None], dict[str, set[int]]]:
    rows = conn.execute(
        text(
            "select s.seq, j.class, j.kind, coalesce(j.after->>'num', j.before->>'num')::int as num, "
            "j.note from (select * from twin.sealed where seq > :after order by seq limit :n) s "
            "join twin.journal j on j.id = s.entry order by s.seq"
        ),
        {"after": after, "n": _BATCH},
    ).mappings()
    upto, whole, few = after, dict[str, None](), dict[str, set[int]]()
    for row in rows:
        upto = row["seq"]
        if row["class"] == "load" and row["kind"] and (row["note"] or {}).get("nums"):
            whole[row["kind"]] = None
        elif row["class"] == "declaration" and row["kind"]:
            whole[str(row["kind"]).removeprefix("kind:")] = None
        elif row["class"] == "thing" and row["kind"] and row["num"] is not None:
            few.setdefault(row["kind"], set()).add(row["num"])
    return upto, whole, few


def rebuild(conn: Connection, kind: Kind) -> None:
    """Write the words of a kind anew."""
    conn.execute(text("delete from twin.search_key where kind = :k"), {"k": kind.kind})
    for name in fields(kind):
        said = _said(kind, name)
        conn.execute(
            text(
                "insert into twin.search_key (num, kind, field, word) "
                f"select t.num, :k, :f, twin.word({said}) from {kind.topic}.{kind.kind} t "
                f"where {said} <> '' and twin.word({said}) <> '' and {said} not in (select {said} "
                f"from {kind.topic}.{kind.kind} t where {said} is not null group by 1 "
                "having count(*) > :most)"
            ),
            {"k": kind.kind, "f": name, "most": SHARED_BY},
        )


def sample(conn: Connection) -> None:
    """Draw one name in a hundred anew."""
    conn.execute(text("delete from twin.name_sample"))
    conn.execute(
        text(
            "insert into twin.name_sample (kind, name) select kind, name from twin.thing "
            "tablesample bernoulli (1) where name <> '' and gone_at is null and point is not null"
        )
    )


def touch(conn: Connection, kind: Kind, nums: Iterable[int]) -> None:
    """Write the words of some things anew."""
    asked = {"nums": sorted(nums), "k": kind.kind, "most": SHARED_BY}
    conn.execute(text("delete from twin.search_key where num = any(:nums)"), asked)
    for name in fields(kind):
        said = _said(kind, name)
        conn.execute(
            text(
                "insert into twin.search_key (num, kind, field, word) select num, :k, :f, word from ("
                f"select t.num, twin.word({said}) as word from {kind.topic}.{kind.kind} t "
                f"where t.num = any(:nums) and {said} <> '') t where word <> '' and (select count(*) "
                "from (select 1 from twin.search_key k where k.word = t.word and k.kind = :k "
                "and k.field = :f limit :most) c) < :most"
            ),
            {**asked, "f": name},
        )


def _said(kind: Kind, name: str) -> str:
    column = f't."{name}"'
    return f"array_to_string({column}, ' ')" if kind.fields[name].type == "list" else column


def spell(nums: Sequence[int] | None = None) -> int:
    """Write the pinyin of names that have none yet, a batch of them; return how many.

    With `nums` only the names of these things are looked at.
    """
    some = "t.num = any(:nums) and" if nums is not None else ""
    with db.engine("app").begin() as conn:
        names = conn.scalars(
            text(
                f"select distinct t.name from twin.thing t where {some} t.name <> '' and t.gone_at is null "
                "and not exists (select 1 from twin.name_pinyin p where p.name = t.name) limit :n"
            ),
            {"n": _NAMES, "nums": list(nums or ())},
        ).all()
        if names:
            made = [pinyin(name) for name in names]
            conn.execute(
                text(
                    "insert into twin.name_pinyin (name, initials, spelled) select * from "
                    "unnest(cast(:n as text[]), cast(:i as text[]), cast(:s as text[])) "
                    "on conflict (name) do nothing"
                ),
                {"n": names, "i": [m[0] for m in made], "s": [m[1] for m in made]},
            )
    return len(names)


def pinyin(name: str) -> tuple[str, str]:
    """Return initials and spelling of a name: 外滩1号 → wt1h, waitan1hao; letters stay letters."""
    parts: Sequence[str] = lazy_pinyin(name[:60], style=Style.NORMAL)
    words = [_plain(p) for p in parts]
    initials = [w if w.isdigit() or len(w) == len(p) and not _spelled(p, name) else w[:1]
                for w, p in zip(words, parts, strict=True)]  # fmt: skip
    return "".join(initials), "".join(words)


def _plain(part: str) -> str:
    return "".join(c for c in part.lower() if c.isalnum())


def _spelled(part: str, name: str) -> bool:
    """Tell whether a part is the sound of a character, not letters of the name itself."""
    return part not in name
