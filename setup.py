"""Builds the one extension module; everything else is in pyproject.toml.

There is no -m or /arch flag: the kernels of each instruction set carry their own target, and one
build runs on every processor of its architecture. FASTFER_ABI3=1 builds one wheel for Python 3.11
and later.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ABI3 = os.environ.get("FASTFER_ABI3", "0") not in ("", "0")
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


native = Extension(
    "fastfer._native",
    sources=[
        "cext/_native.pyx",
        "cext/ff_cpu.c",
        "cext/ff_dispatch.c",
        "cext/ff_pack.c",
        "cext/ff_rotate.c",
        "cext/ff_boxes.c",
        "cext/ff_feature_maps.c",
        "cext/ff_scalar.c",
        "cext/ff_avx2.c",
        "cext/ff_avx512.c",
        "cext/ff_neon.c",
    ],
    depends=["cext/ff.h", "cext/ff_internal.h", "cext/ff.pxd"],
    include_dirs=["cext"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
    py_limited_api=ABI3,
)

setup(
    ext_modules=[native],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
