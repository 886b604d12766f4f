"""
The front door: flags to settings, settings to a run, a run to a report.

It chooses between the sequential and the parallel way and prints; everything else is
in `pipeline/` and `parallel/`. Imports that cost time stand where they are needed, so
that --help is there at once.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.errors import (
    BudgetSpent,
    Interrupted,
    PipelineError,
    SettingsError,
    StorageError,
)
from pipeline.front.command_line import changed_settings, parse, settings_from
from pipeline.front.streams import forgiving_streams
from pipeline.text.safety import for_terminal

if TYPE_CHECKING:
    from parallel.session import Session
    from pipeline.judging.questions import AskAll
    from pipeline.judging.schemes import Judging
    from pipeline.models.models_file import ModelsFile
    from pipeline.models.run_models import Choice
    from pipeline.result import Result
    from pipeline.run import DraftAndJudge
    from pipeline.settings import Settings
    from pipeline.store.run_folder import RunFolder

Given = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags say; the exit code is 0, 1, 2 or 130."""
    with forgiving_streams():
        return _do({**parse(argv), "argv": sys.argv[1:] if argv is None else argv})


def _do(given: Given) -> int:
    try:
        if "list_models" in given:
            return _list_models(given)
        if "cleanup_old" in given:
            return _clean_up(given)
        return _run(given)
    except PipelineError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted")
        return Interrupted.exit_code


def _run(given: Given) -> int:
    from pipeline.front.estimate import estimate, longest_prompt
    from pipeline.front.report import estimate_line, estimate_table
    from pipeline.front.resume import chosen, reopened, run_record
    from pipeline.models.run_models import check_keys, environment

    if "resume" in given:
        folder, settings = reopened(Path(given["resume"]), changed_settings(given))
    else:
        folder, settings = None, settings_from(given)
    env, models = environment(), _models(settings.models_file)
    choice = chosen(settings, models, env, folder=folder, named=given.keys())
    rows = estimate(settings, choice)
    if "dry_run" in given:
        _show(estimate_table(rows, choice.all()))
        return 0
    check_keys(choice, env, allow_insecure=settings.allow_insecure)
    if "check" in given:
        return _check(settings, choice, env, longest_prompt=longest_prompt(rows))
    if "quiet" not in given:
        _introduce(given, choice)
        if folder is None:
            _tell(estimate_line(rows))
    folder = folder or _new_folder(given, settings, run_record(settings, choice))
    return _work(given, settings, choice, folder=folder, env=env)


def _check(
    settings: Settings, choice: Choice, env: Mapping[str, str], *, longest_prompt: int
) -> int:
    """What each endpoint of the run can do; 1 where one is of no use."""
    from pipeline.front.check import check_table, models_lines
    from pipeline.front.estimate import estimate
    from pipeline.front.report import estimate_line
    from pipeline.llm.opening import Opening
    from pipeline.llm.probe import Unlimited, probe

    how = Opening(
        env=env,
        make_limit=lambda _preset: Unlimited(),
        allow_insecure=settings.allow_insecure,
        max_in_flight=2,
        timeout_s=settings.timeout_s,
        say=_tell,
    )
    probes = []
    for preset in choice.all():
        _tell(f"asking {preset.label}")
        probes.append(probe(preset, how, longest_prompt=longest_prompt))
        _show(check_table(probes[-1], longest_prompt=longest_prompt) + "\n")
        if probes[-1].is_answered and not preset.is_builtin:
            _show(f"for models.yaml:\n{models_lines(probes[-1])}\n")
    if not all(each.is_usable for each in probes):
        return 1
    found = choice.with_models({p.preset.name: p.preset.model or "" for p in probes})
    _show(estimate_line(estimate(settings, found)))
    return 0


def _introduce(given: Given, choice: Choice) -> None:
    """Which model and why, and which topic."""
    _tell(f"model: {choice.main.label} ({choice.why})")
    if choice.main.is_builtin:
        from pipeline.models.builtin_model import NOTICE

        _tell(NOTICE)
    if not given.keys() & {"topic", "topic_file", "resume"}:
        _tell("topic: the example that comes with the program (--topic-file for yours)")


def _new_folder(given: Given, settings: Settings, data: dict[str, Any]) -> RunFolder:
    from pipeline.store.run_folder import RunFolder, safe_name
    from pipeline.text.article import title

    name = given.get("output") or safe_name(title(settings.topic))
    today = datetime.now(UTC).astimezone().date()
    return RunFolder.create(_output_root(given), name, today=today, data=data)


def _work(
    given: Given,
    settings: Settings,
    choice: Choice,
    *,
    folder: RunFolder,
    env: Mapping[str, str],
) -> int:
    from parallel.session import open_session

    quiet, session = "quiet" in given, None
    try:
        with open_session(
            settings, choice, folder, env=env, quiet=quiet, verbose="verbose" in given
        ) as session:
            result = _result(given, session, choice)
    except (PipelineError, KeyboardInterrupt) as error:
        is_kept = "resume" in given or (session is not None and session.was_answered)
        if not is_kept:
            _take_back(folder, given)
        if isinstance(error, SettingsError):
            raise
        is_failure = isinstance(error, PipelineError) and error.exit_code == 1
        _tell(f"error: {error}" if is_failure else "interrupted")
        if is_kept:
            # With the same limit it would end at once.
            is_spent = isinstance(error, BudgetSpent)
            more = 2 * (settings.max_cost or 0.5) if is_spent else None
            _tell(f"to finish the run: {_resume(folder, max_cost=more)}")
        else:
            _tell(f"nothing was answered; to start again: {_command(given['argv'])}")
        return 1 if is_failure else Interrupted.exit_code
    _report(result, session, quiet=quiet)
    return 0


