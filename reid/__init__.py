"""Crops in, embeddings out: TransReID, its training, and the embedder that the pipeline calls.

`reid.load_transreid` builds the model from a state dict. It is imported on first use, so that the modules of this
package that need only numpy load without torch.
"""

from typing import TYPE_CHECKING, Any

import pipeline.core.no_telemetry  # noqa: F401 - before OpenVINO

if TYPE_CHECKING:
    from reid.models.loading import load_transreid as load_transreid

__all__ = ["load_transreid"]


def __getattr__(name: str) -> Any:
    if name == "load_transreid":
        from reid.models.loading import load_transreid

        return load_transreid
    raise AttributeError(f"module 'reid' has no attribute {name!r}")
