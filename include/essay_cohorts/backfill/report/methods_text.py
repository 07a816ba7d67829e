"""Writes the paragraph "Methods" of a report: what was asked, of whom, and how the figures were computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from essay_cohorts import VERSION
from essay_cohorts.amounts import counted
from essay_cohorts.domain import ScoreRow
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.all_statistics import method_in_words

_AGREEMENT = (
    "Agreement is Krippendorff's alpha for interval data (Krippendorff, Content Analysis, 4th ed. 2019), between "
    "judges by each judge's mean of an essay, and between the replicates of a judge."
)
_MEANS = "A mean is the mean of the essays' values, in which each judge counts equally."
_RANKING = (
    "The ranking's intervals cover only the noise of replicates, from each judge's pooled variance within cells, "
    "with degrees of freedom by Satterthwaite (Biometrics Bulletin 2, 1946)."
)


def methods_paragraph(rows: Sequence[ScoreRow], replicates: int, *, with_statistics: bool = True) -> str:
    """Return sentences that can go into a paper; `replicates` is how many evaluations each cell should hold.

    Without statistics, no sentence says how figures were computed.
    """
    if not rows:
        return "This cohort has no evaluations."
    essays = len({row.member.parent_gen_id for row in rows})
    judges = {row.member.llm_model_id for row in rows}
    scored = sum(row.score is not None for row in rows)
    design = (
        f"{counted(essays, 'essay was', 'essays were')} judged by "
        f"{counted(len(judges), 'LLM judge')} under {_templates(rows)}, with {counted(replicates, 'replicate')} per "
        f"essay, template and judge: {counted(len(rows), 'evaluation')}, of which {scored:,} gave a score."
    )
    computed = f"Computed with essay-judgements {VERSION}."
    repeated = replicates > 1
    parts = [
        _MEANS,
        method_in_words(),
        _AGREEMENT if repeated or len(judges) > 1 else "",
        _RANKING if repeated else "",
    ]
    figures = parts if with_statistics and scored else []
    return " ".join(filter(None, [design, f"Judges: {_judges(rows)}.", *figures, computed]))


def _templates(rows: Iterable[ScoreRow]) -> str:
    scales: dict[str, Scale] = {row.member.template_id: row.scale for row in rows}
    named = [f"{template_id} (scores from {scale})" for template_id, scale in scales.items()]
    return f"{counted(len(scales), 'template')}: {_listed(named)}"


def _judges(rows: Iterable[ScoreRow]) -> str:
    """Return each judge with the models that answered and the settings of its requests, as far as recorded."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        facts = found.setdefault(row.member.llm_model_id, {})
        if row.score is not None:
            recorded = [row.provenance.response_model, row.provenance.settings]
            facts.update(dict.fromkeys(filter(None, recorded)))
    return "; ".join(f"{judge} ({', '.join(facts)})" if facts else judge for judge, facts in found.items())


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
