"""Jigsaw patch module (JPM): assigns patches to the local features of TransReID (section 3.2)."""

from __future__ import annotations


def jigsaw_order(tokens: int, *, shift: int, groups: int) -> list[int]:
    """Return patch ids after shifting and shuffling; patches are numbered from 1, because the class token is 0.

    The sequence starts at patch `shift` and wraps around, then `groups` equal pieces of it are interleaved. If its
    length is not divisible by `groups`, its second-to-last id is appended until it is: the released weights were
    trained with that order.
    """
    order = [*range(shift, tokens + 1), *range(1, shift)]
    while len(order) % groups:
        order.append(order[-2])
    length = len(order) // groups
    return [order[group * length + i] for i in range(length) for group in range(groups)]


def part_token_ids(
    tokens: int, *, parts: int, shift: int, groups: int, rearrange: bool, divide_length: int | None = None
) -> list[list[int]]:
    """Return the patch ids (from 1) of each part: `parts` lists of tokens // divide_length ids; the rest is dropped.

    Args:
        divide_length: at least `parts`; None is `parts`.
    """
    order = jigsaw_order(tokens, shift=shift, groups=groups) if rearrange else list(range(1, tokens + 1))
    length = tokens // (divide_length or parts)
    return [order[part * length : (part + 1) * length] for part in range(parts)]
