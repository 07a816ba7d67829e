"""A store that another program wrote: its conventions are understood, and its files stay as they are."""

from __future__ import annotations

from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder


def test_another_person_s_store_works(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Extra CSV columns, True/False, a BOM, input.txt, legacy ids, no replicate: all are reused, filled, kept."""
    store.write(
        "1_raw/evaluation_templates.csv",
        "\ufeffowner,template_id,template_name,active,created\r\nlab,novelty,Novelty,True,2024\r\n"
        "lab,old,Old,False,2023\r\n",
    )
    store.write(
        "1_raw/llm_models.csv",
        "id,model,provider,for_generation,for_evaluation,notes\n"
        'judge-a,example/judge-a,x,FALSE,TRUE,"cheap, quick"\n',
    )
    essay = store.essay(1)
    store.backfill(essay)
    legacy = "43ftibqi56628az1"
    store.json(
        f"gens/evaluation/{legacy}/metadata.json",
        {"gen_id": legacy, "parent_gen_id": essay, "evaluation_template": "novelty", "llm_model_id": "judge-a"},
    )
    store.write(f"gens/evaluation/{legacy}/input.txt", "the prompt of then")
    store.write(f"gens/evaluation/{legacy}/parsed.txt", "4.5\n")
    before = {path: path.read_bytes() for path in store.root.glob("gens/*/*/*")}

    run = dag.run({"cohort_id": "c", "changed_inputs": "keep"})

    assert run.summary.complete, run.summary.message
    assert run.summary.totals.reused == 1
    assert judge_server.calls() == 3
    rows = [line.split(",") for line in store.read("cohorts/c/membership.csv").splitlines()[1:]]
    members = {row[1]: row[7] for row in rows if row[0] == "evaluation"}
    assert sorted(members.values()) == ["1", "2", "3", "4"]
    assert members[legacy] == "1"
    assert {path: path.read_bytes() for path in before} == before
    assert not (store.root / f"gens/evaluation/{legacy}/prompt.txt").exists()
