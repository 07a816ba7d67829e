"""The selection file: one directive, comment or gen_id a line.

    # mode: evaluation-only
    # include-existing-evaluations
    e_2n6ko9fgp89xemwt

Blank lines are ignored. A line that starts with `#` is a directive when it is exactly one (case and blanks are
free), an error when it is nearly one, and a comment otherwise. Every other line is the gen_id of an essay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.suggestions import closest

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
_INCLUDE_WORDS = (INCLUDE_EXISTING, "skip-existing-evaluations", "fill-up", "fillup", "backfill-mode")
# What editors count as the end of a line; str.splitlines() knows more.
_LINE_END = re.compile(r"\r\n|\r|\n")
_MODE_WORD = re.compile(r"#+\s*modes?\b", re.IGNORECASE)
# A directive cut short, as in "# include-existing"; below this length a comment may well begin so.
_SHORTEST_STUB = 7
# How alike a comment's text must be to a directive to count as a misspelt one. At 0.8 one wrong, missing or
# doubled letter of the shortest directive is still caught and prose is not.
_NEARLY = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedId:
    """A gen_id and the 1-based line that it stands on."""

    gen_id: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """A parsed selection: `mode` is None when no line names one; `mode_is_wrong` when a line tries to and fails."""

    place: str
    text: str
    mode: str | None
    include_existing: bool
    ids: tuple[SelectedId, ...]
    mode_is_wrong: bool = False


def parse_selection(text: str, place: str) -> Checked[Selection]:
    """Parse a selection file's text; `place` names the file in messages. All problems are returned together."""
    mode: str | None = None
    ids: dict[str, int] = {}
    problems: list[Problem] = []
    include = mode_is_wrong = selects = False
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        here = f"{place}:{number}"
        content = line.strip()
        if content.startswith("#"):
            directive = _read_directive(content.removeprefix("#").strip(), here)
            if isinstance(directive, Problem):
                problems.append(directive)
                mode_is_wrong |= _MODE_WORD.match(content) is not None or '"# mode:' in directive.next_step
            elif directive == INCLUDE_EXISTING:
                include = True
            elif directive:
                mode = directive
        elif _is_bare_directive(content):
            next_step = "Put # in front of it."
            problems.append(
                Problem(place=here, finding=f'"{content}" is a directive without its #.', next_step=next_step)
            )
            mode_is_wrong |= content.lower().startswith("mode")
        elif content:
            selects = True
            problems += _check_id(content, here, ids)
            if is_id(content):
                ids.setdefault(content, number)
    if not selects:
        next_step = "Write the gen_ids of essays, one a line."
        problems.append(Problem(place=place, finding="it selects no essay.", next_step=next_step))
    selected = tuple(SelectedId(gen_id=gen_id, line=line) for gen_id, line in ids.items())
    value = Selection(
        place=place, text=text, mode=mode, include_existing=include, ids=selected, mode_is_wrong=mode_is_wrong
    )
    return Checked(value=value, problems=tuple(problems))


def read_mode(text: str, place: str) -> Checked[str | None]:
    """Return the canonical mode that `text` names, when it is one that this DAG can run."""
    mode = _MODES.get(text.strip().lower())
    if mode == EVALUATION_ONLY:
        return Checked(value=mode)
    if mode is not None:
        problem = Problem(
            place=place,
            finding=f'mode "{text.strip()}" is known but not run by evaluation_backfill.',
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
    """Return a selection file's text that says the same as a conf's essay_ids."""
    head = [f"# mode: {EVALUATION_ONLY}"]
    if include_existing:
        head.append(f"# {INCLUDE_EXISTING}")
    return "\n".join([*head, *essay_ids]) + "\n"


def _is_bare_directive(content: str) -> bool:
    return content.lower() in _INCLUDE_WORDS or re.match(r"mode\s*:", content, re.IGNORECASE) is not None


def _read_directive(comment: str, here: str) -> str | Problem | None:
    """Return the canonical directive, a Problem when the comment is nearly one, None when it is a comment."""
    squeezed = re.sub(r"\s+", "", comment).lower()
    if squeezed in _INCLUDE_WORDS:
        return INCLUDE_EXISTING
    named = re.fullmatch(r"mode\s*:(.*)", comment, flags=re.IGNORECASE)
    if named:
        checked = read_mode(named.group(1), here)
        return checked.problems[0] if checked.problems else checked.value
    guess = _nearest_directive(comment)
    if guess is None:
        return None
    return Problem(
        place=here,
        finding=f'"# {comment}" is nearly a directive, but not one.',
        next_step=f'Did you mean "# {guess}", alone on its line? (A comment should begin with another word.)',
    )


def _nearest_directive(comment: str) -> str | None:
    stub = "-".join(comment.lower().split())
    if len(stub) >= _SHORTEST_STUB:
        for word in _INCLUDE_WORDS:
            if word.startswith(stub):
                return word
    directives = [*_INCLUDE_WORDS, *(f"mode: {mode}" for mode in _MODES), *(m for m in _MODES if "-" in m)]
    for candidate in _readings(comment.lstrip("#").strip()):
        guess = closest(candidate, directives, cutoff=_NEARLY)
        if guess is not None:
            return f"mode: {guess}" if guess in _MODES else guess
    return None


def _readings(comment: str) -> Iterator[str]:
    """Yield what a hurried writer may have meant: the whole line, or a directive with a remark behind it."""
    words = comment.split()
    yield " ".join(words)
    yield "-".join(words)
    named = re.match(r"mode\W+(\S+)", comment, flags=re.IGNORECASE)
    if named:
        yield f"mode: {named.group(1)}"
    if words and re.search(r"[a-z][-_][a-z]", words[0], flags=re.IGNORECASE):
        yield words[0]


def _check_id(gen_id: str, here: str, seen: dict[str, int]) -> Iterator[Problem]:
    if not is_id(gen_id):
        yield Problem(place=here, finding=f"{gen_id!r} cannot be a gen_id.", next_step=ID_RULE)
    elif gen_id in seen:
        yield Problem(
            place=here,
            finding=f"{gen_id} stands on line {seen[gen_id]} already.",
            next_step="Delete one of the two lines.",
        )
