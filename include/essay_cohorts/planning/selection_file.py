"""The selection file: each line is a directive, a comment or a gen_id.

    # mode: evaluation-only
    # include-existing-evaluations
    e_2n6ko9fgp89xemwt

Blank lines are ignored. Every line without a leading `#` is the gen_id of an essay. A line that starts with `#` is

- a directive, when its text is exactly a directive (directives ignore case and spaces);
- an error, when its text is similar to a directive, because ignoring a misspelt directive could cost money;
- a comment, otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Checked, Problem, closest

EVALUATION_ONLY = "evaluation-only"
INCLUDE_EXISTING = "include-existing-evaluations"

_MODES = {
    "evaluation-only": EVALUATION_ONLY,
    "evaluations-only": EVALUATION_ONLY,
    "reuse-essays": EVALUATION_ONLY,
    "reuse_essays": EVALUATION_ONLY,
    "reuse-drafts": "reuse-drafts",
    "reuse_drafts": "reuse-drafts",
    "regenerate": "regenerate",
}
_INCLUDE_DIRECTIVES = (INCLUDE_EXISTING, "skip-existing-evaluations", "fill-up", "fillup", "backfill-mode")
# Only what editors count as the end of a line: str.splitlines() also splits at form feeds and other characters.
_LINE_END = re.compile(r"\r\n|\r|\n")
_MODE_WORD = re.compile(r"#+\s*modes?\b", re.IGNORECASE)
# A comment with the beginning of a directive, such as "# include-existing", is an error from this many characters on:
# shorter beginnings also occur in ordinary comments.
_MIN_PREFIX_LENGTH = 7
# A comment counts as a misspelt directive from this similarity on. At 0.8 one wrong, missing or doubled letter in the
# shortest directive is an error, and prose is not.
_MIN_SIMILARITY = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedId:
    """A gen_id and its line number, counted from 1."""

    gen_id: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """A parsed selection.

    `mode` is None when no line names a valid mode. `mode_is_wrong` is true when a line tries to name a mode, but the
    mode or the directive is invalid.
    """

    place: str
    text: str
    mode: str | None
    include_existing: bool
    ids: tuple[SelectedId, ...]
    mode_is_wrong: bool = False


def parse_selection(text: str, place: str) -> Checked[Selection]:
    """Parse a selection file's text and return all problems together; `place` names the file in messages."""
    mode: str | None = None
    ids: dict[str, int] = {}
    problems: list[Problem] = []
    include = mode_is_wrong = selects_essays = False
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        line_place = f"{place}:{number}"
        content = line.strip()
        if content.startswith("#"):
            directive = _read_directive(content.removeprefix("#").strip(), line_place)
            if isinstance(directive, Problem):
                problems.append(directive)
                mode_is_wrong |= _MODE_WORD.match(content) is not None or '"# mode:' in directive.next_step
            elif directive == INCLUDE_EXISTING:
                include = True
            elif directive:
                mode = directive
        elif _is_bare_directive(content):
            finding = f'"{content}" is a directive, but the # is missing.'
            problems.append(Problem(place=line_place, finding=finding, next_step=f'Write "# {content}".'))
            mode_is_wrong |= content.lower().startswith("mode")
        elif content:
            selects_essays = True
            problems += _check_id(content, line_place, ids)
            if is_id(content):
                ids.setdefault(content, number)
    if not selects_essays:
        next_step = "Write the gen_ids of essays, one per line."
        problems.append(Problem(place=place, finding="the file selects no essay.", next_step=next_step))
    selected = tuple(SelectedId(gen_id=gen_id, line=line) for gen_id, line in ids.items())
    value = Selection(
        place=place, text=text, mode=mode, include_existing=include, ids=selected, mode_is_wrong=mode_is_wrong
    )
    return Checked(value=value, problems=tuple(problems))


def read_mode(text: str, place: str) -> Checked[str | None]:
    """Return the canonical name of the mode in `text`; a problem when this DAG cannot run the mode."""
    mode = _MODES.get(text.strip().lower())
    if mode == EVALUATION_ONLY:
        return Checked(value=mode)
    if mode is not None:
        problem = Problem(
            place=place,
            finding=f'mode "{text.strip()}" is known, but evaluation_backfill does not run it.',
            next_step=f'This DAG judges essays that exist: write "{EVALUATION_ONLY}".',
        )
    else:
        guess = closest(text, _MODES) or EVALUATION_ONLY
        problem = Problem(
            place=place,
            finding=f'"{text.strip()}" is not a mode.',
            next_step=f'Did you mean "{guess}"?',
        )
    return Checked(value=None, problems=(problem,))


def selection_text(essay_ids: tuple[str, ...], *, include_existing: bool) -> str:
    """Return the text of a selection file that selects the same essays as a conf's essay_ids."""
    head = [f"# mode: {EVALUATION_ONLY}"]
    if include_existing:
        head.append(f"# {INCLUDE_EXISTING}")
    return "\n".join([*head, *essay_ids]) + "\n"


def _is_bare_directive(content: str) -> bool:
    return content.lower() in _INCLUDE_DIRECTIVES or re.match(r"mode\s*:", content, re.IGNORECASE) is not None


def _read_directive(comment: str, place: str) -> str | Problem | None:
    """Return the canonical directive, a Problem for a misspelt directive, or None for an ordinary comment."""
    without_spaces = re.sub(r"\s+", "", comment).lower()
    if without_spaces in _INCLUDE_DIRECTIVES:
        return INCLUDE_EXISTING
    mode_directive = re.fullmatch(r"mode\s*:(.*)", comment, flags=re.IGNORECASE)
    if mode_directive:
        checked = read_mode(mode_directive.group(1), place)
        return checked.problems[0] if checked.problems else checked.value
    guess = _nearest_directive(comment)
    if guess is None:
        return None
    return Problem(
        place=place,
        finding=f'"# {comment}" looks like a misspelt directive.',
        next_step=f'Did you mean "# {guess}", alone on its line? (A comment should begin with another word.)',
    )


def _nearest_directive(comment: str) -> str | None:
    prefix = "-".join(comment.lower().split())
    if len(prefix) >= _MIN_PREFIX_LENGTH:
        for directive in _INCLUDE_DIRECTIVES:
            if directive.startswith(prefix):
                return directive
    directives = [*_INCLUDE_DIRECTIVES, *(f"mode: {mode}" for mode in _MODES), *(m for m in _MODES if "-" in m)]
    for candidate in _possible_directives(comment.lstrip("#").strip()):
        guess = closest(candidate, directives, cutoff=_MIN_SIMILARITY)
        if guess is not None:
            return f"mode: {guess}" if guess in _MODES else guess
    return None


def _possible_directives(comment: str) -> Iterator[str]:
    """Yield the texts that may be meant as a directive: the whole comment, or its beginning, followed by a remark."""
    words = comment.split()
    yield " ".join(words)
    yield "-".join(words)
    mode_directive = re.match(r"mode\W+(\S+)", comment, flags=re.IGNORECASE)
    if mode_directive:
        yield f"mode: {mode_directive.group(1)}"
    if words and re.search(r"[a-z][-_][a-z]", words[0], flags=re.IGNORECASE):
        yield words[0]


def _check_id(gen_id: str, place: str, lines: dict[str, int]) -> Iterator[Problem]:
    if not is_id(gen_id):
        yield Problem(place=place, finding=f"{gen_id!r} is not a valid gen_id.", next_step=ID_RULE)
    elif gen_id in lines:
        yield Problem(
            place=place,
            finding=f"{gen_id} is already on line {lines[gen_id]}.",
            next_step="Delete one of the two lines.",
        )
