"""
The front door: flags to settings, settings to a run, a run to a report.

It chooses between the sequential and the parallel way and prints; everything else is
in `pipeline/` and `parallel/`. Imports that cost time stand where they are needed, so
that --help is there at once.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.errors import BudgetSpent, Interrupted, PipelineError, SettingsError
from pipeline.front.command_line import changed_settings, parse, settings_from
from pipeline.front.streams import forgiving_streams
from pipeline.text.safety import for_terminal

if TYPE_CHECKING:
    from parallel.session import Session
    from pipeline.judging.questions import AskAll
    from pipeline.judging.schemes import Judging
    from pipeline.models.run_models import Choice, ModelsFile
    from pipeline.result import Result
    from pipeline.run import DraftAndJudge
    from pipeline.settings import Settings
    from pipeline.store.run_folder import RunFolder

Given = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags say; the exit code is 0, 1, 2 or 130."""
    with forgiving_streams():
        return _do(parse(argv))


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
    from pipeline.front.estimate import estimate
    from pipeline.front.report import estimate_line, estimate_table
    from pipeline.front.resume import changes_line, reopened, run_record
    from pipeline.models.run_models import check_keys, choose_presets, environment

    if "resume" in given:
        folder, settings = reopened(Path(given["resume"]), changed_settings(given))
    else:
        folder, settings = None, settings_from(given)
    env = environment()
    choice = choose_presets(settings, _models(settings.models_file), env)
    rows = estimate(settings, choice)
    if "dry_run" in given:
        _show(estimate_table(rows))
        return 0
    check_keys(choice, env, allow_insecure=settings.allow_insecure)
    folder = folder or _new_folder(given, settings, run_record(settings, choice))
    if "quiet" not in given:
        _introduce(given, choice)
        if changes := changes_line(folder, settings, choice):
            _tell(changes)
        _tell(estimate_line(rows))
    return _work(given, settings, choice, folder=folder, env=env)


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
    from pipeline.front.report import saying_what_there_is
    from pipeline.front.resume import run_record
    from pipeline.job import job_from
    from pipeline.run import run_pipeline

    script, place = _short(Path(__file__).resolve()), _short(folder.path)
    resume = f"python {shlex.quote(script)} --resume {shlex.quote(place)}"
    quiet = "quiet" in given
    record = run_record(settings, choice)
    try:
        with open_session(
            settings, choice, folder, env=env, quiet=quiet, verbose="verbose" in given
        ) as session:
            # Not before: another process may be at work in the folder.
            folder.write_run({**record, "state": "unfinished"})
            job = job_from(settings, choice, session.failed)
            draft_and_judge, ask = _way(session, job.judging)
            work = partial(
                run_pipeline,
                job,
                draft_and_judge,
                outputs=folder,
                client=session.client,
                ask=ask,
                watch=session.watch,
            )
            with saying_what_there_is(session.client.ledger, place):
                result = session.attend(work, resume=resume)
            session.findings.update(result.findings())
            folder.write_run({**record, "state": "finished"})
    except SettingsError:
        raise
    except (PipelineError, KeyboardInterrupt) as error:
        is_failure = isinstance(error, PipelineError) and error.exit_code == 1
        _tell(f"error: {error}" if is_failure else "interrupted")
        if isinstance(error, BudgetSpent):  # with the same limit it would end at once
            resume += f" --max-cost {2 * (settings.max_cost or 0.5):g}"
        _tell(f"to finish the run: {resume}")
        return 1 if is_failure else Interrupted.exit_code
    _report(result, session, quiet=quiet)
    return 0


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
    from pipeline.models.run_models import DEFAULT_MODELS_FILE, load_models

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
