"""The numbers of the paper's figures against the theory and independent counts, and what is drawn of them."""

import math
from collections import Counter

import numpy as np
import pytest

from simplexlab import theory
from simplexlab.errors import UsageError
from simplexlab.figures import all_batches, batches, simplices, toy_rows, weight_norm
from simplexlab.figures.style import styled
from simplexlab.geometry import simplex_deviation
from simplexlab.toy import Toy, minimise_batch, run_toy


@pytest.fixture
def draw():
    """Draw in print style: the figure, its axes and the caption."""

    def call(module, numbers):
        with styled("print"):
            figure, caption = module.draw(numbers)
        return figure, figure.axes, caption

    return call


def all_words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.fixture(scope="module")
def toy_runs(tmp_path_factory):
    """Run folders of short toys by name."""
    folder = tmp_path_factory.mktemp("runs")
    common = {"points_per_class": 10, "steps": 60, "run_dir": str(folder)}
    run_toy(Toy(loss="sc", name="sc", **common))
    run_toy(Toy(loss="ce", name="ce", **common))
    run_toy(Toy(loss="sc", name="sc-4", classes=4, **common))
    run_toy(Toy(loss="ce", name="ce-3d", dimension=3, **common))
    return folder


def test_figure_1_shows_frames_of_the_runs_from_first_to_last(toy_runs, draw):
    numbers = toy_rows.toy_rows(toy_runs / "sc", toy_runs / "ce")
    contrastive, cross_entropy = numbers["rows"]
    for row in numbers["rows"]:
        shown = [frame["iteration"] for frame in row["frames"]]
        assert (shown[0], shown[-1]) == (0, 60)
        assert shown == sorted(set(shown))
        assert simplex_deviation(row["simplex"]).largest < 1e-12
        np.testing.assert_allclose(row["excesses"], np.array(row["losses"]) - row["bound"], atol=1e-9)
    norms = np.linalg.norm(contrastive["frames"][0]["points"], axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)  # drawn with radius 1, whatever τ
    means = np.array(cross_entropy["frames"][-1]["class_means"])
    np.testing.assert_allclose(means, cross_entropy["simplex"], atol=0.1)  # turned towards the class means
    figure, axes, caption = draw(toy_rows, numbers)
    assert numbers["title"] == toy_rows.TITLE
    assert all(f"step {frame['iteration']}" in all_words(figure) for row in numbers["rows"] for frame in row["frames"])
    assert len(axes) == 2 * (max(len(row["frames"]) for row in numbers["rows"]) + 1)
    assert "does not exist" not in caption


def test_figure_1_says_where_there_is_no_simplex(toy_runs, draw):
    numbers = toy_rows.toy_rows(toy_runs / "sc-4", toy_runs / "ce")
    assert numbers["rows"][0]["simplex"] is None
    _, _, caption = draw(toy_rows, numbers)
    assert numbers["title"] == "Each class collapses to a point"
    assert "does not exist for K = 4 > 3" in caption


@pytest.mark.parametrize("folder", ["ce", "missing"])
def test_figure_1_takes_runs_of_the_right_loss_only(toy_runs, folder):
    with pytest.raises(UsageError, match="no run of `simplexlab toy sc` in two dimensions"):
        toy_rows.toy_rows(toy_runs / folder, toy_runs / "ce")


def test_figure_1_takes_runs_in_the_plane_only(toy_runs):
    with pytest.raises(UsageError, match="in two dimensions"):
        toy_rows.toy_rows(toy_runs / "sc", toy_runs / "ce-3d")


def test_figure_3_shows_regular_simplices(draw):
    numbers = simplices.simplices()
    for simplex, angle in zip(numbers["simplices"], (180, 120, 109.4712), strict=True):
        vertices = np.array(simplex["vertices"])
        assert simplex_deviation(vertices).largest < 1e-12
        np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1)
        assert vertices[0] @ vertices[1] == pytest.approx(simplex["inner_product"])
        assert simplex["angle_degrees"] == pytest.approx(angle, abs=1e-4)
    figure, axes, caption = draw(simplices, numbers)
    assert len(axes) == 3
    assert "K = 4: ⟨ζᵢ, ζⱼ⟩ = −1/3, 109.5°" in all_words(figure)
    assert "−ρ²/(K−1)" in caption


def test_figure_4_finds_corollary_2_by_optimisation(draw):
    numbers = weight_norm.weight_norm(strengths=3, starts=2)
    assert [row["weight_decay"] for row in numbers["optimised"]] == pytest.approx([1e-4, 1e-2, 1])
    for row in numbers["optimised"]:
        assert row["loss"] == pytest.approx(theory.ce_bound_weight_decay(3, 1.0, row["weight_decay"]), abs=1e-7)
        np.testing.assert_allclose(row["weight_norms"], row["optimal_weight_norm"], rtol=1e-3)
    _, (left, right), _ = draw(weight_norm, numbers)
    for axes, key in ((left, "weight_norm"), (right, "bound")):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), numbers["theory"][key])
        assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "regularisation strength λ")


