"""Contents of a data root's files that are nearly valid, odd or torn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from essay_cohorts.ids import evaluation_gen_id
from tests.conftest import DAG_ID
from tests.fuzz.near_misses import HOSTILE_LINES, ODD_IDS, as_bytes, odd_texts, odd_values, with_slips

COHORT, RUN_ID = "c", "run-1"
FIRST, SECOND = "e_essay1", "e_essay2"
HEADER = "stage,gen_id,cohort_id,parent_gen_id,combo_id,template_id,llm_model_id,replicate"
# The gen_ids that planning would mint for the first evaluations of a cell.
NEXT = [evaluation_gen_id(FIRST, "novelty", "judge-a", replicate) for replicate in (1, 2)]
THIRD = evaluation_gen_id(FIRST, "novelty", "judge-a", 3)
EVALUATIONS = (*NEXT, "v_1", "43ftibqi56628az1", "x" * 100)
RUN = {"dag_id": DAG_ID, "run_id": RUN_ID}


# Wrong values that a field may hold.
WRONG_VALUES: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    "",
    "x",
    "\ud800",
    [1],
    {},
    10**400,
    float("nan"),
    float("inf"),
)


def json_files(near: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """Make JSON files of `near` with odd, missing or additional fields, and files that are not such JSON."""
    values = st.one_of(st.sampled_from(WRONG_VALUES), odd_values)
    changed = st.dictionaries(st.sampled_from([*near, "more", "\ud800"]), values, min_size=1, max_size=2)
    left_out = st.sets(st.sampled_from(sorted(near)), max_size=1)
    objects = st.builds(
        lambda odd, without: {k: v for k, v in {**near, **odd}.items() if k not in without}, changed, left_out
    )
    encodings = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
    written = st.builds(
        lambda value, ascii_only, encoding: json.dumps(value, ensure_ascii=ascii_only).encode(
            encoding, "surrogatepass"
        ),
        objects,
        st.booleans(),
        encodings,
    )
    torn = st.builds(lambda content, end: content[:end], written, st.integers(0, 80))
    strange = st.sampled_from(
        [
            *(b"", b"[]", b"null", b"7", b'"x"', b"{", b"\xff\xfe\xfd", b"{}{}", b'{"a":1,"a":2}', b"\x00" * 9),
            *(b"[" * 5_000, b'{"a":' * 5_000, b'{"replicate":' + b"9" * 5_000 + b"}"),
        ]
    )
    return st.one_of(written, written, written, torn, strange)


essay_texts = st.one_of(
    st.sampled_from(
        [
            *map(as_bytes, HOSTILE_LINES),
            b"",
            b" \n",
            b"\xef\xbb\xbf",
            b"caf\xe9",
            "\n".join(HOSTILE_LINES[:10]).encode(),
        ]
    ),
    odd_texts().map(as_bytes),
)
replies = st.one_of(
    st.sampled_from(
        [b"SCORE: 7", b"SCORE: 7/10", b"SCORE: 1.5*2", b"\xffSCORE: 8", b"", b"SCORE: 7\x00", b"SCORE: 7\r\n\r\n"]
    ),
    st.lists(st.sampled_from(["SCORE: 7", *HOSTILE_LINES]), max_size=4).map("\n".join).map(as_bytes),
    odd_texts().map(as_bytes),
)
scores = st.sampled_from(
    [b"7.0\n", b"", b"\n", b"10\n", b"nan", b"\xff", b"SCORE: 7", b"7.0\n8.0\n", b"\xef\xbb\xbf6.0\n"]
)
member_rows = st.tuples(
    *(
        st.sampled_from(["evaluation", "evaluation", "essay", "draft", "review", ""]),
        st.sampled_from([*EVALUATIONS, *ODD_IDS, FIRST]),
        *(st.sampled_from([word, "", 'a "b', "=1+1"]) for word in (COHORT, FIRST, "combo", "novelty", "judge-a")),
        st.sampled_from(["1", "1", "2", "0", "-1", "two", "1.0", "9" * 5_000, "٣", ""]),
    )
).map(",".join)
memberships = st.one_of(
    st.lists(member_rows, max_size=4).map(lambda rows: as_bytes("\n".join([HEADER, *rows, ""]))),
    with_slips(st.just(f"{HEADER}\nevaluation,v_1,c,{FIRST},combo,novelty,judge-a,1\n"), most=1).map(as_bytes),
    st.sampled_from([b"", b"\xff", HEADER.encode(), HEADER.encode() + b"\n\n"]),
)
TEMPLATES = "template_id,parser,active\nnovelty,,true\ncoherence,,false\n"
MODELS = "id,model,for_evaluation\njudge-a,a,true\njudge-b,b,false\n"
templates_csv = with_slips(st.sampled_from([TEMPLATES, TEMPLATES.replace("false", "true")]), most=1).map(as_bytes)
models_csv = with_slips(st.sampled_from([MODELS, MODELS.replace("false", "true")]), most=1).map(as_bytes)
replication_csv = st.sampled_from(
    [b"stage,replicates\nevaluation,%s\n" % n for n in (b"1", b"2", b"5", b"0", b"x", b"")]
)
template_texts = st.one_of(
    st.sampled_from(
        [b"{{ response }}", b"Judge {{ response }}\n{{ boundary }}", b"{{ respons }}", b"{% for %}", b"\xff"]
    ),
    st.sampled_from(HOSTILE_LINES).map(lambda line: as_bytes(line + "{{ response }}")),
    with_slips(st.just("Judge.\n{{ boundary }}\n{{ response }}\n{{ boundary }}\nSCORE: n\n"), most=1).map(as_bytes),
)
selections = with_slips(
    st.sampled_from(
        [
            f"# mode: evaluation-only\n# include-existing-evaluations\n{FIRST}\n{SECOND}\n",
            f"# mode: evaluation-only\n{FIRST}\n",
            f"# mode: evaluation-only\n# fill-up\n{FIRST}\n../x\n",
        ]
    ),
    most=1,
).map(as_bytes)


def evaluation_metadata(gen_id: str) -> dict[str, Any]:
    """Return the metadata of an evaluation in a planned cell."""
    return {
        "stage": "evaluation",
        "gen_id": gen_id,
        "origin_cohort_id": COHORT,
        "mode": "llm",
        "template_id": "novelty",
        "combo_id": "combo",
        "parent_gen_id": FIRST,
        "llm_model_id": "judge-a",
        "replicate": 1,
    }


REPLY_RECORD = {
    **RUN,
    "truncated": False,
    "finish_reason": "stop",
    "cost_usd": 0.1,
    "reply_sha256": "0",
    "prompt_sha256": "0",
}
VERDICT = {"parser_name": "in_last_line", "parser_version": "1", "success": False, "score": None, "reason": "no"}
FAILURE = {**RUN, "kind": "server_error", "status": 500, "message": "busy", "attempts": 3}
SOURCE = {
    "parent_gen_id": "d_draft1",
    "combo_id": "combo-1",
    "template_id": "essay-x",
    "llm_model_id": "w",
    "replicate": 1,
}


RECORDS_OF_V1: dict[str, dict[str, Any]] = {
    "metadata.json": evaluation_metadata("v_1"),
    "raw_metadata.json": REPLY_RECORD,
    "parsed_metadata.json": VERDICT,
    "failure.json": FAILURE,
}


def v1_with(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """Return those records of v_1 that `fields` names, with these fields changed."""
    return {
        f"gens/evaluation/v_1/{name}": json.dumps({**RECORDS_OF_V1[name], **values}).encode()
        for name, values in fields.items()
    }


ONE_WRONG_FIELD = [
    v1_with({name: {field: value}})
    for name, near in RECORDS_OF_V1.items()
    for field in near
    for value in WRONG_VALUES
]


def evaluation_files(gen_id: str) -> dict[str, st.SearchStrategy[bytes]]:
    """Return strategies that make odd contents for each file of an evaluation."""
    folder = f"gens/evaluation/{gen_id}"
    return {
        f"{folder}/metadata.json": json_files(evaluation_metadata(gen_id)),
        f"{folder}/raw_metadata.json": json_files(REPLY_RECORD),
        f"{folder}/parsed_metadata.json": json_files(VERDICT),
        f"{folder}/failure.json": json_files(FAILURE),
        f"{folder}/raw.txt": replies,
        f"{folder}/parsed.txt": scores,
        f"{folder}/.raw.txt.0a1b2c.tmp": replies,
    }


INPUTS: dict[str, st.SearchStrategy[bytes]] = {
    "gens/essay/e_essay1/metadata.json": json_files({**SOURCE, "gen_id": FIRST}),
    "gens/essay/e_essay1/parsed.txt": essay_texts,
    "gens/draft/d_draft1/metadata.json": json_files({"combo_id": "combo-1", "replicate": 1}),
    f"cohorts/{COHORT}/membership.csv": memberships,
    f"cohorts/{COHORT}/manifest.json": json_files({"cohort_id": COHORT, "created_at": "2026"}),
    "1_raw/evaluation_templates.csv": templates_csv,
    "1_raw/llm_models.csv": models_csv,
    "1_raw/replication_config.csv": replication_csv,
    "1_raw/templates/evaluation/novelty.txt": template_texts,
    "2_tasks/selected_essays.txt": selections,
    "2_tasks/selected_drafts.txt": selections,
    f"gens/evaluation/{THIRD}": st.just(b"a file where a folder belongs"),
}
RECORDS = {name: contents for gen_id in EVALUATIONS[:3] for name, contents in evaluation_files(gen_id).items()}
