"""Find out whether torch could use a GPU without importing torch, which takes seconds and hundreds of megabytes."""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import PackageNotFoundError, version

_CUDA_SUCCESS = 0


def torch_may_use_gpu() -> bool:
    """Return False if `torch.cuda.is_available()` is certainly False: torch is not installed or was built for the CPU,
    or NVIDIA's driver is not there or shows no GPU (it respects CUDA_VISIBLE_DEVICES). Otherwise only torch knows."""
    try:
        build = version("torch").partition("+")[2]
    except PackageNotFoundError:
        return False
    if build == "cpu" or sys.platform == "darwin":
        return False
    return build.startswith("rocm") or _cuda_devices() > 0


def _cuda_devices() -> int:
    """Return the number of GPUs that NVIDIA's driver shows to this process; 0 without the driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != _CUDA_SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != _CUDA_SUCCESS:
        return 0
    return count.value
