"""Captions end with a whole clause, whatever room they have."""

import re

import pytest
from rich.cells import cell_len

from simplexlab.runs import list_runs, read_metrics
from simplexlab.tui.demo import RUNS
from simplexlab.tui.views import explain
from simplexlab.tui.views.records import time_to_fit
from simplexlab.tui.widgets.meaning import whole_clauses

VIEWS = (
    explain.loss,
    explain.excess,
    explain.similarities,
    explain.gram,
    explain.collapse,
    explain.memorisation,
    explain.configuration,
)
NUMBER = re.compile(r"-?\d[\d.e+%-]*\d%?|\d%?")


@pytest.mark.parametrize(
    ("text", "width", "most", "lines"),
    [
        ("all of it", 20, 1, ["all of it"]),
        ("", 20, 2, []),
        ("excess 161 ± 1.2 is left; the ReLU costs 0.0384, which", 20, 2, ["excess 161 ± 1.2 is", "left"]),
        ("excess 161 is left; the ReLU costs 0.0384, which is in the bound", 24, 2,
         ["excess 161 is left; the", "ReLU costs 0.0384"]),
        ("One sentence. Another one, with more.", 20, 1, ["One sentence."]),
        ("loss 0.5 (0.1 above, then; below) its bound", 24, 1, ["loss 0.5"]),
        ("no clause ends here 0.12345", 22, 1, ["no clause ends here …"]),
        ("weiß 漢字漢字 x; y", 13, 1, ["weiß …"]),
    ],
)  # fmt: skip
def test_a_text_ends_with_its_last_clause_that_has_room(text, width, most, lines):
    assert whole_clauses(text, width, most) == lines


def test_captions_of_every_recorded_run_end_with_a_clause_and_keep_their_numbers_whole():
    cut = 0
    for run in list_runs(RUNS):
        records = read_metrics(run.path)
        fitted = time_to_fit(run, records)
        for record in (records[0], records[-1]):
            texts = [view(record) for view in VIEWS]
            texts += [explain.errors(record, fitted), explain.run(record, run.status.state, run.status.message, fitted)]
            for text in texts:
                for width in range(26, 120, 3):
                    for most in (1, 2, 3):
                        lines = whole_clauses(text, width, most)
                        assert len(lines) <= most
                        assert max(map(cell_len, lines)) <= width
                        shown = " ".join(lines)
                        kept = shown.removesuffix(" …")
                        assert text.startswith(kept)
                        rest = text[len(kept) :]
                        assert shown != kept or not rest or re.match(r"[;,] | \(", rest) or kept[-1] in ".?!"
                        assert shown == kept or most == 1 or width < 40, (text, width, most)
                        assert NUMBER.findall(kept) == NUMBER.findall(text)[: len(NUMBER.findall(kept))]
                        cut += bool(rest)
    assert cut > 1000
