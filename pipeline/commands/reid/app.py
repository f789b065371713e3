"""`mtmc reid`: the list of its commands."""

from __future__ import annotations

from typing import ClassVar

from pipeline.commands.lazy import Lazy, LazyGroup, new_app
from reid.memory import keep_freed_memory


class _Commands(LazyGroup):
    lazy: ClassVar = {
        "train": Lazy("pipeline.commands.reid.train", "train"),
        "places": Lazy("pipeline.commands.reid.places", "leave_places_out"),
        "pack": Lazy("pipeline.commands.reid.recipe", "pack_crops"),
        "recipe": Lazy("pipeline.commands.reid.recipe", "recipe"),
        "evaluate": Lazy("pipeline.commands.reid.evaluate", "evaluate"),
        "crops": Lazy("pipeline.commands.reid.crops", "crops"),
        "adapt": Lazy("pipeline.commands.reid.adapt", "adapt"),
        "calibrate": Lazy("pipeline.commands.reid.calibrate", "calibrate"),
        "export": Lazy("pipeline.commands.reid.export", "export"),
        "strip": Lazy("pipeline.commands.reid.weights", "strip"),
        "average": Lazy("pipeline.commands.reid.weights", "average"),
        "convert": Lazy("pipeline.commands.reid.weights", "convert"),
        "start": Lazy("pipeline.commands.reid.weights", "start"),
    }


app = new_app(cls=_Commands, help="Train, measure and convert re-identification models.")


@app.callback()
def options() -> None:
    """Train, measure and convert re-identification models."""
    keep_freed_memory()
