"""Converts a checkpoint to an OpenVINO network: `python -m reid.convert CHECKPOINT XML HASH [SITE]`.

`reid.conversion` starts it in a process of its own, because it needs torch.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import RunError
from pipeline.core.own_process import reporting
from reid.checkpoint_file import open_checkpoint


def main() -> None:
    """Write the network of the checkpoint, with the cameras of the site if there is one."""
    reporting(_convert)


def _convert() -> str:
    from reid.export.to_openvino import write_openvino

    checkpoint, xml, expected, *site = sys.argv[1:]
    file = replace(open_checkpoint(Path(checkpoint)), site_path=Path(site[0]) if site else None)
    loaded = file.load()
    if loaded.model_hash != expected:
        raise RunError(f"{', '.join([checkpoint, *site])} changed while it was converted: start again")
    write_openvino(loaded, Path(xml))
    return xml


if __name__ == "__main__":
    main()