def test_figure_5_turns_the_first_class_up_and_keeps_loss_and_points_together(draw):
    numbers = batches.batches([(6, 2, 1), (3, 3, 3), (7, 1, 1)], starts=4)
    for batch in numbers["batches"]:
        points, labels = np.array(batch["points"]), np.array(batch["labels"])
        assert theory.sc_loss_batch(points, labels) == pytest.approx(batch["loss"], rel=1e-12)
        assert 0 <= batch["loss"] - batch["certificate"] <= 1e-6
        assert batch["exact"]
        np.testing.assert_allclose(points[labels == 0].mean(axis=0), [0, 1], atol=1e-3)
        assert points[labels == 1].mean(axis=0)[0] <= 1e-3  # the second to the left
        assert batch["simplex_loss"] == pytest.approx(float(theory.composition_value(batch["label_counts"], 1.0)))
        assert simplex_deviation(batch["simplex"]).largest < 1e-12
    balanced = numbers["batches"][1]
    np.testing.assert_allclose(np.array(balanced["points"])[::3], balanced["simplex"], atol=1e-3)
    figure, _, caption = draw(batches, numbers)
    assert "a convex program, whose certificates leave at most 1e-" in caption
    words = all_words(figure)
    assert "(6, 2, 1)" in words
    assert f"simplex {balanced['simplex_loss']:.4f}" in words


def test_figure_5_is_what_gradient_descent_finds():
    for batch in batches.batches()["batches"]:
        _, _, loss = minimise_batch(batch["label_counts"], starts=4)
        assert loss >= batch["certificate"] - 1e-9
        assert loss == pytest.approx(batch["loss"], abs=1e-6)


def test_figure_5_of_one_class_alone():
    (batch,) = batches.batches([(6, 0)])["batches"]
    assert batch["loss"] == pytest.approx(6 * math.log(5))
    np.testing.assert_allclose(batch["points"], [[0, 1]] * 6, atol=1e-12)


def test_figure_5_draws_a_number_for_each_class_of_a_shared_place(draw):
    numbers = batches.batches([(7, 1, 1)], starts=4)
    _, (axes,), _ = draw(batches, numbers)
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "7"]


def test_figure_5_has_no_simplex_of_four_classes_in_the_plane(draw):
    numbers = batches.batches([(2, 2, 2, 2)], starts=2)
    (batch,) = numbers["batches"]
    assert batch["simplex"] is None
    assert not batch["exact"]
    assert batch["certificate"] < batch["loss"]
    figure, _, _ = draw(batches, numbers)
    assert "no simplex" in all_words(figure)


@pytest.mark.parametrize("counts", [(5,), (1, 1), (-1, 5), (1,) * 8, (60, 60)])
def test_figure_5_refuses_what_is_no_batch(counts):
    with pytest.raises(ValueError, match=r"label counts|batch size"):
        batches.batches([counts])


def test_figure_6_has_every_batch_at_the_value_of_its_label_counts(draw):
    numbers = all_batches.all_batches()
    assert numbers["batches"] == math.comb(12 + 9 - 1, 9) == 167_960
    assert numbers["theory"] == pytest.approx(12.120150, abs=5e-7)
    assert abs(numbers["empirical"] - numbers["theory"]) <= 1e-5
    counted = Counter({tuple(level["label_counts"]): level["batches"] for level in numbers["levels"]})
    expected = Counter()
    for first in range(10):
        for second in range(10 - first):
            counts = (first, second, 9 - first - second)
            multisets = math.prod(math.comb(4 + count - 1, count) for count in counts)
            expected[tuple(sorted(counts, reverse=True))] += multisets
    assert counted == expected
    for level in numbers["levels"]:
        assert level["smallest"] == pytest.approx(level["simplex"], abs=1e-4)
        assert level["largest"] == pytest.approx(level["simplex"], abs=1e-4)
    mean = sum(level["batches"] * level["simplex"] for level in numbers["levels"]) / numbers["batches"]
    assert mean == pytest.approx(numbers["theory"], rel=1e-12)
    figure, (axes,), _ = draw(all_batches, numbers)
    assert sum(bar.get_height() for bar in axes.patches) == 167_960
    assert axes.get_yscale() == "log"
    words = all_words(figure)
    assert words.count("12.1201501") == 2
    assert "12.12016" in words