def _result(given: Given, session: Session, choice: Choice) -> Result:
    from pipeline.front.report import saying_what_there_is
    from pipeline.front.resume import keeping_state, plan_lines
    from pipeline.job import job_from
    from pipeline.run import run_pipeline

    settings, folder, client = session.settings, session.folder, session.client
    found = choice.with_models(client.models())
    if "resume" in given and "quiet" not in given:
        lines = plan_lines(folder, settings, found, answered=client.ledger.answered)
        _tell("\n".join(lines))
    # Not before: another process may be at work in the folder.
    with keeping_state(folder, settings, found, named=given.keys()):
        job = job_from(settings, choice, session.failed)
        draft_and_judge, ask = _way(session, job.judging)
        work = partial(
            run_pipeline,
            job,
            draft_and_judge,
            outputs=folder,
            client=client,
            ask=ask,
            watch=session.watch,
        )
        with saying_what_there_is(client.ledger, _short(folder.path)):
            result = session.attend(work, resume=_resume(folder))
        session.findings.update(result.findings())
    return result


def _resume(folder: RunFolder, *, max_cost: float | None = None) -> str:
    """The command that finishes the run."""
    more = [] if max_cost is None else ["--max-cost", f"{max_cost:g}"]
    return _command(["--resume", _short(folder.path), *more])


def _command(flags: Sequence[str]) -> str:
    """This program with those flags, to be typed here."""
    return shlex.join(["python", _short(Path(__file__).resolve()), *flags])


def _take_back(folder: RunFolder, given: Given) -> None:
    """Leave no folder of a run that was never answered."""
    from pipeline.store.cleanup import delete_run_folder

    with contextlib.suppress(StorageError, OSError):
        delete_run_folder(folder.path, _output_root(given))
        folder.path.parent.rmdir()  # where nothing else is in it
        _output_root(given).rmdir()


def _way(session: Session, judging: Judging) -> tuple[DraftAndJudge, AskAll | None]:
    """The parallel flow or the plain loops: the same slots, the same result."""
    from parallel import flow
    from pipeline import run as sequential

    shared: Given = {"client": session.client, "watch": session.watch}
    if not session.settings.parallel:
        draft_and_judge = partial(sequential.draft_and_judge, judging=judging, **shared)
        return draft_and_judge, None
    shared = {**shared, "concurrency": session.concurrency}
    draft_and_judge = partial(flow.draft_and_judge, judging=judging, **shared)
    return draft_and_judge, partial(flow.ask_at_once, **shared)


def _report(result: Result, session: Session, *, quiet: bool) -> None:
    from pipeline.front.report import metrics_table
    from pipeline.front.summary import summary

    folder = session.folder
    article = folder.path / f"{folder.name}_FINAL.md"
    shown = Path(_short(article)) if result.article is not None else None
    if not quiet:
        shares_cores = session.client.preset().is_builtin
        numbers = metrics_table(session.metrics.snapshot(), shares_cores=shares_cores)
        _tell(f"\n{numbers}\n")
    _show(summary(result, path=Path(_short(folder.path)), article=shown))


def _list_models(given: Given) -> int:
    from pipeline.front.report import presets_table

    models = _models(given.get("models_file"))
    _show(presets_table([models.preset(name) for name in models.names()]))
    return 0


def _clean_up(given: Given) -> int:
    from pipeline.store.cleanup import delete_run_folder, old_run_folders

    root = _output_root(given)
    today = datetime.now(UTC).astimezone().date()
    old = old_run_folders(root, days=given["cleanup_old"], today=today)
    if not old:
        _show(f"no run folder under {root} is older than {given['cleanup_old']} days")
        return 0
    _show("\n".join(str(folder) for folder in old))
    if "yes" not in given and not _is_yes(f"delete these {len(old)} folders? [y/N] "):
        _show("nothing was deleted")
        return 0
    size = sum(delete_run_folder(folder, root) for folder in old)
    _show(f"deleted {len(old)} folders, {size / 1e6:.1f} MB")
    return 0


def _is_yes(question: str) -> bool:
    _tell(question, end="")
    try:
        return input().strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError):  # nobody is there to answer; no stdin at all
        return False


def _models(path: str | None) -> ModelsFile:
    from pipeline.models.models_file import DEFAULT_MODELS_FILE, load_models

    return load_models(path or DEFAULT_MODELS_FILE)


def _output_root(given: Given) -> Path:
    return Path(given.get("output_root", "outputs"))


def _short(path: Path) -> str:
    """The path as the user would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _show(text: str) -> None:
    """A result, on stdout."""
    print(for_terminal(text))


def _tell(text: str, *, end: str = "\n") -> None:
    """Everything else, on stderr."""
    print(for_terminal(text), end=end, file=sys.stderr, flush=True)


def command() -> NoReturn:
    """The program as a process of its own: the exit code is the process's.

    A terminal that is closed (SIGHUP) does not end it: calls are paid for, and the run
    goes on to its end. Until a run attends to signals itself, SIGTERM ends it as Ctrl-C
    does.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    command()
