"""Evaluation cohorts with backfill: plan a cohort, skip what exists, judge what is missing.

Four layers; imports only go down (`make lint` holds it):

    shell   planning_step.py  steps.py  calling.py  summary.py   what the DAG's tasks call
            slice_calls.py  run_stops.py               the calls of one slice, and what stops them
            spending.py  call_records.py               what a call is paid from, and what is written down about it
            preparation.py  cohort_inputs.py  changed_inputs.py           what comes before the first write
            member_states.py  cohort_status.py  cohort_snapshot.py  snapshot_cache.py  cohort_list.py
            evaluation_record.py  essay_titles.py  plan_preview.py
                                                       what the store holds now, for the command line and the page
            announcements.py                           which finished work Airflow is told of, each once
            aggregated_scores.py  essay_selection.py  scheduled_selection.py
                                                       from scores to the next selection
            score_sources.py                           where the scores for statistics come from
            reparse_step.py                            stored replies, scored again
            __main__.py  selection_commands.py  statistics_commands.py  reparse_command.py
            command_options.py  verification.py
            set_aside.py  set_aside_command.py         made-up evaluations, moved out of the way
            offline_judge.py  offline_answers.py       the stand-in for a judge, a server of its own
    core    request.py  selection.py  identity.py  planning.py  plan_table.py  batching.py  prompting.py  scoring.py
            finish_reasons.py  score_line.py  other_scores.py  reasoning_blocks.py
                                                       what scoring reads: ends, tags, the line, words of doubt
            pricing.py  budget.py  aggregation.py  reparsing.py  reparse_report.py
            report.py  coverage.py  comparison.py  choosing_essays.py
            choice_table.py  missing_request.py  run_notice.py  text_table.py  figures.py  score_instructions.py
            mixed_provenance.py                        which figures mix what was not made alike
            cohort_account.py                          made here or elsewhere, and what it cost
            score_frame.py  score_pivot.py  score_means.py  score_spread.py  agreement.py  paired_differences.py
            resampling.py  score_statistics.py         figures of scores, and how much noise is in them
                                                       values in, values out: no file, no clock, no network
    edges   settings.py  catalog.py  catalog_rows.py  gens_data_layer.py  evaluation_scan.py  evaluation_index.py
            metadata_fields.py
            reply_files.py  verdict_files.py  cohort_folder.py  announcement_ledger.py  scores_file.py
            side_by_side.py  disk_threads.py
            csv_rows.py  atomic_files.py  lease_file.py  planning_turn.py  caller_card.py  call_lease.py
            call_slots.py  call_journal.py  call_pace.py  call_rules.py  judge.py  completion.py  clock.py
            event_stream.py  server_errors.py  retry_after.py  failure_streaks.py  key_mask.py
                                                       what servers answer, and what follows from it
            crash_points.py                            the environment, files, locks, the LLM client
    values  errors.py  model.py  spelling.py  provenance.py           frozen dataclasses; import nothing of ours

Core and edges do not import each other; nothing here imports Airflow.
"""

VERSION = "0.1.0"
