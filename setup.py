"""The compiled reductions, for Linux; without a C++ compiler the package installs without them, and is slower."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext


class Build(build_ext):
    """Builds a library that is loaded by ctypes, and so needs no name that Python could import."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split("."))) + ".lib"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []


class Wheel(bdist_wheel):
    """One wheel for each platform and every Python 3: the library is no module of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    cmdclass={"build_ext": Build, "bdist_wheel": Wheel},
    ext_modules=[
        Extension(
            "toothgraph.nn.kernels.compiled",
            ["toothgraph/nn/kernels/compiled.cpp"],
            # OpenMP is not linked: its symbols are those of the library that torch brings.
            extra_compile_args=[
                *("-std=c++17", "-O3", "-fopenmp", "-fvisibility=hidden"),
                *("-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-Wno-psabi"),
            ],
            optional=True,
        )
    ]
    if sys.platform == "linux"
    else [],
)
