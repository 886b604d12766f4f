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
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import Interrupted, PipelineError, SettingsError
from pipeline.flags import parse
from pipeline.given import changed_settings, check_resumable, settings_from

if TYPE_CHECKING:
    from parallel.session import Session
    from pipeline.judging.ballots import Cast
    from pipeline.judging.rounds import Judging
    from pipeline.llm.choice import Choice
    from pipeline.llm.models_file import ModelsFile
    from pipeline.result import Result
    from pipeline.run import DraftAndJudge
    from pipeline.run_folder import RunFolder
    from pipeline.settings import Settings

Given = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the flags say; the exit code is 0, 1, 2 or 130."""
    given = parse(argv)
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
    from pipeline.estimate import estimate
    from pipeline.llm.choice import check_keys, choose_presets
    from pipeline.llm.defaults import environment
    from pipeline.report import estimate_line, estimate_table
    from pipeline.resume import changes_line, reopened, run_record

    if "resume" in given:
        check_resumable(given)
        folder, settings = reopened(Path(given["resume"]), changed_settings(given))
    else:
        folder, settings = None, _new_settings(given)
    env = environment()
    choice = choose_presets(settings, _models(settings.models_file), env)
    rows = estimate(settings, choice)
    if "dry_run" in given:
        print(estimate_table(rows))
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
        from pipeline.llm.builtin_model import NOTICE

        _tell(NOTICE)
    if not given.keys() & {"topic", "topic_file", "resume"}:
        _tell("topic: the example that comes with the program (--topic-file for yours)")


def _new_settings(given: Given) -> Settings:
    settings = settings_from(given)
    if "candidates_dir" not in given:
        return settings
    from pipeline.candidates import read_candidates

    texts = read_candidates(given["candidates_dir"])
    return replace(settings, candidates=texts, iterations=len(texts))


def _new_folder(given: Given, settings: Settings, data: dict[str, Any]) -> RunFolder:
    from pipeline.article_text import title
    from pipeline.run_folder import RunFolder, safe_name

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
    from parallel.session import Showing, open_session
    from pipeline.job import job_from
    from pipeline.resume import run_record
    from pipeline.run import run_pipeline

    script, place = _short(Path(__file__).resolve()), _short(folder.path)
    resume = f"python {shlex.quote(script)} --resume {shlex.quote(place)}"
    showing = Showing(quiet="quiet" in given, verbose="verbose" in given)
    record = run_record(settings, choice)
    try:
        with open_session(
            settings, choice, folder, env=env, showing=showing
        ) as session:
            # Not before: another process may be at work in the folder.
            folder.write_run({**record, "state": "unfinished"})
            job = job_from(settings, choice, session.failed)
            draft_and_judge, cast = _way(session, job.judging)
            work = partial(
                run_pipeline,
                job,
                draft_and_judge,
                outputs=folder,
                client=session.client,
                cast=cast,
                watch=session.watch,
            )
            result = session.attend(work, resume=resume)
            session.findings.update(result.findings())
            folder.write_run({**record, "state": "finished"})
    except SettingsError:
        raise
    except (PipelineError, KeyboardInterrupt) as error:
        is_failure = isinstance(error, PipelineError) and error.exit_code == 1
        _tell(f"error: {error}" if is_failure else "interrupted")
        _tell(f"to finish the run: {resume}")
        return 1 if is_failure else Interrupted.exit_code
    _report(result, session, quiet=showing.quiet)
    return 0


def _way(session: Session, judging: Judging) -> tuple[DraftAndJudge, Cast | None]:
    """The parallel flow or the plain loops: the same slots, the same result."""
    from parallel import flow
    from pipeline import sequential

    shared: Given = {"client": session.client, "watch": session.watch}
    if not session.settings.parallel:
        draft_and_judge = partial(sequential.draft_and_judge, judging=judging, **shared)
        return draft_and_judge, None
    shared = {**shared, "concurrency": session.concurrency}
    draft_and_judge = partial(flow.draft_and_judge, judging=judging, **shared)
    return draft_and_judge, partial(flow.cast_at_once, **shared)


def _report(result: Result, session: Session, *, quiet: bool) -> None:
    from pipeline.report import metrics_table
    from pipeline.summary import summary

    folder = session.folder
    article = folder.path / f"{folder.name}_FINAL.md"
    shown = Path(_short(article)) if result.article is not None else None
    if not quiet:
        shares_cores = session.client.preset().is_builtin
        numbers = metrics_table(session.metrics.snapshot(), shares_cores=shares_cores)
        _tell(f"\n{numbers}\n")
    print(summary(result, path=Path(_short(folder.path)), article=shown))


def _list_models(given: Given) -> int:
    from pipeline.report import presets_table

    models = _models(given.get("models_file"))
    print(presets_table([models.preset(name) for name in models.names()]))
    return 0


def _clean_up(given: Given) -> int:
    from pipeline.cleanup import delete_run_folder, old_run_folders

    root = _output_root(given)
    today = datetime.now(UTC).astimezone().date()
    old = old_run_folders(root, days=given["cleanup_old"], today=today)
    if not old:
        print(f"no run folder under {root} is older than {given['cleanup_old']} days")
        return 0
    print("\n".join(str(folder) for folder in old))
    if "yes" not in given and not _is_yes(f"delete these {len(old)} folders? [y/N] "):
        print("nothing was deleted")
        return 0
    size = sum(delete_run_folder(folder, root) for folder in old)
    print(f"deleted {len(old)} folders, {size / 1e6:.1f} MB")
    return 0


def _is_yes(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _models(path: str | None) -> ModelsFile:
    from pipeline.llm.defaults import DEFAULT_MODELS_FILE
    from pipeline.llm.models_file import load_models

    return load_models(path or DEFAULT_MODELS_FILE)


def _output_root(given: Given) -> Path:
    return Path(given.get("output_root", "outputs"))


def _short(path: Path) -> str:
    """The path as the user would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _tell(text: str) -> None:
    from pipeline.text_safety import for_terminal

    print(for_terminal(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Until a run attends to signals itself, SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
