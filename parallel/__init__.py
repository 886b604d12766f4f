"""Many calls at once: the concurrent stages and what they are made of."""

from parallel.errors import ThreadSafeErrorCollector
from parallel.extractor import ParallelArticleExtractor, extract_single_card_worker
from parallel.generator import ParallelCandidateGenerator
from parallel.metrics import ThreadSafeExtractionMetrics, ThreadSafeScoringMetrics
from parallel.progress import ThreadSafeProgressTracker
from parallel.scorer import ParallelCardScorer, score_single_vote_worker

__all__ = [
    "ParallelArticleExtractor",
    "ParallelCandidateGenerator",
    "ParallelCardScorer",
    "ThreadSafeErrorCollector",
    "ThreadSafeExtractionMetrics",
    "ThreadSafeProgressTracker",
    "ThreadSafeScoringMetrics",
    "extract_single_card_worker",
    "score_single_vote_worker",
]
