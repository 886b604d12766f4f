"""
The flags of the command line, each declared once, in the order of --help.

The parser, the checks of Settings, what a resumed run compares and the table in README
follow from here. A flag is a setting where Settings has a field of its name.
"""

from collections.abc import Mapping

from pipeline.flag import Flag

GROUPS: Mapping[str, tuple[Flag, ...]] = {
    "what to write": (
        Flag("--topic-file F", "file with the brief", default="the example topic"),
        Flag("--topic TEXT", "the brief itself"),
        Flag(
            "--context-file F",
            "brand voice, style guide, facts; may be given several times",
            is_repeatable=True,
        ),
        Flag(
            "--iterations N",
            "drafts to write",
            default="5 with synthesis, else 1",
            at_least=(1, "5 for five drafts"),
        ),
        Flag("--candidates-only", "stop when the drafts are there"),
        Flag(
            "--candidates-dir DIR",
            "start from the Markdown files of a folder instead of writing drafts",
            is_fixed=True,
        ),
        Flag(
            "--target-word-count N",
            "words of the article",
            default="the preset's own, else 1500; built-in model 220",
            at_least=(20, "1500"),
        ),
    ),
    "how many calls at once": (
        Flag(
            "--parallel",
            "all stages concurrent, synthesis on",
            default="one call at a time, synthesis off",
            asks_the_same=True,
        ),
        Flag(
            "--max-concurrent N",
            "calls in flight of the whole run",
            at_least=(1, "1 for one at a time"),
            asks_the_same=True,
        ),
        Flag(
            "--extract-concurrent N",
            "instead of that, for extractions",
            at_least=(1, "1 for one at a time"),
            asks_the_same=True,
        ),
        Flag(
            "--score-concurrent N",
            "instead of that, for votes",
            at_least=(1, "1 for one at a time"),
            asks_the_same=True,
        ),
    ),
    "which model": (
        Flag("--preset NAME", "a preset of models.yaml"),
        Flag(
            "--model NAME",
            "another model at its endpoint",
            default="the preset's, OPENAI_MODEL, or the only one there",
        ),
        Flag(
            "--candidate-presets A,B,C",
            "presets that write the drafts, in turn",
            default="the main one",
        ),
        Flag("--list-models", "show the presets and stop"),
        Flag("--models-file F", "another models.yaml", asks_the_same=True),
        Flag(
            "--allow-insecure",
            "send a key over plain http to another machine",
            default="refused",
            asks_the_same=True,
        ),
        Flag(
            "--temperature T",
            "of the writing, 0 to 2",
            default="0.9 for drafts, 0.6 for the synthesis",
            at_least=(0, "0.8 for varied drafts"),
            at_most=2,
        ),
        Flag(
            "--max-tokens N",
            "of one article",
            default="the server's own",
            at_least=(1, "4000, or leave it out"),
        ),
        Flag("--filter-think", "take thinking out of articles", can_be_off=True),
    ),
    "judging and synthesis": (
        Flag(
            "--enable-synthesis",
            "extract, score, select, synthesize, validate",
            default="on with --parallel",
            can_be_off=True,
            setting="synthesis",
        ),
        Flag(
            "--synthesis-votes N|auto",
            "votes on each card; auto: two, and more where the top is open",
            words=("auto",),
            at_least=(1, "3 for three votes a card, or auto"),
            setting="votes",
        ),
        Flag(
            "--judge-presets A,B,C",
            "presets that judge, none of them a draft of its own family",
            default="the main one",
        ),
        Flag(
            "--gate",
            "compare the article with the best draft, deliver the better",
            can_be_off=True,
        ),
        Flag(
            "--synthesis-retries N",
            "further attempts at an article that does not pass",
            at_least=(0, "0 for one attempt"),
        ),
        Flag(
            "--scoring-mode absolute|pairwise|funnel",
            "votes on each card, each pair of cards compared, or votes and then pairs"
            " of the best four, for judges that compare more steadily than they score",
            words=("absolute", "pairwise", "funnel"),
        ),
        Flag("--seed N", "run seed: the same seed sends the same requests"),
    ),
    "when calls fail": (
        Flag(
            "--retry-count N",
            "further questions after an answer in the wrong form",
            at_least=(0, "0 for no second question"),
            asks_the_same=True,
        ),
        Flag(
            "--retry-delay S",
            "base of the growing wait after a fault, seconds",
            at_least=(0, "1"),
            setting="retry_delay_s",
            asks_the_same=True,
        ),
        Flag(
            "--timeout S",
            "longest silence of a request, before the first piece of its answer and"
            " between pieces, seconds; an answer that keeps coming is never cut",
            default="the preset's own, else 120",
            at_least=(0.001, "120"),
            setting="timeout_s",
            asks_the_same=True,
        ),
        Flag(
            "--max-outage S",
            "longest outage of an endpoint to wait out, seconds",
            default="900; 30 while nobody was ever there",
            at_least=(0, "900"),
            setting="max_outage_s",
            asks_the_same=True,
        ),
        Flag(
            "--min-free-memory SIZE",
            "fewer calls at once below that, as 512M or 10%",
            default="5%, at least 256M",
            asks_the_same=True,
        ),
        Flag(
            "--max-cost X",
            "start no further call when X dollars are spent; resumable",
            at_least=(0, "2.50, or leave it out"),
            asks_the_same=True,
        ),
    ),
    "what is left on disk": (
        Flag(
            "--output NAME",
            "name of the run",
            default="the topic's first line",
            is_fixed=True,
        ),
        Flag(
            "--output-root DIR",
            "where run folders go",
            default="outputs",
            is_fixed=True,
        ),
        Flag(
            "--resume DIR",
            "finish the run of that folder without repeating a finished call",
        ),
        Flag("--cleanup-old DAYS", "delete run folders older than that, after asking"),
        Flag("--yes", "delete without asking"),
    ),
    "what is shown": (
        Flag("--check", "ask each endpoint what it can do, and stop"),
        Flag("--dry-run", "show models, calls, tokens and cost, and stop"),
        Flag("--verbose", "a line for each item"),
        Flag("--quiet", "only results and errors"),
    ),
}
FLAGS = tuple(flag for group in GROUPS.values() for flag in group)
