"""The README's table of faults: each row is shown by tests that there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADING = "## When something goes wrong"

SHOWN_BY = {
    "kill -9, a crash": [
        "durability::a_process_killed_at_any_moment_is_finished_without_repeating_a_call",
        "resume::what_a_killed_process_left_half_written_is_removed",
    ],
    "power loss": [
        "journal::the_disk_is_forced_every_second_or_64_records",
        "journal::a_cut_at_each_byte_of_the_last_three_loses_at_most_the_cut_record",
        "run_folder::a_disk_that_refuses_leaves_the_old_file_and_nothing_else",
    ],
    "Ctrl-C or SIGTERM": [
        "durability::one_signal_lets_calls_finish_within_the_grace_and_keeps_them",
        "durability::a_signal_before_the_first_call_ends_without_a_traceback",
    ],
    "Ctrl-C twice": ["durability::two_signals_end_eight_calls_of_25_s_at_once"],
    "429, 5xx, dropped connections": [
        "server_faults::a_fault_that_passes_changes_nothing_of_the_result",
    ],
    "an outage": [
        "client::an_outage_is_not_held_against_a_call",
        "limiter::an_outage_that_lasts_too_long_ends_every_wait_for_its_endpoint",
        "server_faults::an_outage_that_lasts_ends_the_run_to_be_finished_later",
    ],
    "one call that is never answered": [
        "streamed_runs::one_call_that_is_never_answered_costs_its_attempts_and_no_run",
        "breaker::one_call_that_can_never_be_answered_is_no_outage",
    ],
    "an answer that never ends": [
        "streamed_runs::answers_that_never_end_are_noticed_counted_and_asked_for_again",
        "stream::a_run_of_text_over_and_over_is_not_read_on",
        "stream::white_space_without_end_is_not_read_on",
    ],
    "a wrong key, a spent quota": [
        "server_faults::what_ends_a_run_is_one_line_and_the_run_is_finished_later",
    ],
    "cut JSON, an answer in the wrong form": [
        "server_faults::an_answer_in_the_wrong_form_is_asked_for_again",
    ],
    "a refused item": [
        "server_faults::a_refused_item_is_named_with_its_reason_and_the_run_goes_on",
    ],
    "a crash in VALIDATE": [
        "run::what_ends_the_run_in_a_late_stage_leaves_the_article_on_disk",
    ],
    "a full disk, a read-only folder": [
        "disk_faults::a_disk_that_refuses_ends_the_run_in_a_line_and_keeps_what_is_finished",
    ],
    "the folder is deleted under the run": [
        "disk_faults::a_folder_deleted_under_the_run_ends_it_in_a_line",
    ],
    "a second process on one folder": [
        "disk_faults::a_second_process_is_refused_and_changes_nothing",
    ],
    "a torn or damaged journal": [
        "disk_faults::a_torn_and_a_damaged_journal_cost_their_own_calls_alone",
    ],
    "a closed terminal (SIGHUP), a broken pipe": [
        "streams::a_pipe_whose_reader_leaves_after_a_line_ends_no_run",
        "streams::a_terminal_that_is_closed_ends_no_run",
        "streams::streams_that_are_closed_or_full_end_no_run",
    ],
    "a clock set back": ["disk_faults::a_clock_that_is_set_back_changes_no_result"],
    "hostile text": [
        "hostile_text::drafts_of_hostile_text_end_in_an_article",
        "prompts::in_no_stage_a_text_stands_outside_its_block",
        "prompts::a_hostile_reply_is_an_answer_or_an_error_of_ours",
        "text_safety::nothing_a_terminal_obeys_is_left",
    ],
    "a key that a server echoes": [
        "secrets::a_key_is_in_no_line_and_no_file_and_not_in_the_process_title",
        "secrets::a_reply_that_echoes_the_key_is_the_same_when_it_is_replayed",
    ],
    "a key for plain http": [
        "secrets::a_key_is_not_sent_in_plain_text_to_another_machine",
    ],
}


def faults_in_readme() -> list[str]:
    """The first column of the table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return rows[1:]  # without the head


@cache
def names_in(name: str) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / "tests" / f"test_{name}.py").read_text(encoding="utf-8"))
    found = (node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return frozenset(each for each in found if each.startswith("test_"))


def test_the_table_and_the_tests_have_the_same_rows() -> None:
    assert faults_in_readme() == list(SHOWN_BY)


@pytest.mark.parametrize("fault", SHOWN_BY)
def test_every_row_is_shown_by_tests_that_there_are(fault: str) -> None:
    assert SHOWN_BY[fault]
    for shown in SHOWN_BY[fault]:
        file, _, name = shown.partition("::")
        assert f"test_{name}" in names_in(file)
