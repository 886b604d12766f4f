"""
Counting calls of the concurrent stages, for callers with a client of their own.

`ChatClient` counts the calls that it makes; whoever uses it never calls these too.
"""

from __future__ import annotations

from pipeline.metrics import PipelineMetrics, StageMetrics, track_llm_call


class _StageCounter:
    """Calls of one stage, counted from any thread under the one lock of its metrics."""

    def __init__(self, stage: str, metrics: PipelineMetrics | None) -> None:
        self._stage = stage
        self._metrics = metrics or PipelineMetrics()

    def snapshot(self) -> StageMetrics:
        """The stage's sums at this moment."""
        stages = self._metrics.snapshot().stages
        return stages.get(self._stage, StageMetrics(name=self._stage))

    def _track(self, input_text: str, output_text: str, seconds: float) -> None:
        track_llm_call(
            self._stage, input_text, output_text, seconds, metrics=self._metrics
        )


class ThreadSafeExtractionMetrics(_StageCounter):
    """Counts extractions; with `metrics` given, into those of a pipeline."""

    def __init__(self, *, metrics: PipelineMetrics | None = None) -> None:
        """Count from nothing, or add to `metrics`."""
        super().__init__("extract", metrics)

    def track_extraction_call_safe(
        self, input_text: str, output_text: str, execution_time: float
    ) -> None:
        """Count one call by its texts; `execution_time` in seconds."""
        self._track(input_text, output_text, execution_time)


class ThreadSafeScoringMetrics(_StageCounter):
    """Counts votes; with `metrics` given, into those of a pipeline."""

    def __init__(self, *, metrics: PipelineMetrics | None = None) -> None:
        """Count from nothing, or add to `metrics`."""
        super().__init__("score", metrics)

    def track_scoring_call_safe(
        self, input_text: str, output_text: str, execution_time: float
    ) -> None:
        """Count one call by its texts; `execution_time` in seconds."""
        self._track(input_text, output_text, execution_time)
