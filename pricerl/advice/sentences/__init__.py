"""Sentences of an advice, each in one place: block, page, work list, what-if and review take their words from here."""
