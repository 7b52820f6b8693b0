"""What the forms of policies offer and how an indicator of a draft is counted: bounded, within what one may see."""

from __future__ import annotations

from typing import Any

from tests.services.conftest import Api

SET = "/api/v1/policies/indicators/sanitation"


def draft(api: Api, **new: Any) -> dict[str, Any]:
    doc: dict[str, Any] = api.get(SET, "commander").json()["document"]
    doc["indicators"]["tried"] = {
        "group": next(iter(doc["groups"])), "title": {"zh": "试", "en": "Tried"}, **new,
    }  # fmt: skip
    return doc


def tried(api: Api, doc: dict[str, Any], user: str = "commander", name: str = "tried") -> Any:
    return api.post(f"{SET}/trial", {"document": doc, "name": name}, user)


def test_the_forms_offer_what_there_is(api: Api) -> None:
    said = api.get("/api/v1/policies/choices", "planner").json()
    assert {"commander", "dispatcher"} <= {one["key"] for one in said["roles"]}
    assert "toilet" in {one["key"] for one in said["kinds"]}
    assert {"cases", "crews"} <= {one["key"] for one in said["records"]}
    fields = api.get(
        "/api/v1/policies/choices/fields", "planner", form="kind", name="toilet"
    ).json()["fields"]
    assert {"key": "accessible", "type": "boolean"}.items() <= next(
        f for f in fields if f["key"] == "accessible"
    ).items()
    wrong = api.get("/api/v1/policies/choices/fields", "planner", form="kind", name="nothing")
    assert wrong.status_code == 422 and wrong.json()["code"] == "declaration_invalid"


def test_a_draft_is_counted_now_by_district_with_its_things(api: Api) -> None:
    said = tried(api, draft(api, of={"kind": "toilet"})).json()
    assert said["value"] == sum(d["value"] for d in said["by_district"]) > 0
    assert 0 < len(said["things"]) <= 5 and said["was"] is None
    share = draft(api, of={"kind": "toilet"}, measure={"share": "accessible = true"})
    assert 0 <= tried(api, share).json()["value"] <= 100
    formula = draft(api, formula="sanitation.toilets * 2.0")
    assert tried(api, formula).json()["value"] == 2 * said["value"]


def test_what_is_wrong_is_refused_with_its_place(api: Api) -> None:
    broken = tried(api, draft(api, of={"kind": "toilet"}, where="nothing = 3"))
    assert broken.status_code == 422 and "nothing" in broken.text
    absent = tried(api, draft(api, of={"kind": "toilet"}), name="absent")
    assert absent.status_code == 400
    assert tried(api, draft(api, of={"kind": "toilet"}), user="planner").status_code == 403
