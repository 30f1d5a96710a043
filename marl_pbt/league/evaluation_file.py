"""An `evaluation.json` read again, as the word of somebody else: only what is known there is taken over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from marl_pbt.policy_files import SavedPolicy
from marl_pbt.protocols import UserError
from marl_pbt.strangers_files import read_whole

MAX_BYTES = 64 * 2**20


class _Figures(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    n: int


class _Rating(BaseModel):
    policy: str
    mean_against_field: _Figures


class _Policy(BaseModel):
    label: str
    sha256: str


class _Evaluation(BaseModel):
    episodes: int
    seed: int
    greedy: bool
    policies: dict[str, list[_Policy]]
    ratings: dict[str, list[_Rating]]


@dataclass(frozen=True)
class EvaluationFile:
    """What it says.

    Attributes:
        path: Of the file, for the errors.
        content: Checked.
    """

    path: Path
    content: _Evaluation

    def of(self, policy: SavedPolicy) -> dict[str, Any]:
        """What it says of a policy: its mean against the field, who that was, and how it was played.

        Raises:
            UserError: The policy did not play in it.
        """
        species = policy.card.species
        labels = {each.sha256: each.label for each in self.content.policies.get(species, ())}
        ratings = {each.policy: each for each in self.content.ratings.get(species, ())}
        label = labels.get(policy.digest)
        if label is None or label not in ratings:
            raise UserError(f"--evaluation: {self.path}: this {species} did not play in it; evaluate it first")
        field = {name: len(of) for name, of in self.content.policies.items()}
        rules = {"episodes": self.content.episodes, "seed": self.content.seed, "greedy": self.content.greedy}
        return {"mean_against_field": ratings[label].mean_against_field.model_dump(), "field": field, **rules}


def read_evaluation(path: Path) -> EvaluationFile:
    """Read it.

    Raises:
        UserError: It is no such file.
    """
    data = read_whole(path, MAX_BYTES)
    try:
        return EvaluationFile(path, _Evaluation.model_validate_json(data))
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"--evaluation: {path}: not an evaluation.json ({where}: {first['msg']})") from None
