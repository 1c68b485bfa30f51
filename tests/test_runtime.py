from __future__ import annotations

import pytest
import torch

from pricerl.runtime import CompiledFunction


class Line:
    """A function with a constant that is part of its graph, and a tensor that is not."""

    def __init__(self, slope):
        self.slope, self.level = slope, torch.tensor(0.0)

    def at(self, x):
        return self.slope * x + self.level


def test_a_function_that_cannot_be_compiled_runs_as_it_is_with_one_warning():
    def total(values):
        torch._dynamo.graph_break()
        return values.sum()

    function = CompiledFunction(total, "sums")
    with pytest.warns(UserWarning, match="sums run uncompiled, which is slower: ") as caught:
        assert function(torch.ones(3)) == 3.0
    assert len(caught) == 1 and not function.is_compiled
    assert function(torch.ones(3)) == 3.0


@pytest.mark.compiler
def test_functions_of_other_settings_and_shapes_share_no_graph():
    for slope, size in ((2.0, 3), (5.0, 4), (2.0, 3)):
        function = CompiledFunction(Line(slope).at, "lines")
        assert torch.equal(function(torch.ones(size)), torch.full((size,), slope))
        assert function.is_compiled


@pytest.mark.compiler
def test_a_graph_reads_tensors_anew_in_every_call():
    line = Line(2.0)
    function = CompiledFunction(line.at, "lines")
    assert function(torch.ones(())) == 2.0
    line.level.fill_(1.0)
    assert function(torch.ones(())) == 3.0
