"""The figures as a page of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.peers.limits import Limit
from benchmarks.peers.measure import Figures
from benchmarks.peers.peers import PEERS, PUBLISHED, Peer

INTRODUCTION = """\
fastfer {version} compared with other programs, on the same photos, clip and faces in one run."""
METHOD = """\
Every program is installed into an environment of its own and called as its documentation shows,
with its default threads. Rounds alternate between the programs; the fastest counts. Compare the
programs with each other rather than with another machine: other work on the machine makes all of
them slower."""
SPEED_NOTE = """\
*Loaded*: until the program can take a photo; *first answer*: from the start of the interpreter to
the faces of a photo; *a photo*: from a file, median over the photos, in a running program;
*installed*: all packages of the environment without pip. `fer` is installed without
facenet-pytorch and PyTorch, which it requires but uses only for MTCNN."""
QUALITY_NOTE = """\
fastfer's head is `fer2013` for FER-2013, its default for press photos. Its network was calibrated
on these faces and photos, which flatters its figures. The plain loop around YuNet uses our network,
whose accuracy is that of the first row. The tutorial CNN has random weights here, on which its time
does not depend; trained with our recipe it scores 65.4 % on `PublicTest` and 60 to 62 % on the
press photos. """
PUBLISHED_NOTE = """\
Programs that cannot run without downloads, with their own figures. Test sets differ; read them as
an order of magnitude."""
SPEED: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("loaded, s", lambda f: number(f.ready_s, 2)),
    ("first answer, s", lambda f: number(f.first_answer_s, 2)),
    ("a photo, ms", lambda f: number(f.photo_ms, 1)),
    ("video, frames/s", lambda f: number(f.fps, 0)),
    ("CPU s for a minute of video", lambda f: number(f.cpu_s_per_minute, 1)),
    ("peak memory, MB", lambda f: number(f.peak_mb, 0)),
    ("installed, MB", lambda f: number(f.install_mb, 0)),
)
QUALITY: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("faces found", lambda f: percent(f.recall)),
    ("false alarms per photo", lambda f: number(f.false_alarms, 2)),
    ("FER-2013 `PublicTest`", lambda f: percent(f.accuracy.get("fer2013"))),
    ("press photos, box", lambda f: percent(f.accuracy.get("press_box"))),
    ("press photos, portrait", lambda f: percent(f.accuracy.get("press_portrait"))),
)


def number(value: float | None, digits: int) -> str:
    """``value`` with thousands separators; empty for ``None``."""
    return "" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """A share as per cent; empty for ``None``."""
    return "" if value is None else f"{value:.1%}".replace("%", " %")


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table whose first column holds text and the others numbers."""
    names = list(heading)
    lines = ["| " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def write_page(run: dict[str, Any], charts: bool) -> str:
    """The page of ``run``, as ``__main__`` collects it."""
    figures: dict[str, Figures] = {k: Figures(**v) for k, v in run["figures"].items()}
    measured = [p for p in PEERS if p.name in figures and not figures[p.name].problem]
    limits = [Limit(**limit) for limit in run["limits"]]
    parts = [
        f"# Peers, {run['date']}",
        INTRODUCTION.format(**run),
        f"**Machine**: {run['machine']}. **System**: {run['system']}.",
        "```bash\npython -m benchmarks.peers\n```",
        " ".join(run["described"]),
        METHOD,
        *run["notes"],
    ]
    if charts:
        parts.append(
            f"![Bars of the first table](peers-{run['date']}-light.svg#only-light)\n"
            f"![Bars of the first table](peers-{run['date']}-dark.svg#only-dark)"
        )
    parts += ["## Speed and size", _columns(SPEED, figures, measured)]
    parts += [SPEED_NOTE]
    parts += ["## Faces and accuracy", _columns(QUALITY, figures, measured)]
    parts += [QUALITY_NOTE + run["labels_note"]]
    if run["ratios"]:
        parts += ["## Ratios to fastfer's defaults", run["ratios"]]
    problems = [p for p in PEERS if p.name in figures and figures[p.name].problem]
    if problems:
        rows = [(p.title, figures[p.name].problem.replace("|", "/")) for p in problems]
        parts += ["## Not measured", table(["program", "why"], rows)]
    parts += [
        "## Published figures",
        PUBLISHED_NOTE,
        table(
            ["program", "figure", "why not measured", "source"],
            [(p.title, p.figure, p.why, p.source) for p in PUBLISHED],
        ).replace("---:", "---"),
        "## Physical limits",
        "What fastfer takes, compared with the part that nobody can avoid; rounds alternate.",
        table(
            ["work", "ms", "limit", "ms", "ratio"],
            [
                (v.task, f"{v.ours_ms:.3g}", v.limit, f"{v.limit_ms:.3g}", f"{v.ratio:.2f}")
                for v in limits
            ],
        ),
        "## Versions",
        "\n".join(f"- **{name}**: {', '.join(found)}" for name, found in run["versions"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def _columns(
    columns: Iterable[tuple[str, Callable[[Figures], str]]],
    figures: dict[str, Figures],
    peers: list[Peer],
) -> str:
    used = [(n, get) for n, get in columns if any(get(figures[p.name]) for p in peers)]
    rows = [
        [p.title, *(get(figures[p.name]) or "-" for _, get in used)]
        for p in peers
        if any(get(figures[p.name]) for _, get in used)
    ]
    return table(["", *(name for name, _ in used)], rows)


def ratios(figures: dict[str, Figures]) -> str:
    """How many times as much each peer needs as fastfer's defaults."""
    if "fastfer" not in figures or figures["fastfer"].problem:
        return ""
    ours = figures["fastfer"]
    rows = []
    for peer in PEERS:
        theirs = figures.get(peer.name)
        if peer.name == "fastfer" or theirs is None or theirs.problem:
            continue
        pairs = [
            (theirs.first_answer_s, ours.first_answer_s),
            (theirs.photo_ms, ours.photo_ms),
            (theirs.cpu_s_per_minute, ours.cpu_s_per_minute),
            (theirs.peak_mb, ours.peak_mb),
            (theirs.install_mb, ours.install_mb),
        ]
        rows.append([peer.title, *(f"{a / b:.1f}" if a and b else "-" for a, b in pairs)])
    heading = ["", "first answer", "a photo", "CPU of video", "peak memory", "installed"]
    return table(heading, rows)
