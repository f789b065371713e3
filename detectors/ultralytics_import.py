"""Import Ultralytics without its side effects."""

from __future__ import annotations

import logging
import os
import sys
from types import ModuleType

from pipeline.core.process_folder import process_folder

# Loggers and trackers that Ultralytics' trainer starts automatically if their packages are installed.
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def import_ultralytics() -> ModuleType:
    """Import the package `ultralytics` so that a run depends only on its arguments.

    - It installs no packages while running, sends no usage statistics and looks up no network addresses at import.
      Its warnings go to the logging of the program instead of the standard output.
    - Its settings are in a temporary folder of this process, unless YOLO_CONFIG_DIR names one. The settings in the
      user's home are not used: all programs share them, and they determine the source of weights and what is enabled.
    - Checkpoints are read with torch's restricted unpickler, which builds only known classes
      (ULTRALYTICS_SAFE_LOAD=0 in the environment turns that off).
    - The number of threads of torch does not change: Ultralytics would set it to 1 for the whole process.
    - `PIL.Image.open` remains Pillow's own: Ultralytics' replacement tries to install a package for a damaged picture.

    If the program imported Ultralytics earlier, the effects of that import remain; only logging and settings change.
    """
    import PIL.Image
    import torch  # before Ultralytics, which sets OMP_NUM_THREADS=1 for a torch that starts later

    if "ultralytics" not in sys.modules:
        threads = torch.get_num_threads()
        offline, omp_threads = os.environ.get("YOLO_OFFLINE"), os.environ.get("OMP_NUM_THREADS")
        os.environ.update(YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false", YOLO_OFFLINE="true")
        os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
        if "YOLO_CONFIG_DIR" not in os.environ:
            os.environ["YOLO_CONFIG_DIR"] = str(process_folder("ultralytics"))
        open_picture = PIL.Image.open
        import ultralytics

        PIL.Image.open = open_picture
        # Offline only during the import: Ultralytics downloads weights given by a bare name such as yolo11n.pt.
        _restore("YOLO_OFFLINE", offline)
        _restore("OMP_NUM_THREADS", omp_threads)
        torch.set_num_threads(threads)
    import ultralytics
    from ultralytics.utils import LOGGER, SETTINGS

    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.WARNING)
    # dict.update changes them only in this process; SETTINGS.update would write them to the file.
    dict.update(SETTINGS, sync=False, **dict.fromkeys(_INTEGRATIONS, False))
    return ultralytics


def loads_safely() -> bool:
    """Return whether Ultralytics reads checkpoints with the restricted unpickler."""
    from ultralytics import utils

    return bool(getattr(utils, "SAFE_LOAD", False))


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
