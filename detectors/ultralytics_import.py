"""Import Ultralytics without what it does on the side."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from types import ModuleType

# Loggers and trackers that Ultralytics' trainer starts by itself when their packages are installed.
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def import_ultralytics() -> ModuleType:
    """The package `ultralytics`, imported so that a run depends on nothing but its arguments.

    - It installs no packages while running, sends no usage statistics and looks up no network addresses at import;
      its warnings go to the logging of the program instead of the standard output.
    - Its settings live in a folder of this process, unless YOLO_CONFIG_DIR names one: the ones in the user's home
      are shared by all programs of the user, and would decide where weights come from and what is switched on.
    - Checkpoints are read with torch's restricted unpickler, which builds known classes only
      (ULTRALYTICS_SAFE_LOAD=0 in the environment turns that off).
    - The number of threads that torch uses stays as it is: Ultralytics would set it to 1 for the whole process.
    - `PIL.Image.open` stays Pillow's own: Ultralytics' one answers a damaged picture by trying to install a package.

    If the program imported Ultralytics before, all but the number of threads are as that import left them.
    """
    import PIL.Image
    import torch  # before Ultralytics, which sets OMP_NUM_THREADS=1 for a torch that starts later

    if "ultralytics" not in sys.modules:
        threads = torch.get_num_threads()
        offline, omp_threads = os.environ.get("YOLO_OFFLINE"), os.environ.get("OMP_NUM_THREADS")
        os.environ.update(YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false", YOLO_OFFLINE="true")
        os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
        if "YOLO_CONFIG_DIR" not in os.environ:
            folder = tempfile.mkdtemp(prefix="ultralytics-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            os.environ["YOLO_CONFIG_DIR"] = folder
        open_picture = PIL.Image.open
        import ultralytics

        PIL.Image.open = open_picture
        # Offline was for the import only: a bare name such as yolo11n.pt is downloaded by Ultralytics.
        _restore("YOLO_OFFLINE", offline)
        _restore("OMP_NUM_THREADS", omp_threads)
        torch.set_num_threads(threads)
    import ultralytics
    from ultralytics.utils import LOGGER, SETTINGS

    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.WARNING)
    # dict.update changes them for this process; SETTINGS.update would write them to the file.
    dict.update(SETTINGS, sync=False, **dict.fromkeys(_INTEGRATIONS, False))
    return ultralytics


def loads_safely() -> bool:
    """Whether Ultralytics reads checkpoints with the restricted unpickler."""
    from ultralytics import utils

    return bool(getattr(utils, "SAFE_LOAD", False))


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
