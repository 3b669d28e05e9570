"""Builds the extension module and selects what depends on the machine.

Everything else is in pyproject.toml.

There is no -m or /arch flag: the kernels of each instruction set carry their own target, and one
build runs on every processor of its architecture.

Environment variables: ``FASTFER_ABI3=1`` builds one wheel for Python 3.11 and later, except with a
free-threaded Python, which has no stable ABI before 3.15;
``FASTFER_HEADLESS=1`` requires opencv-python-headless in place of opencv-python;
``FASTFER_ATTRIBUTES=0`` leaves out the attribute network, so that the package cannot estimate
gender and age. ``true``, ``yes`` and ``on`` mean 1; ``false``, ``no`` and ``off`` mean 0.
"""

import os
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def _is_set(name: str, default: str = "0") -> bool:
    word = os.environ.get(name, default).strip().lower()
    if word not in ON + OFF:
        raise SystemExit(f"{name}={word}: use 1 (true, yes, on) or 0 (false, no, off)")
    return word in ON


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ABI3 = _is_set("FASTFER_ABI3") and not FREE_THREADED
OPENCV = "opencv-python-headless" if _is_set("FASTFER_HEADLESS") else "opencv-python"
WITH_ATTRIBUTES = _is_set("FASTFER_ATTRIBUTES", default="1")
FLOAT32_MODEL = "expression_float32.onnx"
ATTRIBUTE_MODEL = "attributes.onnx"
MSVC_FLAGS = ["/std:c11", "/O2", "/fp:precise", "/W3"]
# Python's own flags have -fwrapv, with which the compiler vectorises half as well.
UNIX_FLAGS = [
    "-std=c11", "-O3", "-fstrict-overflow", "-ffp-contract=off", "-Wall", "-Wextra",
]  # fmt: skip


class BuildExt(build_ext):
    """Adds the flags of the compiler that is used, which only this step knows."""

    def build_extensions(self) -> None:
        flags = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else UNIX_FLAGS
        for extension in self.extensions:
            extension.extra_compile_args = flags
            if ABI3:
                # One that an earlier build made for a single Python would win at import.
                target = Path(self.get_ext_fullpath(extension.name))
                for stale in target.parent.glob("_native.cp*"):
                    stale.unlink()
        super().build_extensions()


class BuildPy(build_py):
    """Leaves the float32 network out of packages for x86-64, which run the INT8 network, and the
    attribute network out of all packages if it is switched off."""

    def run(self) -> None:
        super().run()
        # Those of an earlier build into the same folder would be packed too.
        for name in self._left_out():
            Path(self.build_lib, "fastfer", "models", name).unlink(missing_ok=True)

    def find_data_files(self, package: str, src_dir: str) -> list[str]:
        files: list[str] = super().find_data_files(package, src_dir)
        return [file for file in files if Path(file).name not in self._left_out()]

    def _left_out(self) -> set[str]:
        platform = self.get_finalized_command("build").plat_name
        names = {FLOAT32_MODEL} if platform.endswith(("x86_64", "amd64")) else set()
        return names if WITH_ATTRIBUTES else names | {ATTRIBUTE_MODEL}


native = Extension(
    "fastfer._native",
    sources=[
        "cext/_native.pyx",
        "cext/ff_cpu.c",
        "cext/ff_dispatch.c",
        "cext/ff_pack.c",
        "cext/ff_rotate.c",
        "cext/ff_boxes.c",
        "cext/ff_flow.c",
        "cext/ff_feature_maps.c",
        "cext/ff_scalar.c",
        "cext/ff_avx2.c",
        "cext/ff_avx512.c",
        "cext/ff_neon.c",
    ],
    depends=["cext/ff.h", "cext/ff_internal.h", "cext/ff_flow.h", "cext/ff.pxd"],
    include_dirs=["cext"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
    py_limited_api=ABI3,
)

setup(
    ext_modules=[native],
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    install_requires=[
        "numpy>=1.26",
        f"{OPENCV}>=4.10",
        "onnxruntime>=1.18",
        "av>=17",
        "pooch>=1.8",
        "tqdm>=4.66",
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
