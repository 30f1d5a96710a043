"""The config's JSON schema, for editors: `python -m marl_pbt.config.schema > configs/schema.json`."""

from __future__ import annotations

import json
import sys
from typing import Any

from marl_pbt.config.models import RunConfig


def json_schema() -> dict[str, Any]:
    """The schema; hyperparameters may be nested there by species, as in a config."""
    schema = RunConfig.model_json_schema(by_alias=True)
    declared = schema["$defs"]["PBTSection"]["properties"]["hyperparameters"]
    declaration = declared["additionalProperties"]
    group = {"type": "object", "additionalProperties": declaration}
    declared["additionalProperties"] = {"anyOf": [declaration, group, {"type": "null"}]}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
