"""
What is asked: the stages of an article, one draft, one card, one vote at a time.

`run.py` puts them in order. `llm/` makes one call safely, `judging/` weighs the answers,
`grounding/` looks for the sources of what is written, `store/` keeps it, `front/` says it to
the user. How many calls go at once is not decided here.
"""
