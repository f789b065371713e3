"""Names of the last block and the final norm, which depend on the jigsaw module. Without it, they are in the backbone;
with it, in two branches: `b1` for the global feature and `b2` for the local ones.
"""

from __future__ import annotations

import re
from dataclasses import replace

from reid.models.transreid import TransReID

_BRANCH = re.compile(r"b([12])\.([01])\.")
_LOCAL_HEAD = re.compile(r"(bottleneck|classifier)_\d+\.")


def names_with_jigsaw(name: str, depth: int) -> list[str]:
    """Return the tensors of a model with the jigsaw that correspond to `name` in one without it (`depth` blocks)."""
    for index, prefix in enumerate(_last_parts(depth)):
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return [f"b1.{index}.{rest}", f"b2.{index}.{rest}"]
    return [name]


def names_without_jigsaw(name: str, depth: int) -> list[str]:
    """Return the tensors of a model without the jigsaw that correspond to `name` in one with it (`depth` blocks); empty
    for tensors of the local features.
    """
    if _LOCAL_HEAD.match(name):
        return []
    part = _BRANCH.match(name)
    if part is None:
        return [name]
    return [_last_parts(depth)[int(part[2])] + name[part.end() :]] if part[1] == "1" else []


def without_jigsaw(model: TransReID) -> TransReID:
    """Return a model that computes only the global feature of `model`, in evaluation mode."""
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
