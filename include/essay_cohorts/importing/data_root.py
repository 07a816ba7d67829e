"""Creates a new data root: commented inputs, one template with a rubric, and no essays yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from essay_cohorts.catalog.models import MODELS
from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.files.atomic import write_text
from essay_cohorts.provenance import OFFLINE_OK

_NEW_ROOT = Path(__file__).with_name("new_root")
_FOLDERS = ("2_tasks", "gens/essay", "gens/evaluation")
# The rows of the judges that a new data root has: the offline judge makes its scores up, whatever the model.
_OFFLINE_ROWS = "offline-a,offline/a,true,,,,,,\noffline-b,offline/b,true,,,,,,\n"


def create_data_root(folder: Path, *, offline: bool = False) -> list[str]:
    """Create a data root in a folder that is missing or empty; return the files that were written.

    With `offline` it has two judges for practice, and made-up scores count in it. BadInput if the folder has files.
    """
    if (folder.is_dir() and any(folder.iterdir())) or (folder.exists() and not folder.is_dir()):
        finding = "it is not empty." if folder.is_dir() else "it is a file."
        raise BadInput([Problem(place=str(folder), finding=finding, next_step="Name a folder that does not exist.")])
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)
        return list(_write_inputs(folder, offline=offline))
    except OSError as error:
        msg = f"{folder} cannot be created: {error.strerror}."
        raise StoreError(msg) from error


def _write_inputs(folder: Path, *, offline: bool) -> Iterator[str]:
    for source in sorted(path for path in _NEW_ROOT.rglob("*") if path.is_file()):
        name = source.relative_to(_NEW_ROOT).as_posix()
        text = source.read_text(encoding="utf-8")
        if offline and name == MODELS:
            text += _OFFLINE_ROWS
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
        yield name
    if offline:
        write_text(folder / OFFLINE_OK, "")
        yield OFFLINE_OK
