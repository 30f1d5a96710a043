from __future__ import annotations

import json
from pathlib import Path

from marl_pbt.config.schema import json_schema, schema_text

COMMITTED = Path(__file__).resolve().parents[2] / "configs" / "schema.json"


def test_the_committed_schema_is_current():
    assert COMMITTED.read_text() == schema_text(), "python -m marl_pbt.config.schema > configs/schema.json"


def test_editors_are_told_unknown_keys_bounds_and_what_each_key_means():
    pbt = json_schema()["$defs"]["PBTSection"]
    assert pbt["additionalProperties"] is False
    assert pbt["required"] == ["interval"]
    quantile = pbt["properties"]["quantile_top"]
    assert (quantile["exclusiveMinimum"], quantile["maximum"]) == (0, 0.5)
    assert all(key == "hyperparameters" or "description" in field for key, field in pbt["properties"].items())


def test_every_reference_in_the_schema_leads_somewhere():
    definitions = json_schema()["$defs"]
    references = [part.split('"')[0] for part in json.dumps(json_schema()).split("#/$defs/")[1:]]
    assert references
    assert set(references) <= set(definitions)
