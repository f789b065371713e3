"""Names of the last block and the final norm: the backbone's without the jigsaw, those of two branches with it, `b1`
for the global feature and `b2` for the local ones.
"""

from __future__ import annotations

import re
from dataclasses import replace

from reid.models.transreid import TransReID

_BRANCH = re.compile(r"b([12])\.([01])\.")
_LOCAL_HEAD = re.compile(r"(bottleneck|classifier)_\d+\.")


def names_with_jigsaw(name: str, depth: int) -> list[str]:
    """Names that take the tensor `name` of a model of `depth` blocks without the jigsaw in one with it."""
    for index, prefix in enumerate(_last_parts(depth)):
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return [f"b1.{index}.{rest}", f"b2.{index}.{rest}"]
    return [name]


def names_without_jigsaw(name: str, depth: int) -> list[str]:
    """Names that take the tensor `name` of a model of `depth` blocks with the jigsaw in one without it: none of what
    makes the local features.
    """
    if _LOCAL_HEAD.match(name):
        return []
    part = _BRANCH.match(name)
    if part is None:
        return [name]
    return [_last_parts(depth)[int(part[2])] + name[part.end() :]] if part[1] == "1" else []


def without_jigsaw(model: TransReID) -> TransReID:
    """A model of the global feature of `model` alone, in evaluation mode."""
    depth = model.config.depth
    result = TransReID.uninitialised(replace(model.config, jpm=False))
    result.neck_feature = model.neck_feature
    state = model.state_dict()
    result.load_state_dict(
        {new: value for name, value in state.items() for new in names_without_jigsaw(name, depth)}
    )
    return result.eval()


def _last_parts(depth: int) -> tuple[str, str]:
    return f"base.blocks.{depth - 1}.", "base.norm."
