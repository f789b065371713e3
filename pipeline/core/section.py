"""Base classes and field types for the sections of the configuration."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
CosineDistance = Annotated[float, Field(gt=0, le=2)]
CosineLimit = CosineDistance | Literal["calibrated"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Half = Literal["auto"] | bool


def _path(text: str) -> str:
    # An empty one would be the current folder.
    if not text:
        raise ValueError("the path is empty")
    return os.path.expanduser(text)


# A path that may begin with ~ or ~user, for a home folder.
PathText = Annotated[str, AfterValidator(_path)]


class Section(BaseModel):
    """Frozen and strict: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MatchingSection(Section):
    """Settings of a part that compares embeddings."""

    max_cosine_distance: CosineLimit
