"""The config's `pbt.cross_play`: how policies are scored where species compete."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from marl_pbt.config.sections import Count, Number, Section, Share


class CrossPlaySection(Section):
    """How `fitness: cross_play` scores policies: in matches at ready points, against other members' policies."""

    opponents: Count = Field(default=6, description="other members' policies that are met at a ready point")
    episodes: Count = Field(default=1, description="with each of them")
    past: Share = Field(default=0.25, description="share of the opponents that is older than the others")
    ready_points: Count = Field(default=2, description="the latest this many, since an exploit, make the score")
    kept: Annotated[int, Number(low=0, whole=True)] = Field(
        default=4, description="older versions of each member that stay in the archive"
    )
    guest_worlds: Annotated[float, Number(low=0, high=1, high_is_open=True)] = Field(
        default=0.0, description="share of the training worlds where one species trains and guests play the others"
    )
    config: dict[str, Any] = Field(default_factory=dict, description="changes to environment.config in matches")
