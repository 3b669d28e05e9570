"""Bad rows and images of a data set: collected, then raised as one error or skipped."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastfer.errors import InputError


@dataclass
class BadRows:
    """Problems of single rows, one text each."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def raise_unless(self, skip: bool) -> None:
        """Raise InputError that lists the rows, unless ``skip``."""
        if self.found and not skip:
            raise InputError(
                f"{self.listing()}\nfix them, or skip them with --skip-bad", code="damaged"
            )

    def listing(self) -> str:
        """Their number and the first 20, one line each."""
        shown = "\n  ".join(self.found[:20])
        more = f"\n  ... and {len(self.found) - 20} more" if len(self.found) > 20 else ""
        return f"{self}:\n  {shown}{more}"

    def __str__(self) -> str:
        return f"{len(self.found)} bad row{'' if len(self.found) == 1 else 's'}"
