"""
Where an article has it from: every figure, quotation and phrase led back to a source.

`paragraphs.py` and `sources.py` make texts searchable and count whose words were taken,
`provenance.py` traces and says what a writer must mend, `passages.py` shows the writer
what the blueprint names. It asks no model.
"""
